"""The line on the task, where nobody named one and the pictures do not tell."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lkcfuse.cli.output import Output
from lkcfuse.errors import LkcfuseError

if TYPE_CHECKING:
    from lkcfuse.batch import Plan
    from lkcfuse.pairs import Pair, PairOptions


def note_of_task(ctx: typer.Context, pair: Pair, out: Output) -> None:
    """Say which task is taken for two grey images, if the command line names none."""
    if is_by_default(ctx) and not pair.first.is_coloured() and not pair.second.is_coloured():
        out.note(
            "both images are grey and --task was not given: assuming infrared and visible; "
            "for MRI and CT, give --task mri-ct"
        )


def note_of_batch_task(ctx: typer.Context, plan: Plan, options: PairOptions, out: Output) -> None:
    """Say so of a batch, by its first pair where that is on this machine.

    A pair that cannot be read is for the run to report.
    """
    from lkcfuse.pairs import read_pair

    if not is_by_default(ctx) or not plan.pairs:
        return
    first, second = plan.pairs[0].first, plan.pairs[0].second
    if isinstance(first, Path) and isinstance(second, Path):
        with suppress(LkcfuseError, OSError):
            note_of_task(ctx, read_pair(first, second, options), out)


def is_by_default(ctx: typer.Context) -> bool:
    """Whether nobody named a task."""
    source = ctx.get_parameter_source("task")
    return source is None or source.name != "COMMANDLINE"
