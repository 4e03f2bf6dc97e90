from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from allocations import traced_peak

from lkcfuse.images import image_from_array, samples
from lkcfuse.pairs import Pair


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


@pytest.mark.parametrize("invert", [False, True])
def test_the_stack_shows_the_other_source_through_what_is_transparent(noise, invert):
    first, second = image_from_array(noise(6, 5)), image_from_array(noise(6, 5, 3)[::-1])
    coverage = np.full((6, 5), 255, np.uint8)
    coverage[:2], coverage[2] = 0, 51
    plain = Pair(first, second).stack(("first", "second"), invert_first=invert)
    seen = Pair(replace(first, coverage=coverage), second)
    planes = seen.stack(("first", "second"), invert_first=invert)
    share = coverage[..., None].squeeze() / 255
    np.testing.assert_allclose(planes[0], share * plain[0] + (1 - share) * plain[1], atol=2e-6)
    np.testing.assert_array_equal(planes[1], plain[1])


@pytest.mark.parametrize("which", ["first", "second", None])
def test_the_constant_source_is_named(noise, which):
    images = {name: image_from_array(noise(6, 5)) for name in ("first", "second")}
    if which is not None:
        images[which] = image_from_array(np.full((6, 5), 7, np.uint8))
    assert Pair(**images).constant() == which


def test_of_two_constant_sources_neither_is_better():
    flat = image_from_array(np.full((6, 5), 7, np.uint8))
    assert Pair(flat, flat).constant() is None


def test_the_stack_takes_its_own_memory_and_no_more(noise, monkeypatch):
    monkeypatch.setattr(samples, "_BAND_PIXELS", 1 << 14)
    array = noise(1536, 2048, 3)
    pair = Pair(image_from_array(array), image_from_array(array[::-1]))
    with traced_peak() as peak:
        planes = pair.stack(invert_first=True)
        assert peak() < planes.nbytes * 1.06
