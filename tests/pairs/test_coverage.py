from __future__ import annotations

import numpy as np
import pytest

from lkcfuse.pairs.coverage import SEAM, blend_over_gaps, fill_gaps, without_gaps


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


def test_the_result_is_the_other_source_in_a_gap_and_fades_into_the_fusion():
    first, second = planes(0.9, 0.3)
    fused = np.full_like(first, 0.5)
    blend_over_gaps(fused, first, second, (half((6, 64), left=True), None))
    assert np.allclose(fused[:, 32:], 0.3)
    assert np.allclose(fused[:, : 32 - SEAM], 0.5)
    steps = np.diff(fused[3])
    assert (steps <= 1e-6).all()
    assert np.abs(steps).max() < 0.2 / (SEAM - 2)


def test_what_neither_source_has_is_black():
    first, second = planes(0.9, 0.3)
    fused = np.full_like(first, 0.5)
    gap = half((6, 64), left=True)
    blend_over_gaps(fused, first, second, (gap, gap))
    assert (fused[:, 32:] == 0).all()
    assert (fused[:, :32] > 0.29).all()


def test_no_colour_is_made_up_in_a_gap():
    samples = np.full((6, 64, 3), (200, 10, 30), np.uint8)
    known = without_gaps(samples, half((6, 64), left=True))
    assert (known[:, 32:] == 0).all()
    assert (known[:, :32] == samples[:, :32]).all()
    assert (samples[:, 32:] == (200, 10, 30)).all()
    assert without_gaps(samples, None) is samples
