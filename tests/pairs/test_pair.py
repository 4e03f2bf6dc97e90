from __future__ import annotations

import numpy as np
import pytest
from allocations import traced_peak

from lkcfuse.images import image_from_array, read_image, samples
from lkcfuse.pairs import Pair
from lkcfuse.tasks import TASKS


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
@pytest.mark.parametrize("invert", [False, True])
def test_the_stack_is_both_lumas_in_order(noise, order, invert):
    first, second = noise(6, 5), noise(6, 5, 3)
    pair = Pair(image_from_array(first), image_from_array(second))
    planes = pair.stack(order, invert_first=invert)
    luma = second @ np.array([0.299, 0.587, 0.114])
    wanted = {"first": 255.0 - first if invert else first, "second": luma}
    for plane, source in zip(planes, order, strict=True):
        np.testing.assert_allclose(plane, wanted[source] / 255, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_transparent_stays_black_when_inverted(tmp_path, make_png, noise, channels, dtype):
    array = noise(6, 5, channels, dtype=dtype)
    array[:2, :, -1] = 0
    (tmp_path / "x.png").write_bytes(make_png(array))
    image = read_image(tmp_path / "x.png")
    planes = Pair(image, image).stack(("first", "second"), invert_first=True)
    unit = array / np.iinfo(dtype).max
    grey = unit[..., 0] if channels == 2 else unit[..., :3] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(planes[0], (1 - grey) * unit[..., -1], atol=2e-6)
    assert not planes[0, :2].any()
    np.testing.assert_allclose(planes[1], grey * unit[..., -1], atol=2e-6)


def test_the_stack_takes_its_own_memory_and_no_more(noise, monkeypatch):
    monkeypatch.setattr(samples, "_BAND_PIXELS", 1 << 14)
    array = noise(1536, 2048, 3)
    pair = Pair(image_from_array(array), image_from_array(array[::-1]))
    with traced_peak() as peak:
        planes = pair.stack(invert_first=True)
        assert peak() < planes.nbytes * 1.06


@pytest.mark.parametrize("shape", [(1, 2), (1, 2, 2), (1, 2, 4)])
@pytest.mark.parametrize(
    ("levels", "noted"),
    [((0, 900), True), ((29_315, 30_845), True), ((0, 60_000), False), ((500, 500), False)],
)
def test_a_narrow_part_of_16_bits_is_noted(tmp_path, make_png, shape, levels, noted):
    array = np.full(shape, 40_000, np.uint16)  # a transparency, where there is one
    array.reshape(1, 2, -1)[..., : {2: 1, 4: 3}.get(shape[-1] if len(shape) > 2 else 0, 1)] = (
        np.array(levels, np.uint16)[None, :, None]
    )
    (tmp_path / "x.png").write_bytes(make_png(array))
    image = read_image(tmp_path / "x.png")
    assert not any("16-bit range" in note for note in image.notes)
    notes = [note for note in Pair(image, image).notes(TASKS["ir-vis"]) if "16-bit range" in note]
    assert len(notes) == 2 * noted
    assert all("x.png" in note and f"({levels[0]} to {levels[1]})" in note for note in notes)
