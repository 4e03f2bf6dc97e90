"""The table of scores: one row per pair and method, as CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lkcfuse.metrics.scoring import Score

KEYS = ("name", "method")
"""The columns before the metrics."""

_DIGITS = 10

# What a spreadsheet computes if a cell begins with it, and apostrophes before it.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]")


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: The pair's relative stem.
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
            Row(s.name, s.method, tuple(rounded(s.values.get(metric)) for metric in metrics))
            for s in scores
        )
        return cls(tuple(metrics), tuple(rows))

    @classmethod
    def from_csv(cls, data: bytes) -> Table:
        """Read what `to_csv` returned; the names of the columns are not looked at.

        Raises:
            ValueError: It is not a table.
        """
        try:
            header, *lines = csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), ""))
            rows = tuple(
                Row(
                    _without_guard(name),
                    _without_guard(method),
                    tuple(float(cell) if cell else None for cell in cells),
                )
                for name, method, *cells in lines
            )
        except csv.Error as error:
            raise ValueError(str(error)) from None
        metrics = tuple(header[len(KEYS) :])
        if tuple(header[: len(KEYS)]) != KEYS or not rows or not metrics:
            raise ValueError("the header or the rows are missing")
        if any(len(row.values) != len(metrics) for row in rows):
            raise ValueError("the rows differ in length")
        return cls(metrics, rows)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, in the order in which they first appear."""
        return tuple(dict.fromkeys(row.method for row in self.rows))

    @property
    def names(self) -> tuple[str, ...]:
        """The pairs, in the order in which they first appear."""
        return tuple(dict.fromkeys(row.name for row in self.rows))

    @cached_property
    def sha256(self) -> str:
        """Hash of `to_csv`, by which a summary knows its table."""
        return hashlib.sha256(self.to_csv()).hexdigest()

    def to_csv(self) -> bytes:
        """Return the table as CSV in UTF-8: a header and the rows; undefined is empty.

        A name that begins like a formula (`=`, `+`, `-`, `@`, tab, carriage return) has an
        apostrophe before it.
        """
        return csv_bytes(
            (*KEYS, *self.metrics),
            [
                (guarded(row.name), guarded(row.method), *map(number_text, row.values))
                for row in self.rows
            ],
        )


def csv_bytes(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """Return text cells as CSV in UTF-8, quoted where they have to be."""
    text = "".join(",".join(map(_quoted, line)) + "\n" for line in (header, *rows))
    # A file name that is not valid text comes out as the bytes it went in.
    return text.encode("utf-8", "surrogateescape")


def number_text(value: float | None) -> str:
    """Return a number with ten significant digits; nothing where there is none."""
    return "" if value is None else f"{value:.{_DIGITS}g}"


def rounded(value: float | None) -> float | None:
    """Round to the digits that are written, so that a table read back is the table written."""
    if value is None:
        return None
    number = float(number_text(value))
    return number if math.isfinite(number) else None


def guarded(name: str) -> str:
    """Put an apostrophe before a name that a spreadsheet would compute: it is text there then."""
    return f"'{name}" if _FORMULA.match(name) else name


def _without_guard(cell: str) -> str:
    """Return the name of a cell: without the apostrophe that `guarded` put before a formula."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def _quoted(cell: str) -> str:
    """Quote a cell where it has to be; csv's writer leaves a carriage return bare.

    Some spreadsheets split at semicolons and tabs too: what follows one might be a formula.
    """
    if any(character in cell for character in ',;"\t\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell
