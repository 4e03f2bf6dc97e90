from __future__ import annotations

import numpy as np
import pytest
import tifffile

from lkcfuse.errors import InputError, UsageError
from lkcfuse.images import ReadOptions, image_to_array, parse_value_range, read_image

AUTO = ReadOptions(value_range="auto")


def scene(size=(60, 80)):
    """Return a picture between 0 and 1 in which most levels occur."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return 0.5 + 0.25 * np.sin(columns / 9) + 0.25 * np.cos(rows / 7)


def read(tmp_path, array, options=AUTO, **tags):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, array, **tags)
    return read_image(path, options)


@pytest.mark.parametrize(
    ("array", "depth"),
    [
        (51_000 + 900 * scene(), np.uint16),
        (-348 + 4_148 * scene(), np.int16),
        (28_000 + 3_400 * scene(), np.uint32),
        (-5_000 + 40_000 * scene(), np.int32),
        (-3.5 + 41.5 * scene(), np.float32),
        (270 + 41.5 * scene(), np.float64),
        (20 + 21 * scene(), np.float16),
    ],
)
def test_raw_values_are_stretched_and_that_is_said(tmp_path, array, depth):
    image = read(tmp_path, array.astype(depth))
    assert np.corrcoef(image.luma.ravel(), scene().ravel())[0, 1] > 0.999
    assert image.luma.min() == 0
    assert image.luma.max() == 1
    assert [note.code for note in image.notes] == ["flat-range"]
    assert "x.tif" in image.notes[0]


@pytest.mark.parametrize(
    "array",
    [
        (scene() * 20).astype(np.uint8),
        (scene() * 40_000).astype(np.uint16),
        (scene() * 0.1).astype(np.float32),
        np.full((4, 5), 700, np.uint16),
    ],
)
def test_what_is_left_as_it_is(tmp_path, array):
    image = read(tmp_path, array)
    np.testing.assert_array_equal(image_to_array(image), array)
    assert image.notes == ()


def test_dead_and_hot_pixels_move_neither_end(tmp_path):
    array = (3_000 + 900 * scene()).astype(np.uint16)
    array[3, 4], array[30, 40] = 0, 65_535
    image = read(tmp_path, array)
    rest = np.ones(array.shape, bool)
    rest[3, 4] = rest[30, 40] = False
    assert np.corrcoef(image.luma[rest], scene()[rest])[0, 1] > 0.999
    assert "(0 to 65535)" in image.notes[0]


def test_a_few_hot_spots_on_black_are_seen(tmp_path):
    array = np.zeros((60, 80), np.uint16)
    array[7, 9] = 900
    assert read(tmp_path, array).luma[7, 9] == 1


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [("270,280", 270, 280), ("p25,p75", None, None), (" 265.5 , 290", 265.5, 290)],
)
def test_a_range_that_is_asked_for_is_used_and_not_noted(tmp_path, asked, low, high):
    array = (268 + 20 * scene()).astype(np.float32)
    if low is None:
        low, high = np.percentile(array, [25, 75])
    image = read(tmp_path, array, ReadOptions(value_range=asked))
    wanted = np.clip((array - low) / (high - low), 0, 1)
    np.testing.assert_allclose(image.luma, wanted, atol=2e-3)
    assert image.notes == ()


def test_a_range_applies_to_8_bits_too(tmp_path):
    array = np.array([[0, 50, 100, 200]], np.uint8)
    image = read(tmp_path, array, ReadOptions(value_range="50,150"))
    np.testing.assert_allclose(image.luma, [[0, 0, 0.5, 1]], atol=1e-6)


def test_floats_have_no_full_range_but_0_to_1(tmp_path):
    with pytest.raises(InputError, match=r"x\.tif has float values from -?[\d.]+ to [\d.]+: scale"):
        read(tmp_path, (20 * scene()).astype(np.float32), ReadOptions(value_range="full"))


def test_no_data_is_left_out_of_the_range(tmp_path):
    array = (11 + 29 * scene()).astype(np.float32)
    for hole, options, tags in [
        (np.nan, AUTO, {}),
        (np.inf, AUTO, {}),
        (-9999, AUTO, {"extratags": [(42113, 2, 6, "-9999", True)]}),
        (-9999, ReadOptions(value_range="auto", nodata=-9999), {}),
    ]:
        holed = array.copy()
        holed[:5] = hole
        image = read(tmp_path, holed, options, **tags)
        assert (image.coverage[:5] == 0).all()
        assert (image.coverage[5:] == 255).all()
        assert (image.luma[:5] == 0).all()
        assert np.corrcoef(image.luma[5:].ravel(), scene()[5:].ravel())[0, 1] > 0.999
        assert {note.code for note in image.notes} == {"flat-range", "no-data"}


def test_no_data_of_colour_is_that_of_all_channels(tmp_path):
    array = np.full((4, 5, 3), 90, np.uint8)
    array[0], array[1, :, 0] = 0, 0
    image = read(tmp_path, array, ReadOptions(nodata=0), photometric="rgb")
    assert (image.coverage == 0).sum(axis=1).tolist() == [5, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "neither"),
        ("hot", "neither"),
        ("1", "neither"),
        ("p1,99", "neither"),
        ("40,20", "less than the second"),
        ("20,20", "less than the second"),
        ("p-1,p50", "percentiles"),
        ("p50,p101", "percentiles"),
        ("nan,3", "neither"),
        ("1,inf", "neither"),
        ("1,1e999", "neither"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(text, reason):
    with pytest.raises(UsageError, match=reason):
        parse_value_range(text)


def fourth(alpha):
    rgb = np.full((60, 80, 3), (200, 120, 40), np.uint8)
    return np.dstack([rgb, alpha])


def test_a_fourth_channel_that_is_a_picture_is_no_mask(tmp_path, make_png):
    thermal = (255 * scene()).astype(np.uint8)
    (tmp_path / "x.png").write_bytes(make_png(fourth(thermal)))
    image = read_image(tmp_path / "x.png")
    assert image.coverage is None
    assert image.notes[0].code == "thermal-alpha"
    assert "--split" in image.notes[0]
    only = read_image(tmp_path / "x.png", ReadOptions(fourth_channel="only"))
    np.testing.assert_array_equal(image_to_array(only), thermal)
    rest = read_image(tmp_path / "x.png", ReadOptions(fourth_channel="drop"))
    assert rest.notes == ()
    assert image_to_array(rest)[0, 0].tolist() == [200, 120, 40]


def test_a_mask_with_soft_edges_is_a_mask(tmp_path, make_png):
    alpha = np.clip(np.linspace(-900, 1100, 80), 0, 255)
    soft = np.broadcast_to(alpha, (60, 80)).astype(np.uint8)
    (tmp_path / "x.png").write_bytes(make_png(fourth(soft)))
    image = read_image(tmp_path / "x.png")
    np.testing.assert_array_equal(image.coverage, soft)


def test_a_file_without_a_fourth_channel_cannot_be_split(tmp_path, make_png, noise):
    (tmp_path / "x.png").write_bytes(make_png(noise(5, 6, 3)))
    with pytest.raises(InputError, match=r"x\.png has no fourth channel"):
        read_image(tmp_path / "x.png", ReadOptions(fourth_channel="only"))
