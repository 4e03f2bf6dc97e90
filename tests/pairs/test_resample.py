from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from lkcfuse.errors import InputError
from lkcfuse.images import image_from_array, image_to_array
from lkcfuse.pairs import Pair, PairOptions, prepare_pair
from lkcfuse.pairs.resample import resize_image, resize_matrix, warp_image


def smooth(height, width, dtype=np.uint8, channels=0):
    """A smooth pattern over the same field of view, whatever the grid."""
    y, x = ((np.arange(n) + 0.5) / n for n in (height, width))
    unit = 0.5 + 0.4 * np.sin(7 * x)[None] * np.cos(5 * y)[:, None]
    if channels:
        unit = np.stack([unit**k for k in range(1, channels + 1)], axis=-1)
    top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    return (unit * top).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("size", [(60, 80), (240, 320), (60, 320)])
def test_scaled_images_show_what_they_showed(dtype, channels, size):
    image = image_from_array(smooth(120, 160, dtype, channels))
    scaled = resize_image(image, size)
    assert scaled.size == size
    assert scaled.luma_samples.dtype == dtype
    assert (scaled.chroma_samples is scaled.luma_samples) == bool(channels)
    wanted = image_from_array(smooth(*size, dtype, channels))
    assert np.abs(scaled.luma - wanted.luma).max() < 0.02


def test_shrinking_averages_and_growing_keeps_within_the_range():
    checks = (np.indices((40, 40)).sum(0) % 2 * 255).astype(np.uint8)
    small = resize_image(image_from_array(checks), (20, 20))
    assert np.abs(small.luma_samples.astype(int) - 127.5).max() <= 1
    for dtype in (np.uint8, np.uint16, np.float32):
        edge = np.zeros((8, 8), dtype)
        edge[:, 4:] = 1 if dtype == np.float32 else np.iinfo(dtype).max
        large = resize_image(image_from_array(edge), (32, 32)).luma_samples
        assert (large[:, :4] <= large.max() / 50).all()  # nothing wraps
        assert (large[:, -4:] >= large.max() * 0.95).all()
        assert large.max() == edge.max()


def test_what_has_no_data_does_not_bleed():
    array = np.full((20, 20), 200, np.uint8)
    array[:, :10] = 0
    coverage = np.where(array > 0, 255, 0).astype(np.uint8)
    image = dataclasses.replace(image_from_array(array), coverage=coverage)
    for size in ((10, 10), (50, 50), (13, 30)):
        scaled = resize_image(image, size)
        assert scaled.coverage is not None
        has_data = scaled.coverage > 0
        assert abs(has_data.mean() - 0.5) <= 1 / size[1]
        assert np.abs(scaled.luma_samples[has_data].astype(int) - 200).max() <= 1


def test_a_warp_samples_where_it_says_and_covers_what_it_has():
    array = smooth(60, 80)
    moved = warp_image(
        image_from_array(array), (60, 80), np.array([[1, 0, 7], [0, 1, -4], [0, 0, 1.0]])
    )
    np.testing.assert_array_equal(moved.luma_samples[4:, :-7], array[:-4, 7:])
    assert moved.coverage is not None
    covered = np.zeros((60, 80), bool)
    covered[4:, :-7] = True
    np.testing.assert_array_equal(moved.coverage > 0, covered)
    still = warp_image(image_from_array(array), (60, 80), np.eye(3))
    assert still.coverage is None
    np.testing.assert_array_equal(still.luma_samples, array)


def test_a_warp_that_shrinks_does_not_alias():
    rows = np.indices((240, 320))[0] % 2 * np.uint8(255)
    small = warp_image(
        image_from_array(rows.astype(np.uint8)), (60, 80), resize_matrix((60, 80), (240, 320))
    )
    assert np.abs(small.luma_samples[2:-2, 2:-2].astype(int) - 127).max() <= 6


def test_colours_are_warped_with_the_luma():
    array = smooth(60, 80, channels=3)
    matrix = cv2.getRotationMatrix2D((40, 30), 10, 1.1)
    matrix = np.vstack([matrix, [0, 0, 1]])
    warped = warp_image(image_from_array(array), (60, 80), matrix)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    wanted = cv2.warpPerspective(
        array, matrix, (80, 60), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    assert warped.coverage is not None
    inside = cv2.erode(warped.coverage, np.ones((9, 9), np.uint8)) > 0
    difference = image_to_array(warped)[inside].astype(int) - wanted[inside]
    assert np.abs(difference).max() <= 3


def test_too_large_to_warp_is_refused():
    image = image_from_array(np.zeros((1, 40_000), np.uint8), name="strip.png")
    with pytest.raises(InputError, match=r"strip\.png .*40000x1"):
        warp_image(image, (10, 10), np.eye(3))


def test_the_pair_is_on_the_grid_that_was_asked_for():
    first, second = (image_from_array(smooth(*size), name=f"{size}") for size in GRIDS)
    with pytest.raises(InputError, match=r"--resize .*--transform"):
        prepare_pair(first, second, PairOptions())
    for grid in ("first", "second"):
        size = GRIDS[grid == "second"]
        scaled = prepare_pair(first, second, PairOptions(resize=grid))
        matrix = tuple(resize_matrix(GRIDS[1], GRIDS[0]).ravel())
        warped = prepare_pair(first, second, PairOptions(transform=matrix, grid=grid))
        for pair in (scaled, warped):
            assert isinstance(pair, Pair)
            assert pair.size == size
            assert np.abs(pair.first.luma - pair.second.luma).max() < 0.02


GRIDS = (60, 80), (120, 160)
