"""One range of values for all of a batch, so that the frames of a sequence keep one tone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lkcfuse.batch.plan import Plan
from lkcfuse.errors import InputError
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.ranges import HIGH_PERCENTILE, LOW_PERCENTILE
from lkcfuse.images.reading import sample_values
from lkcfuse.pairs import PairOptions
from lkcfuse.remote import Location

SCAN = "scan"
"""The `value_range` that stands for one that is found by looking at all files."""

# Values kept in memory, and the fewest and most taken of a file.
_TOTAL, _FEWEST, _MOST = 1 << 24, 1 << 8, 1 << 16


def scan_ranges(
    plan: Plan, options: PairOptions, *, progress: Callable[[float, float], None] | None = None
) -> PairOptions:
    """Return options in which a range to be found is one of numbers.

    Args:
        plan: Whose files to look at; all of them, also where a shard does a part.
        options: `value_range` is `scan` for a source whose range is to be found.
        progress: Called with (files done, files in all).

    Raises:
        InputError: A file cannot be read, or none has data.
    """
    report = progress or (lambda _done, _total: None)
    if options.first.value_range == SCAN:
        files = [pair.first for pair in plan.pairs]
        options = replace(options, first=_scanned(files, options.first, report))
    if options.second.value_range == SCAN:
        files = [pair.second for pair in plan.pairs]
        options = replace(options, second=_scanned(files, options.second, report))
    return options


def _scanned(
    files: list[Location], options: ReadOptions, report: Callable[[float, float], None]
) -> ReadOptions:
    if not files:
        return replace(options, value_range="auto")
    each = max(_FEWEST, min(_MOST, _TOTAL // len(files)))
    found = []
    for number, file in enumerate(files):
        found.append(sample_values(file, options, count=each).astype(np.float64))
        report(number + 1, len(files))
    values = np.concatenate(found)
    if values.size == 0:
        raise InputError(f"{files[0]} and the others contain no data, so no range can be found")
    low, high = np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE], method="nearest")
    if low == high:
        low, high = values.min(), values.max()
    if low == high:
        raise InputError(
            f"{files[0]} and the others have one value everywhere ({low:g}): there is no range"
        )
    return replace(options, value_range=f"{low:.9g},{high:.9g}")
