"""The figures as text: a table and a few lines per set, and one table of all sets at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quality_checks import FAR_BELOW
from quality_picture import METHODS, METRICS, OTHER_SIZES
from quality_summary import ROUGHER_BY, Summary

from lkcfuse.tasks import Task

# Head and figure of each column of the last table; a figure that no set has gets no column.
_COLUMNS = {
    "VIF": "gain.VIF",
    "Qabf": "gain.Qabf",
    "SSIM": "gain.SSIM",
    "SCD": "gain.SCD",
    "detail 1": "detail.first.ours",
    "detail 2": "detail.second.ours",
    "darker": "darkening.mean",
    "blocks": "darkening.far_below",
    "tone": "tone",
    "darkest": "tone.worst",
    "quarter": "quarter",
    "worst": "quarter.worst",
    "turns": "turns.mean",
    "largest": "turns.largest",
    "hottest": "hottest",
    **{f"at {side}": f"size.{side}.ours" for side in OTHER_SIZES},
}
_SIGNED = ("gain.", "tone", "hottest")


def count(pairs: float) -> str:
    """Return a number of pairs in words."""
    return f"{pairs:.0f} pair" + ("" if pairs == 1 else "s")


def describe(summary: Summary, task: Task) -> Iterator[str]:
    """Yield the lines on one set, or on the mean over the sets."""
    yield from _metric_table(summary)
    figures = summary.figures
    if "flat.mean" in figures:
        yield (
            f"flat areas: {figures['flat.windows']:.0f} windows, rougher than the larger source "
            f"by {figures['flat.mean']:+.2f} levels on average, {figures['flat.excess_99']:+.2f} "
            f"in the worst hundredth; {figures['flat.rougher']:.2%} by more than {ROUGHER_BY:g}"
        )
    yield (
        f"quarter: fused by itself it differs by {figures['quarter']:.2f} levels on average"
        f"{_worst(summary, 'quarter.worst', '.2f')}"
    )
    for way, source, other in (
        ("first", task.first, task.second),
        ("second", task.second, task.first),
    ):
        yield _detail(summary, way, f"detail of the {source} under a brighter {other}")
    yield (
        f"darkening: {figures['darkening.mean']:.2f} levels below the brighter source by block, "
        f"{figures['darkening.far_below']:.2%} of the blocks by more than {FAR_BELOW:g}"
    )
    yield (
        f"tone: {figures['tone']:+.2f} levels from the maximum's mean on average"
        f"{_worst(summary, 'tone.worst', '+.2f')}"
    )
    if "turns.mean" in figures:
        turns = [name for name in figures if name.startswith("turn.") and name.endswith(".mean")]
        each = (
            f"{name.split('.')[1]} {figures[name]:.2f} and "
            f"{figures[name.replace('.mean', '.largest')]:.1f}"
            for name in turns
        )
        yield (
            f"flips and turns: {figures['turns.mean']:.2f} levels on average, "
            f"{figures['turns.largest']:.1f} at most ({summary.worst['turns.largest']}), on "
            f"{count(figures['turns.pictures'])}: {', '.join(each)}"
        )
    if "hottest" in figures:
        yield f"hottest pixels: {figures['hottest']:+.1f} levels of luma from the {task.second}'s"
    for side in OTHER_SIZES:
        if f"size.{side}.ours" in figures:
            yield (
                f"size: fused at {side} pixels it differs by {figures[f'size.{side}.ours']:.2f} "
                f"levels on average (maximum {figures[f'size.{side}.maximum']:.2f}), by "
                f"{figures[f'size.{side}.beyond_scaling']:.2f} beyond what scaling does"
            )


def table_of_sets(sets: Sequence[Summary], mean: Summary) -> Iterator[str]:
    """Yield one table: a line per set, then the mean; gains over the maximum, then the checks."""
    rows = (*sets, mean)
    columns = {head: key for head, key in _COLUMNS.items() if any(key in r.figures for r in rows)}
    names = max(len(row.name) for row in rows)
    yield " " * names + "".join(f"{head:>9}" for head in columns)
    for row in rows:
        cells = (_cell(row, key) for key in columns.values())
        yield row.name.ljust(names) + "".join(f"{cell:>9}" for cell in cells)


def _cell(row: Summary, key: str) -> str:
    if key not in row.figures:
        return "-"
    value = row.figures[key]
    if key == "darkening.far_below":
        return f"{value:.2%}"
    digits = 4 if key.startswith("gain.") else 3 if key.startswith("detail.") else 2
    sign = "+" if key.startswith(_SIGNED) else ""
    return f"{value:{sign}.{digits}f}"


def _metric_table(summary: Summary) -> Iterator[str]:
    heads = "".join(f"{head:>12}" for head in (*METHODS, "gain"))
    yield f"{'':<6}{heads}  lowest gain"
    for metric in METRICS:
        if f"gain.{metric}" not in summary.figures:
            yield f"{metric:<6}  undefined"
            continue
        cells = "".join(f"{summary.metrics[method][metric]:12.4f}" for method in METHODS)
        yield (
            f"{metric:<6}{cells}{summary.figures[f'gain.{metric}']:+12.4f}  "
            f"{summary.lowest[metric]:+.4f} {summary.worst[f'gain.{metric}']}"
        )


def _detail(summary: Summary, way: str, what: str) -> str:
    figures = summary.figures
    if f"detail.{way}.ours" not in figures:
        return f"{what}: on too few pixels of every pair"
    return (
        f"{what}: {figures[f'detail.{way}.ours']:.3f} (maximum "
        f"{figures[f'detail.{way}.maximum']:.3f}), on {figures[f'detail.{way}.pictures']:.0f} of "
        f"{count(summary.pairs)}"
    )


def _worst(summary: Summary, figure: str, form: str) -> str:
    return f", {summary.figures[figure]:{form}} at worst ({summary.worst[figure]})"
