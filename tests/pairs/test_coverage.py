from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lkcfuse.images import image_from_array
from lkcfuse.pairs.coverage import SEAM, blend_over_gaps, fill_gaps, is_constant, without_gaps


def half(size, *, left):
    coverage = np.zeros(size, np.uint8)
    coverage[:, : size[1] // 2] = 255
    return coverage if left else 255 - coverage


def planes(*levels, size=(6, 64)):
    return np.stack([np.full(size, level, np.float32) for level in levels])


@pytest.mark.parametrize("which", [0, 1])
def test_a_gap_is_filled_with_the_other_luma(which):
    pair = planes(0.2, 0.7)
    gaps = [None, None]
    gaps[which] = half((6, 64), left=True)
    fill_gaps(pair, tuple(gaps))
    assert np.allclose(pair[which, :, :32], [0.2, 0.7][which])
    assert np.allclose(pair[which, :, 32:], [0.7, 0.2][which])
    assert np.allclose(pair[1 - which], [0.7, 0.2][which])


def test_the_fusion_fades_into_the_other_source_inside_the_gap():
    first, second = planes(0.9, 0.3)
    fused = np.full_like(first, 0.5)
    blend_over_gaps(fused, first, second, (half((6, 64), left=True), None))
    assert (fused[:, :32] == 0.5).all()
    assert np.allclose(fused[:, 32 + SEAM :], 0.3)
    steps = np.diff(fused[3])
    assert (steps <= 1e-6).all()
    assert np.abs(steps).max() < 0.2 / (SEAM - 2)


def test_what_neither_source_has_is_black():
    first, second = planes(0.9, 0.3)
    fused = np.full_like(first, 0.5)
    gap = half((6, 64), left=True)
    blend_over_gaps(fused, first, second, (gap, gap))
    assert (fused[:, 32:] == 0).all()
    assert (fused[:, :32] == 0.5).all()


def test_a_source_without_any_data_adds_nothing():
    first, second = planes(0.9, 0.3)
    fused = np.full_like(first, 0.5)
    blend_over_gaps(fused, first, second, (np.zeros((6, 64), np.uint8), None))
    assert np.allclose(fused, 0.3)


@pytest.mark.parametrize(
    ("dtype", "spread", "constant"),
    [(np.uint8, 2, True), (np.uint8, 3, False), (np.uint16, 0, True), (np.uint16, 1, False)],
)
def test_a_closed_shutter_is_constant(noise, dtype, spread, constant):
    array = (100 + noise(300, 1000) % (spread + 1)).astype(dtype)
    assert is_constant(image_from_array(array)) == constant
    array[7, 9] = 250
    image = image_from_array(array)
    assert not is_constant(image)
    coverage = np.full(array.shape, 255, np.uint8)
    coverage[7, 9] = 0
    assert is_constant(replace(image, coverage=coverage)) == constant
    assert is_constant(replace(image, coverage=np.zeros_like(coverage)))


def test_no_colour_is_made_up_in_a_gap():
    samples = np.full((6, 64, 3), (200, 10, 30), np.uint8)
    known = without_gaps(samples, half((6, 64), left=True))
    assert (known[:, 32:] == 0).all()
    assert np.allclose(known[:, :32], samples[:, :32] / 255)
    assert (samples[:, 32:] == (200, 10, 30)).all()
    assert without_gaps(samples, None) is samples
