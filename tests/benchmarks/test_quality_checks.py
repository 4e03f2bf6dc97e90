"""The checks of benchmarks/quality.py on planes whose answers are worked out by hand."""

import numpy as np
import pytest
from quality_checks import (
    TURNS,
    darkening,
    detail_kept,
    equivariance,
    flat_excess,
    hottest_difference,
    outshone,
    quarter_difference,
    size_difference,
)


def plane(level, height=64, width=64):
    return np.full((height, width), float(level))


def noise(low, high, *, seed=0, height=64, width=64):
    return np.random.default_rng(seed).integers(low, high, (height, width)).astype(float)


def test_a_picture_20_levels_darker_than_its_brighter_source_is_darkened_by_20():
    first, second = plane(100), plane(60)
    assert darkening(first - 20, first, second) == (20, 1)


def test_the_brighter_source_is_chosen_block_by_block_and_brighter_blocks_count_as_none():
    first, second = plane(50, 16, 32), plane(50, 16, 32)
    first[:, :16], second[:, 16:] = 90, 80
    fused = plane(0, 16, 32)
    fused[:, :16], fused[:, 16:] = 82, 200
    # 8 levels below in one block, none in the other, and 8 are not more than 12.
    assert darkening(fused, first, second) == (4, 0)
    fused[:, :16] = 90 - 12.5
    assert darkening(fused, first, second) == (6.25, 0.5)


def test_darkening_leaves_out_what_fills_no_block_and_takes_a_small_picture_for_one():
    fused = plane(100, 20, 40)
    fused[16:], fused[:, 32:] = 0, 0
    assert darkening(fused, plane(100, 20, 40), plane(0, 20, 40)) == (0, 0)
    assert darkening(plane(70, 5, 9), plane(100, 5, 9), plane(0, 5, 9)) == (30, 1)


def test_the_detail_of_a_perfect_copy_is_1_and_of_its_negative_minus_1():
    source, other = noise(60, 100), plane(150)
    assert detail_kept(source, source, other) == pytest.approx(1)
    assert detail_kept(255 - source, source, other) == pytest.approx(-1)
    # Contrast and tone are no part of it.
    assert detail_kept(0.25 * source + 130, source, other) == pytest.approx(1)


def test_none_of_a_source_is_kept_in_a_flat_result_or_the_other_source():
    source, other = noise(60, 100), noise(150, 200, seed=1)
    assert detail_kept(plane(150), source, other) == 0
    assert detail_kept(other, source, other) == pytest.approx(0, abs=0.06)


def test_half_a_source_and_half_of_an_equal_other_one_correlate_by_the_root_of_a_half():
    source, other = (noise(60, 100, seed=s, height=256, width=256) for s in (0, 1))
    kept = detail_kept(source + other, source, plane(200, 256, 256))
    assert kept == pytest.approx(0.5**0.5, abs=0.01)


def test_detail_is_sought_where_the_other_source_is_brighter_but_neither_black_nor_clipped():
    source = np.array([[25.0, 26, 100, 100, 100, 100]])
    other = np.array([[200.0, 200, 110, 111, 234, 235]])
    assert outshone(source, other).tolist() == [[False, True, False, True, True, False]]


def test_detail_outside_the_mask_does_not_count():
    source, other = noise(60, 100), plane(150)
    other[:, :32] = 0
    fused = source.copy()
    # Farther from the mask than the blur reaches.
    fused[:, :16] = noise(0, 255, seed=3)[:, :16]
    assert detail_kept(fused, source, other) == pytest.approx(1)


def test_too_few_pixels_or_no_detail_leave_the_check_undefined():
    source, other = noise(60, 100), plane(0)
    other.flat[:499] = 150
    assert detail_kept(source, source, other) is None
    other.flat[499] = 150
    assert detail_kept(source, source, other) == pytest.approx(1)
    assert detail_kept(source, plane(60), plane(150)) is None


def test_a_function_of_single_pixels_is_equivariant():
    first, second = noise(0, 256, height=24, width=36), noise(0, 256, seed=1, height=24, width=36)
    found = equivariance(np.maximum, first, second)
    assert list(found) == list(TURNS)
    assert set(found.values()) == {(0, 0)}


