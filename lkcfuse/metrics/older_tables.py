"""Tables as they were once written, with rows `mean` and `std` at the end.

They are recognised so that they may be replaced without a question.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence

from lkcfuse import strict_json
from lkcfuse.metrics.registry import METRICS
from lkcfuse.metrics.table import KEYS, Row, Table, rounded

_SUMMARIES = ("mean", "std")
_DIGITS = 1e-9


def is_own(data: bytes) -> bool:
    """Whether these are the bytes of such a table, unchanged."""
    try:
        if data.startswith(b"{"):
            record = strict_json.loads(data)
            if set(record) != {"rows", "summary"} or data != _json(record):
                return False
            return _belong(_rows(record["rows"]), _rows(record["summary"]))
        table = Table.from_csv(data)
        if not set(table.metrics) <= METRICS.keys() or table.to_csv() != data:
            return False
        # Every method has a mean, then every method a standard deviation.
        count = len(_SUMMARIES) * len({row.method for row in table.rows})
        return _belong(table.rows[:-count], table.rows[-count:])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return False


def _json(record: object) -> bytes:
    return (json.dumps(record, indent=1) + "\n").encode()


def _rows(records: Sequence[dict[str, object]]) -> tuple[Row, ...]:
    for record in records:
        if tuple(record)[:2] != KEYS or not set(tuple(record)[2:]) <= METRICS.keys():
            raise ValueError("not a row of ours")
    return tuple(
        Row(name, method, tuple(values))  # type: ignore[arg-type]
        for name, method, *values in (record.values() for record in records)
    )


def _belong(rows: Sequence[Row], summary: Sequence[Row]) -> bool:
    """Whether means and standard deviations are those of the rows."""
    methods = tuple(dict.fromkeys(row.method for row in rows))
    expected = [(name, method) for name in _SUMMARIES for method in methods]
    if not rows or [(row.name, row.method) for row in summary] != expected:
        return False
    for row in summary:
        columns = zip(*(other.values for other in rows if other.method == row.method), strict=True)
        for cell, column in zip(row.values, columns, strict=True):
            values = [value for value in column if value is not None]
            if not all(map(math.isfinite, values)):
                return False
            if not _agree(cell, _summarise(row.name, values), max(map(abs, values), default=0)):
                return False
    return True


def _summarise(name: str, values: Sequence[float]) -> float | None:
    if len(values) < 1 + (name == "std"):
        return None
    return rounded(statistics.fmean(values) if name == "mean" else statistics.stdev(values))


def _agree(one: float | None, other: float | None, scale: float) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _DIGITS * scale
