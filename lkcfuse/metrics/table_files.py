"""Tables on disk: `metrics.csv` with `metrics.summary.csv` beside it, or one `metrics.json`.

A file that eval wrote and nobody changed is replaced without a question. Whether it is one is
seen from the summary: it has the table's hash, and its numbers are computed from the rows anew.
"""

from __future__ import annotations

import csv
import io
import json
import math
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lkcfuse import strict_json
from lkcfuse.atomic import atomic_write, check_destination, may_replace
from lkcfuse.errors import LkcfuseError, UsageError
from lkcfuse.metrics import older_tables
from lkcfuse.metrics.comparison import COMPUTED, Comparison
from lkcfuse.metrics.registry import find
from lkcfuse.metrics.table import KEYS, Row, Table, csv_bytes

# Without one it may be a pipe or a device.
_SUFFIXES = ("", ".csv", ".json", ".txt")

_NOT_OURS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RecursionError,
    csv.Error,
    LkcfuseError,
)


def summary_path(path: Path) -> Path | None:
    """Return where the summary of a table goes; None where it is part of the file, or a device.

    Example:
        >>> str(summary_path(Path("metrics.csv")))
        'metrics.summary.csv'
    """
    if path.suffix.lower() == ".json" or _is_device(path):
        return None
    return path.with_name(f"{path.stem}.summary{path.suffix}")


def check_table(path: Path, *, force: bool = False, to_be_made: object = None) -> None:
    """Check, before any work is done, that a table and its summary can be written there.

    Args:
        path: The file to write.
        force: Whether any file that exists may be replaced.
        to_be_made: A folder that the run makes; it need not exist yet.

    Raises:
        UsageError: The name has the suffix of another kind of file; a file exists, is not a table
            that was written by `write_table` and left as it was, and `force` is false; or its
            folder does not exist.
        ResourceError: The folder cannot be written to.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f"the table {path} is CSV or JSON: give it a name that ends in .csv or .json"
        )
    replaced = force or _may_replace(path)
    check_destination(path, overwrite=replaced, to_be_made=to_be_made)
    beside = summary_path(path)
    if beside is not None:
        # Of a table that is eval's own it was checked together with it.
        replaced = force or (replaced and not is_older(path))
        check_destination(beside, overwrite=replaced, to_be_made=to_be_made)


def write_table(comparison: Comparison, path: Path, *, force: bool = False) -> None:
    """Write a table and its summary: one file where the name ends in `.json`, else two of CSV.

    Raises:
        UsageError: As `check_table`.
        ResourceError: A file cannot be written: disk full, no permission.
    """
    check_table(path, force=force)
    files = {path: to_json(comparison)}
    beside = summary_path(path)
    if path.suffix.lower() != ".json":
        files[path] = comparison.table.to_csv()
    if beside is not None:
        files[beside] = comparison.to_csv()
    with ExitStack() as stack:
        for place, data in files.items():
            stack.enter_context(atomic_write(place, overwrite=True)).write(data)


def to_json(comparison: Comparison) -> bytes:
    """Return table and summary as a JSON file."""
    return _json(comparison.to_record())


def is_older(path: Path) -> bool:
    """Whether a file is a table as it was once written, with its summary among the rows."""
    try:
        return path.is_file() and older_tables.is_own(path.read_bytes())
    except OSError:
        return False


def is_own_table(data: bytes, summary: bytes | None = None) -> bool:
    """Whether these are the bytes of a table as it is written, down to the last one.

    Args:
        data: The table, JSON or CSV.
        summary: The summary beside a table in CSV.
    """
    try:
        if data.startswith(b"{"):
            record = strict_json.loads(data)
            expected = Comparison(_from_records(record["rows"])).to_record()
            return _json(record) == data and all(
                record[key] == expected[key] if key in expected else _agree(record, expected, key)
                for key in COMPUTED
            )
        table = checked(Table.from_csv(data))
        return table.to_csv() == data and _is_summary(summary or b"", Comparison(table))
    except _NOT_OURS:
        return False


def checked(table: Table) -> Table:
    """Return a table that may be ours.

    Raises:
        ValueError: It has other columns, or a value that is never written.
    """
    values = (value for row in table.rows for value in row.values if value is not None)
    if not table.rows or not table.metrics or any(find(m).name != m for m in table.metrics):
        raise ValueError("not a table of ours")
    if not all(isinstance(value, float) and math.isfinite(value) for value in values):
        raise ValueError("not a table of ours")
    return table


def _json(record: object) -> bytes:
    return (json.dumps(record, indent=1) + "\n").encode()


def _is_summary(data: bytes, comparison: Comparison) -> bool:
    """Whether a summary in CSV has the numbers of a comparison, whatever else it tells."""
    (header, *rows), (columns, *expected) = map(_cells, (data, comparison.to_csv()))
    places = [columns.index(name) for name in COMPUTED]
    return (
        header == columns
        and csv_bytes(header, rows) == data
        and [[row[i] for i in places] for row in rows]
        == [[row[i] for i in places] for row in expected]
    )


def _cells(data: bytes) -> list[list[str]]:
    return [*csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), ""), strict=True)]


def _agree(record: Mapping[str, Any], expected: Mapping[str, Any], key: str) -> bool:
    """Whether two records have the same in a column of their summaries."""
    found, wanted = ([row[key] for row in each["summary"]] for each in (record, expected))
    return found == wanted


def _from_records(records: Sequence[dict[str, object]]) -> Table:
    metrics = tuple(records[0])[len(KEYS) :]
    rows = (Row(name, method, tuple(v)) for name, method, *v in (r.values() for r in records))  # type: ignore[arg-type]
    return checked(Table(metrics, tuple(rows)))


def _may_replace(path: Path) -> bool:
    if is_older(path):
        return True
    beside = summary_path(path)
    if beside is None or not path.is_file():
        return may_replace(path, is_own_table, "was not written by eval")
    if not beside.is_file():
        raise UsageError(
            f"{path} exists without {beside.name} beside it, which would show that eval wrote it: "
            "give another name, or --force to replace it"
        )
    try:
        summary = beside.read_bytes()
    except OSError:
        return False
    return may_replace(path, lambda data: is_own_table(data, summary), "was not written by eval")


def _is_device(path: Path) -> bool:
    try:
        return path.exists() and not (stat.S_ISREG(path.stat().st_mode) or path.is_dir())
    except OSError:
        return False
