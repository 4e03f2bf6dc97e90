"""Whether methods differ by more than chance: paired tests, corrected for their number."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec

LEVEL = 0.05
"""Below this p a difference counts as significant."""


def is_available() -> bool:
    """Whether scipy is installed, which computes the tests (`pip install 'lkcfuse[stats]'`)."""
    try:
        return find_spec("scipy") is not None
    except ValueError:
        return False  # blocked


def paired_p(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test on paired values.

    Pairs without a difference are left out, as Wilcoxon has it; p is 1 where none has one. It is
    exact for few pairs without ties, and a normal approximation otherwise: see
    `scipy.stats.wilcoxon`.

    Args:
        values: One value per pair.
        others: Those of the other method, in the same order.

    Source:
        Wilcoxon: Individual comparisons by ranking methods. Biometrics Bulletin 1, 1945.

    Example:
        >>> paired_p([1, 2, 3, 4, 5, 6], [2, 4, 6, 8, 10, 12])
        0.03125
    """
    from scipy.stats import wilcoxon

    if not values or all(map(float.__eq__, map(float, values), map(float, others))):
        return 1.0
    with warnings.catch_warnings():
        # It warns of the small samples for which it is exact or approximate as documented.
        warnings.simplefilter("ignore")
        return float(wilcoxon(values, others).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number by Holm's step-down method, in the given order.

    Each is the largest of those at most as large, times how many are left when it is reached, and
    at most 1. Calling those under a level significant keeps the chance of a single false one
    under that level.

    Source:
        Holm: A simple sequentially rejective multiple test procedure. Scand. J. Stat. 6, 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - done)))
        corrected[index] = largest
    return corrected


def smallest_p(pairs: int, comparisons: int) -> float:
    """Return the smallest corrected p that so many pairs and comparisons can give.

    Example:
        >>> smallest_p(pairs=5, comparisons=1)
        0.0625
    """
    return min(1.0, comparisons * 2.0 ** (1 - pairs))
