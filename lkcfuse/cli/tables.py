"""What `eval` and `batch` do with a table of scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lkcfuse.cli.output import Output, count
from lkcfuse.errors import LkcfuseError, UsageError

if TYPE_CHECKING:
    from lkcfuse.batch.settings import Settings
    from lkcfuse.metrics.comparison import Comparison, Made
    from lkcfuse.metrics.table import Table


def check_publishing(
    format_name: str | None, path: Path | None, out: Output, *, to_stdout: bool, force: bool
) -> None:
    """Refuse, before the work, a table for a paper that could not be printed or written.

    Args:
        format_name: What `--table` says.
        path: What `--summary` says.
        out: How the command talks.
        to_stdout: Whether standard output has the scores already.
        force: Whether any file that exists may be replaced.
    """
    from lkcfuse.metrics.publication import FORMATS
    from lkcfuse.metrics.publication_files import check_publication

    if format_name is not None:
        if format_name not in FORMATS:
            raise UsageError(f"--table {format_name}: choose from {', '.join(FORMATS)}")
        if to_stdout or out.as_json:
            other = "--json" if out.as_json else "-o -"
            raise UsageError(
                f"--table and {other} cannot share standard output: use --summary FILE"
            )
    if path is not None:
        check_publication(path, force=force)


def compare(table: Table, made: Mapping[str, Settings] | None = None) -> Comparison:
    """Compare the methods of a table, with tests where scipy is installed.

    Args:
        table: The scores.
        made: Settings of the batch that made a method's images, where there was one.
    """
    from lkcfuse.metrics.comparison import Comparison
    from lkcfuse.metrics.significance import is_available

    several = len(table.methods) > 1
    told = {method: _made(settings) for method, settings in (made or {}).items()}
    return Comparison(table, told, tests=several and is_available())


def settings_of(methods: Sequence[str], fused: Sequence[Path]) -> dict[str, Settings]:
    """Return the settings of those folders that a batch wrote into, by method."""
    from lkcfuse.batch.journal import read_state

    found = {}
    for method, folder in zip(methods, fused, strict=True):
        # A journal of a newer lkcfuse says nothing to this one, and the images are there.
        with suppress(LkcfuseError):
            settings = read_state(folder).settings
            if settings is not None:
                found[method] = settings
    return found


def _made(settings: Settings) -> Made:
    from lkcfuse.metrics.comparison import Made

    record = settings.to_record()
    weights, sha256 = record.pop("weights"), record.pop("weights_sha256")
    return Made(weights, sha256, json.dumps(record))


def write_scores(comparison: Comparison, path: Path, out: Output, *, force: bool = False) -> None:
    """Write a table and its summary, and say so."""
    from lkcfuse.metrics.table_files import is_older, summary_path, write_table

    older = is_older(path)
    write_table(comparison, path, force=force)
    rows, metrics = count(len(comparison.table.rows), "row"), len(comparison.metrics)
    beside = summary_path(path)
    names = f"{path} and {beside}" if beside is not None else str(path)
    out.note(f"wrote {names}: {rows} of {count(metrics, 'metric')}")
    if older:
        out.note(
            f"{path} replaces a table whose last rows were means and deviations: these are in "
            f"{beside or 'its summary'} now"
        )