def test_a_slope_along_the_rows_shows_in_each_turn_by_what_it_differs():
    def brighter_to_the_right(first, second):
        return first + np.arange(first.shape[1])

    first = plane(0, 4, 8)
    found = equivariance(brighter_to_the_right, first, first)
    # Columns 0..7 flipped: |7 - 2i| is 7, 5, 3, 1, 1, 3, 5, 7.
    assert found["left-right"] == (4, 7)
    assert found["up-down"] == (0, 0)
    # Turned by a quarter or transposed and back, the slope runs down the rows.
    rows, columns = np.mgrid[:4, :8]
    down = (np.abs(rows - columns).mean(), 7)
    assert found["quarter turn"] == found["transpose"] == down


@pytest.mark.parametrize("turn", TURNS)
def test_each_turn_is_undone(turn):
    forth, back = TURNS[turn]
    picture = noise(0, 256, height=5, width=7)
    assert not np.array_equal(forth(picture), picture)
    assert np.array_equal(back(forth(picture)), picture)


def test_equivariance_is_checked_on_a_crop_to_multiples_of_4():
    sizes = []

    def note_size(first, second):
        sizes.append(first.shape)
        return np.maximum(first, second)

    equivariance(note_size, plane(1, 9, 15), plane(2, 9, 15))
    assert set(sizes) == {(8, 12), (12, 8)}


def test_a_method_that_looks_at_single_pixels_fuses_a_quarter_as_it_does_the_whole():
    first, second = noise(0, 256), noise(0, 256, seed=1)
    assert quarter_difference(np.maximum, first, second, np.maximum(first, second)) == 0


def test_a_quarter_differs_by_what_the_mean_of_the_whole_adds():
    def with_mean(first, second):
        return first + second.mean()

    first, second = plane(10), plane(0)
    second[16:48, 16:48] = 80  # the centre's mean is 80, the whole's 20
    whole = with_mean(first, second)
    assert quarter_difference(with_mean, first, second, whole) == 60


@pytest.mark.parametrize("side", [128, 32])
def test_the_size_of_a_flat_pair_makes_no_difference_to_the_maximum(side):
    first, second = plane(10, 64, 48), plane(90, 64, 48)
    whole = np.maximum(first, second)
    assert size_difference(np.maximum, first, second, whole, side) == pytest.approx((0, 0))


def test_a_method_that_adds_its_height_differs_by_what_the_scaling_adds():
    sizes = []

    def add_height(first, second):
        sizes.append(first.shape)
        return first + first.shape[0]

    first = plane(10, 64, 48)
    assert size_difference(add_height, first, first, add_height(first, first), 128) == (64, 64)
    assert size_difference(add_height, first, first, add_height(first, first), 32) == (32, 32)
    assert sizes == [(64, 48), (128, 96), (64, 48), (32, 24)]


def test_what_scaling_loses_is_told_from_what_the_size_changes():
    stripes = plane(100, 64, 64)
    stripes[:, ::2] = 200
    whole = np.maximum(stripes, 0)
    found = size_difference(np.maximum, stripes, plane(0), whole, 32)
    # Half as large, the stripes are gone: the grey between them is 50 from either.
    assert found.all == pytest.approx(50, abs=2)
    assert found.beyond_scaling == pytest.approx(0)


def test_the_hottest_pixels_are_those_with_the_largest_of_red_green_and_blue():
    source = plane(50, 10, 10)
    heat = np.arange(100.0).reshape(10, 10)  # pixel 0 is black; the hottest 3 of 99 are 97..99
    fused = source.copy()
    fused.flat[97:] = (20, 50, 50)
    fused.flat[96] = 255
    assert hottest_difference(fused, source, heat) == -10
    assert hottest_difference(fused, source, plane(0, 10, 10)) is None


def test_black_pixels_do_not_make_the_hottest_ones_more():
    source, heat = plane(0, 10, 100), plane(0, 10, 100)
    heat.flat[:100] = np.arange(1, 101)
    fused = source.copy()
    fused.flat[97:100] = 30
    assert hottest_difference(fused, source, heat) == 30


def test_a_flat_area_that_got_a_grid_is_rougher_by_the_grid_s_deviation():
    flat = plane(100, 20, 20)
    grid = flat + 3 * (-1.0) ** np.add.outer(np.arange(20), np.arange(20))
    excess = flat_excess(grid, flat, flat)
    assert len(excess) == 6 * 6
    # 113 and 112 squares of either sign in a window of 225.
    assert excess == pytest.approx(3, abs=0.001)
    assert len(flat_excess(flat, grid, flat)) == 0
