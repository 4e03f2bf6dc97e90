"""The summary of an evaluation, drawn for people: a metric a line, a method a column."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from lkcfuse.cli.streams import for_stdout

if TYPE_CHECKING:
    from lkcfuse.metrics.registry import Metric
    from lkcfuse.metrics.table import Row, Table

_UNBOUNDED = 4096

Cells = Sequence[Sequence[Text]]
"""By method, by metric."""


def draw(table: Table, metrics: Sequence[Metric], *, columns: int | None = None) -> str:
    """Draw the means and standard deviations of a table.

    Methods that do not fit side by side on the terminal go below each other; no digit is left out.

    Args:
        table: The scores.
        metrics: Its columns.
        columns: Width of the terminal, in characters; None where there is none.
    """
    plain, width = _is_plain(), columns or _UNBOUNDED
    unbounded = Console(width=_UNBOUNDED)
    methods = table.methods
    means, deviations = table.summary[: len(methods)], table.summary[len(methods) :]
    cells = _cells(means, deviations, metrics, plain=plain)
    drawn, left = [], list(range(len(methods)))
    while left:
        shown, grid = 1, _grid(methods, cells, left[:1], metrics, plain=plain)
        needed = max(width, unbounded.measure(grid).minimum)
        while shown < len(left):
            wider = _grid(methods, cells, left[: shown + 1], metrics, plain=plain)
            if unbounded.measure(wider).minimum > width:
                break
            shown, grid = shown + 1, wider
        drawn.append(_text_of(grid, width=needed, is_terminal=columns is not None))
        left = left[shown:]
    if not all(metric.ranks for metric in metrics):
        drawn.append("* rises with noise and oversharpening too: never rank methods by these alone")
    return "\n".join(drawn)


def _cells(
    means: Sequence[Row], deviations: Sequence[Row], metrics: Sequence[Metric], *, plain: bool
) -> Cells:
    best = [
        metric.best([row.values[index] for row in means])
        if metric.ranks and len(means) > 1
        else None
        for index, metric in enumerate(metrics)
    ]
    sign = " +- " if plain else " ± "

    def cell(value: float | None, deviation: float | None, best: float | None) -> Text:
        text = "" if value is None else f"{value:.4f}"
        if deviation is not None:
            text += f"{sign}{deviation:.4f}"
        return Text(text, style="bold" if value is not None and value == best else "")

    return [
        list(map(cell, mean.values, deviation.values, best))
        for mean, deviation in zip(means, deviations, strict=True)
    ]


def _grid(
    methods: Sequence[str],
    cells: Cells,
    shown: Sequence[int],
    metrics: Sequence[Metric],
    *,
    plain: bool,
) -> Grid:
    grid = Grid(box=box.ASCII if plain else box.SIMPLE_HEAD)
    grid.add_column("metric", no_wrap=True)
    grid.add_column("better", no_wrap=True)
    for method in shown:
        # A long name is broken, numbers never are.
        width = max(map(len, cells[method]), default=1)
        name = Text(for_stdout(methods[method], keep=""), overflow="fold")
        grid.add_column(name, justify="right", overflow="fold", min_width=max(width, 6))
    for index, metric in enumerate(metrics):
        direction = "higher" if metric.higher_is_better else "lower"
        mark = "" if metric.ranks else " *"
        grid.add_row(metric.name, direction + mark, *(cells[method][index] for method in shown))
    return grid


def _text_of(grid: Grid, *, width: int, is_terminal: bool) -> str:
    drawn = io.StringIO()
    Console(file=drawn, width=width, force_terminal=is_terminal).print(grid)
    return "\n".join(line.rstrip() for line in drawn.getvalue().rstrip().splitlines())


def _is_plain() -> bool:
    """Whether standard output can hold nothing but ASCII."""
    try:
        "±─".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return True
    return False
