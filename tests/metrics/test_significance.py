from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkcfuse.metrics.significance import holm, is_available, paired_p, smallest_p


def test_wilcoxon_by_hand():
    """All of n differences have one sign: 2 of the 2^n assignments of signs are as extreme."""
    assert paired_p([float(n) for n in range(1, 9)], [0.0] * 8) == pytest.approx(2 / 2**8)
    assert smallest_p(8, 1) == 2 / 2**8
    # Ranks 1, 2, 3 and signs +, +, -: sums 3 and 3, as balanced as can be.
    assert paired_p([1.0, 2.0, -3.0], [0.0] * 3) == 1


def test_no_difference_is_no_difference():
    assert paired_p([1.0, 2.0], [1.0, 2.0]) == 1
    assert paired_p([], []) == 1


def test_holm_by_hand():
    assert holm([0.01, 0.02, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_lies_between_none_and_bonferroni_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    for p, c in zip(p_values, corrected, strict=True):
        assert p <= c <= min(1, p * len(p_values)) + 1e-12
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [corrected[i] for i in order] == sorted(corrected)


def test_scipy_is_here():
    assert is_available()
