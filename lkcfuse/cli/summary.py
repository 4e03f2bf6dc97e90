"""The summary of an evaluation, drawn for people: a metric a line, a method a column."""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from lkcfuse.cli.streams import for_stdout
from lkcfuse.metrics.comparison import better
from lkcfuse.metrics.remarks import p_text, remarks

if TYPE_CHECKING:
    from lkcfuse.metrics.comparison import Comparison, Summary
    from lkcfuse.metrics.registry import Metric

_UNBOUNDED = 4096

Cells = Sequence[Sequence[Text]]
"""By method, by metric."""


def draw(comparison: Comparison, *, columns: int | None = None) -> str:
    """Draw means and deviations, then mean ranks and tests, and below them what to know about them.

    Methods that do not fit side by side on the terminal go below each other; no digit is left out.

    Args:
        comparison: The scores.
        columns: Width of the terminal, in characters; None where there is none.
    """
    plain = _is_plain()
    heads = [_Head(m.name, better(m) + ("" if m.ranks else " *")) for m in comparison.metrics]
    drawn = _grids(comparison.methods, heads, _means(comparison, plain=plain), columns, plain=plain)
    ranked = [m for m in comparison.metrics if comparison.is_ranked(m.name)]
    if ranked:
        heads = [_Head(metric.name, "") for metric in ranked]
        cells = _ranks(comparison, ranked)
        if comparison.overall_ranks and len(ranked) > 1:
            heads.append(_Head("all", ""))
            best = min(comparison.overall_ranks.values())
            for row, method in zip(cells, comparison.methods, strict=True):
                row.append(_rank(comparison.overall_ranks.get(method), best))
        drawn.append("\nmean rank" + (" (p against the best mean)" if comparison.tests else ""))
        drawn += _grids(comparison.methods, heads, cells, columns, plain=plain)
    return "\n".join([*drawn, *(_wrapped(line, columns) for line in remarks(comparison))])


@dataclass(frozen=True)
class _Head:
    """What stands at the start of a line: the metric, and the direction unless it is empty."""

    name: str
    better: str


def _grids(
    methods: Sequence[str],
    heads: Sequence[_Head],
    cells: Cells,
    columns: int | None,
    *,
    plain: bool,
) -> list[str]:
    """Draw as many grids as the width asks for."""
    width = columns or _UNBOUNDED
    unbounded = Console(width=_UNBOUNDED)
    drawn, left = [], list(range(len(methods)))
    while left:
        shown, grid = 1, _grid(methods, cells, left[:1], heads, plain=plain)
        needed = max(width, unbounded.measure(grid).minimum)
        while shown < len(left):
            wider = _grid(methods, cells, left[: shown + 1], heads, plain=plain)
            if unbounded.measure(wider).minimum > width:
                break
            shown, grid = shown + 1, wider
        drawn.append(_text_of(grid, width=needed, is_terminal=columns is not None))
        left = left[shown:]
    return drawn


def _wrapped(line: str, columns: int | None) -> str:
    line = for_stdout(line, keep="")
    return line if columns is None else textwrap.fill(line, columns, subsequent_indent="  ")


def _means(comparison: Comparison, *, plain: bool) -> list[list[Text]]:
    """Return mean and deviation, by method and metric."""
    sign = " +- " if plain else " ± "

    def cell(summary: Summary, best: float | None) -> Text:
        text = "" if summary.mean is None else f"{summary.mean:.4f}"
        if summary.std is not None:
            text += f"{sign}{summary.std:.4f}"
        is_best = summary.mean is not None and summary.mean == best
        return Text(text, style="bold" if is_best else "")

    rows = []
    for metric in comparison.metrics:
        means = _summaries(comparison, metric, "mean")
        best = metric.best(means) if metric.ranks and len(means) > 1 else None
        rows.append([cell(comparison.summaries[metric.name, m], best) for m in comparison.methods])
    return [[*row] for row in zip(*rows, strict=True)]


def _ranks(comparison: Comparison, metrics: Sequence[Metric]) -> list[list[Text]]:
    """Return mean rank and p, by method and metric."""
    rows: list[list[Text]] = [[] for _ in comparison.methods]
    for metric in metrics:
        ranks = [rank for rank in _summaries(comparison, metric, "rank") if rank is not None]
        for row, method in zip(rows, comparison.methods, strict=True):
            summary = comparison.summaries[metric.name, method]
            text = _rank(summary.rank, min(ranks))
            if summary.p is not None:
                text.append(f" ({p_text(summary.p)})")
            row.append(text)
    return rows


def _rank(rank: float | None, best: float) -> Text:
    return Text("" if rank is None else f"{rank:.2f}", style="bold" if rank == best else "")


def _summaries(comparison: Comparison, metric: Metric, field: str) -> list[float | None]:
    """Return one of the numbers of a metric, by method."""
    return [getattr(comparison.summaries[metric.name, m], field) for m in comparison.methods]


def _grid(
    methods: Sequence[str],
    cells: Cells,
    shown: Sequence[int],
    heads: Sequence[_Head],
    *,
    plain: bool,
) -> Grid:
    grid = Grid(box=box.ASCII if plain else box.SIMPLE_HEAD)
    grid.add_column("metric", no_wrap=True)
    directed = any(head.better for head in heads)
    if directed:
        grid.add_column("better", no_wrap=True)
    for method in shown:
        # A long name is broken, numbers never are.
        width = max(map(len, cells[method]), default=1)
        name = Text(for_stdout(methods[method], keep=""), overflow="fold")
        grid.add_column(name, justify="right", overflow="fold", min_width=max(width, 6))
    for index, head in enumerate(heads):
        directions = (head.better,) if directed else ()
        grid.add_row(head.name, *directions, *(cells[method][index] for method in shown))
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
