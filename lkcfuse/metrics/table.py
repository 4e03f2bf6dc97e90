"""The table of scores: rows, their mean and standard deviation, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lkcfuse import strict_json
from lkcfuse.atomic import atomic_write, check_destination, may_replace
from lkcfuse.errors import UsageError
from lkcfuse.metrics.registry import METRICS
from lkcfuse.metrics.scoring import Score

_KEYS = ("name", "method")

# What a spreadsheet takes for a formula, whether or not it is quoted.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]")
_DIGITS = 10
# Without one it may be a pipe or a device.
_SUFFIXES = ("", ".csv", ".json", ".txt")


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: The pair's relative stem, or `mean` or `std`.
        method: The method's name.
        values: One per column, with ten significant digits; None where undefined or infinite.
    """

    name: str
    method: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Table:
    """Scores by pair and method.

    Attributes:
        metrics: The columns after `name` and `method`.
        rows: One row per pair and method.
    """

    metrics: tuple[str, ...]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, metrics: Sequence[str], scores: Sequence[Score]) -> Table:
        """Make a table of scores; a metric that a score lacks is undefined there."""
        rows = (
            Row(s.name, s.method, tuple(_cell(s.values.get(metric)) for metric in metrics))
            for s in scores
        )
        return cls(tuple(metrics), tuple(rows))

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, in the order in which they first appear."""
        return tuple(dict.fromkeys(row.method for row in self.rows))

    @property
    def summary(self) -> tuple[Row, ...]:
        """A `mean` row for each method, then a `std` row for each.

        Both are over the rows in which a metric is defined. The standard deviation is the
        sample's (n - 1), undefined for fewer than two.
        """
        columns = {
            method: [
                [value for value in column if value is not None]
                for column in zip(*(r.values for r in self.rows if r.method == method), strict=True)
            ]
            for method in self.methods
        }
        return tuple(
            Row(name, method, tuple(_cell(summarise(column)) for column in columns[method]))
            for name, summarise in _SUMMARIES.items()
            for method in self.methods
        )

    def to_csv(self) -> bytes:
        """Return the table as CSV in UTF-8: a header, the rows, the summary; undefined is empty.

        A name that begins like a formula (`=`, `+`, `-`, `@`, tab, carriage return) has an
        apostrophe before it.
        """
        lines = [[*_KEYS, *self.metrics]]
        for row in (*self.rows, *self.summary):
            cells = ("" if value is None else _text(value) for value in row.values)
            lines.append([_quoted(row.name), _quoted(row.method), *cells])
        text = "".join(",".join(line) + "\n" for line in lines)
        # A file name that is no valid text comes out as the bytes it went in.
        return text.encode("utf-8", "surrogateescape")

    def to_record(self) -> dict[str, list[dict[str, Any]]]:
        """Return the table as JSON has it: lists `rows` and `summary`; undefined is null."""
        return {
            key: [
                {
                    "name": row.name,
                    "method": row.method,
                    **dict(zip(self.metrics, row.values, strict=True)),
                }
                for row in rows
            ]
            for key, rows in (("rows", self.rows), ("summary", self.summary))
        }

    def to_json(self) -> bytes:
        """Return the table as a JSON file."""
        return (json.dumps(self.to_record(), indent=1) + "\n").encode()


def check_table(path: Path, *, force: bool = False, to_be_made: object = None) -> None:
    """Check, before any work is done, that a table can be written there.

    Args:
        path: The file to write.
        force: Whether any file that exists may be replaced.
        to_be_made: A folder that the run makes; it need not exist yet.

    Raises:
        UsageError: The name has the suffix of another kind of file; the file exists, is no table
            that was written by `write_table` and left as it was, and `force` is false; or its
            folder does not exist.
        ResourceError: The folder cannot be written to.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f"the table {path} is CSV or JSON: give it a name that ends in .csv or .json"
        )
    check_destination(path, overwrite=force or _may_replace(path), to_be_made=to_be_made)


def write_table(table: Table, path: Path, *, force: bool = False) -> None:
    """Write a table, whole or not at all: JSON where the name ends in `.json`, else CSV.

    Raises:
        UsageError: As `check_table`.
        ResourceError: The file cannot be written: disk full, no permission.
    """
    data = table.to_json() if path.suffix.lower() == ".json" else table.to_csv()
    check_table(path, force=force)
    with atomic_write(path, overwrite=force or _may_replace(path)) as file:
        file.write(data)


def is_own_table(data: bytes) -> bool:
    """Whether these are the bytes of a table as `Table` writes it, down to the last one.

    The rows are read, the summary is computed from them anew, and both are written again: what
    somebody else made, or changed by a single cell, comes out different.
    """
    try:
        if data.startswith(b"{"):
            table = _from_json(data)
            return table.to_json() == data
        table = _from_csv(data)
        return table.to_csv() == data
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, csv.Error, RecursionError):
        return False


def _may_replace(path: Path) -> bool:
    return may_replace(path, is_own_table, "was not written by eval")


def _from_csv(data: bytes) -> Table:
    """Read the rows of a table, less the summary at its end."""
    lines = csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline=""))
    header, *cells = lines
    rows = [
        Row(
            _without_guard(name),
            _without_guard(method),
            tuple(_number(float(value)) if value else None for value in values),
        )
        for name, method, *values in cells
    ]
    summary = len(_SUMMARIES) * len({row.method for row in rows})
    return _checked(header, rows[:-summary])


def _from_json(data: bytes) -> Table:
    """Read the rows of a table."""
    records = strict_json.loads(data)["rows"]
    rows = [
        Row(name, method, tuple(None if value is None else _number(value) for value in values))
        for name, method, *values in (record.values() for record in records)
    ]
    return _checked(list(records[0]), rows)


def _number(value: object) -> float:
    if not isinstance(value, float) or not math.isfinite(value):
        raise ValueError("none of our tables")
    return value


def _checked(header: Sequence[str], rows: Sequence[Row]) -> Table:
    metrics = tuple(header[len(_KEYS) :])
    if not rows or not metrics or not set(metrics) <= METRICS.keys():
        raise ValueError("none of our tables")
    return Table(metrics, tuple(rows))


def _quoted(name: str) -> str:
    """Quote a cell where it has to be; csv's writer leaves a carriage return bare.

    A name that a spreadsheet would compute gets an apostrophe before it, which makes it text there.
    Some spreadsheets split at semicolons and tabs too: what follows one might be a formula.
    """
    if _FORMULA.match(name):
        name = f"'{name}"
    if any(character in name for character in ',;"\t\r\n') or not name:
        return '"' + name.replace('"', '""') + '"'
    return name


def _without_guard(cell: str) -> str:
    """Return the name of a cell: without the apostrophe that `_quoted` put before a formula."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def _cell(value: float | None) -> float | None:
    """Round to the digits that are written, so that a table read back is the table written."""
    if value is None:
        return None
    rounded = float(_text(value))
    return rounded if math.isfinite(rounded) else None


def _text(value: float) -> str:
    return f"{value:.{_DIGITS}g}"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _standard_deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _scaled(summarise: Callable[[Sequence[float]], float]) -> Callable[[Sequence[float]], float]:
    """Make a summary that values too large to be squared or added do not stop."""

    def summary(values: Sequence[float]) -> float:
        try:
            return summarise(values)
        except OverflowError:
            # A power of two, so that nothing but the exponents changes.
            scale = 2.0 ** (math.frexp(max(map(abs, values)))[1] - 1)
            return summarise([value / scale for value in values]) * scale

    return summary


_SUMMARIES = {"mean": _scaled(_mean), "std": _scaled(_standard_deviation)}
