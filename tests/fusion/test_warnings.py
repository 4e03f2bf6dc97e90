from __future__ import annotations

import numpy as np
import pytest

from lkcfuse.errors import RefusedError
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.images import image_from_array
from lkcfuse.images.image import Image
from lkcfuse.pairs import Pair


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def fuser(maximum_weights):
    told = []
    made = Fuser("ir-vis", weights=maximum_weights, device="cpu", threads=1, notify=told.append)
    made.told = told
    return made


@pytest.mark.parametrize("level", [0, 140])
@pytest.mark.parametrize("dead", ["first", "second"])
def test_a_constant_source_gives_way_to_the_other(fuser, dead, level):
    flat = image_from_array(np.full((20, 30), level, np.uint8), name="flat.png")
    alive = image_from_array(noise(0, 20, 30), name="alive.png")
    pair = Pair(flat, alive) if dead == "first" else Pair(alive, flat)
    fused = fuser.fuse_pair(pair)
    np.testing.assert_allclose(fused.luma, alive.luma, atol=1e-6)
    assert [note.code for note in fuser.told] == ["constant-source"]
    assert "flat.png" in fuser.told[0]
    assert fused.notes == tuple(fuser.told)


def test_a_refused_pair_is_not_fused(fuser):
    flat = image_from_array(np.zeros((20, 30), np.uint8), name="flat.png")
    alive = image_from_array(noise(0, 20, 30), name="alive.png")
    with pytest.raises(RefusedError, match=r"flat\.png.*--fail-on-warning"):
        fuser.fuse_pair(Pair(flat, alive), refuse_warnings=True)
    assert fuser.told == []
    other = image_from_array(noise(1, 20, 30), name="other.png")
    assert fuser.fuse_pair(Pair(alive, other), refuse_warnings=True).notes == ()


def test_a_gap_shows_the_other_source_and_a_gap_in_both_is_transparent(fuser):
    coverage = np.full((40, 60), 255, np.uint8)
    coverage[:, 40:] = 0
    first = image_from_array(noise(0, 40, 60))
    second = image_from_array(noise(1, 40, 60))
    holed = Image(first.luma_samples, None, first.dtype, coverage=coverage)
    fused = fuser.fuse_pair(Pair(holed, second))
    np.testing.assert_allclose(fused.luma[:, 48:], second.luma[:, 48:], atol=1e-6)
    assert fused.coverage is None
    both = Image(second.luma_samples, None, second.dtype, coverage=coverage)
    fused = fuser.fuse_pair(Pair(holed, both))
    assert (fused.luma[:, 40:] == 0).all()
    np.testing.assert_array_equal(fused.coverage, coverage)


def test_a_constant_second_source_does_not_tint_the_first(fuser):
    red = image_from_array(np.full((20, 30, 3), (200, 10, 30), np.uint8), name="red.png")
    alive = image_from_array(noise(0, 20, 30), name="alive.png")
    fused = fuser.fuse_pair(Pair(alive, red))
    assert fused.chroma is None
    np.testing.assert_allclose(fused.luma, alive.luma, atol=1e-6)


def test_what_the_one_source_left_has_no_data_of_is_transparent(fuser):
    coverage = np.full((20, 30), 255, np.uint8)
    coverage[:, 20:] = 0
    flat = image_from_array(np.zeros((20, 30), np.uint8))
    alive = image_from_array(noise(0, 20, 30))
    holed = Image(alive.luma_samples, None, alive.dtype, coverage=coverage)
    fused = fuser.fuse_pair(Pair(flat, holed))
    np.testing.assert_array_equal(fused.coverage, coverage)
    assert (fused.luma[:, 20:] == 0).all()
