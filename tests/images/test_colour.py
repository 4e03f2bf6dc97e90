from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lkcfuse.images.colour import rgb_to_luma, rgb_to_ycbcr, ycbcr_to_rgb
from lkcfuse.images.image import Image, image_from_array, image_to_array

unit = st.floats(0, 1, width=32)


def test_primaries_have_the_luma_of_the_standard():
    primaries = np.eye(3, dtype=np.float32)[None]
    np.testing.assert_allclose(rgb_to_luma(primaries), [[0.299, 0.587, 0.114]], atol=1e-7)


def test_blue_and_red_reach_the_ends_of_the_chroma_range():
    _, chroma = rgb_to_ycbcr(np.array([[[0, 0, 1], [1, 0, 0], [1, 1, 0]]], np.float32))
    np.testing.assert_allclose(chroma[0, 0, 0], 0.5, atol=1e-6)
    np.testing.assert_allclose(chroma[0, 1, 1], 0.5, atol=1e-6)
    np.testing.assert_allclose(chroma[0, 2, 0], -0.5, atol=1e-6)


def test_agrees_with_pillow_to_the_rounding():
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    luma, chroma = rgb_to_ycbcr(rgb / np.float32(255))
    ours = np.concatenate([luma[..., None], chroma + np.float32(128 / 255)], axis=-1) * 255
    theirs = np.asarray(PIL.Image.fromarray(rgb).convert("YCbCr"), np.float32)
    assert np.abs(ours - theirs).max() <= 1


@given(hnp.arrays(np.float32, (3, 4, 3), elements=unit))
def test_own_luma_gives_the_colour_back(rgb):
    np.testing.assert_allclose(ycbcr_to_rgb(*rgb_to_ycbcr(rgb)), rgb, atol=2e-6)


@given(
    hnp.arrays(np.float32, (4, 5), elements=unit),
    hnp.arrays(np.float32, (4, 5, 3), elements=unit),
)
def test_any_luma_with_any_chroma_keeps_the_luma_and_the_hue(luma, rgb):
    chroma = rgb_to_ycbcr(rgb)[1]
    merged = ycbcr_to_rgb(luma, chroma)
    assert merged.min() >= 0
    assert merged.max() <= 1
    got_luma, got_chroma = rgb_to_ycbcr(merged)
    np.testing.assert_allclose(got_luma, luma, atol=2e-6)
    # The chroma is the wanted one times a factor in [0, 1]: parallel, same sense, not longer.
    cross = got_chroma[..., 0] * chroma[..., 1] - got_chroma[..., 1] * chroma[..., 0]
    np.testing.assert_allclose(cross, 0, atol=1e-6)
    assert ((got_chroma * chroma).sum(-1) >= -1e-6).all()
    assert (np.abs(got_chroma) <= np.abs(chroma) + 1e-6).all()


@given(
    hnp.arrays(np.float32, (4, 5), elements=st.floats(1 / 64, 63 / 64, width=32)),
    hnp.arrays(np.float32, (4, 5, 3), elements=unit),
)
def test_no_more_chroma_is_given_up_than_must_be(luma, rgb):
    chroma = rgb_to_ycbcr(rgb)[1]
    merged = ycbcr_to_rgb(luma, chroma)
    reduced = np.abs(rgb_to_ycbcr(merged)[1] - chroma).max(-1) > 1e-4
    at_a_face = (merged.min(-1) < 1e-5) | (merged.max(-1) > 1 - 1e-5)
    assert at_a_face[reduced].all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(
    luma=hnp.arrays(np.float32, (4, 5), elements=unit),
    rgb=hnp.arrays(np.float32, (4, 5, 3), elements=unit),
)
def test_written_samples_have_the_wanted_luma_within_a_level(dtype, luma, rgb):
    merged = image_to_array(Image(luma, rgb, np.dtype(dtype)))
    written = image_from_array(merged).luma
    levels = np.iinfo(dtype).max
    # Half a level from rounding R, G and B; the rest is float32.
    slack = 0.52 if dtype == np.uint8 else 0.6
    assert np.abs(written - luma).max() * levels <= slack
    assert np.abs(np.rint(written * levels) - np.rint(luma * levels)).max() <= 1
