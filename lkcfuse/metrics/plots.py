"""Plots for papers: each metric's distribution by method, and all methods over all metrics.

Box plots and a plot in parallel coordinates, over the pairs for which every method has a value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lkcfuse.atomic import atomic_write, check_destination
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.metrics.comparison import Comparison
from lkcfuse.metrics.registry import Metric
from lkcfuse.version import __version__

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

SUFFIXES = (".svg", ".pdf")

_WIDTH = 7.16
"""Inches: both columns of most journals."""

# Okabe and Ito: told apart by most colour-blind readers. The last is dark enough for print too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LINES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX"

_STYLE: Any = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.formatter.useoffset": False,
    # Names of methods are names, not formulas.
    "text.parse_math": False,
    # Text stays text, with fonts that publishers' checks accept.
    "pdf.fonttype": 42,
    # The same scores give the same bytes.
    "svg.hashsalt": "lkcfuse",
}


def check_plot(path: Path, *, force: bool = False) -> None:
    """Check, before any work is done, that a plot can be drawn and written there.

    Raises:
        UsageError: The name does not end in .svg or .pdf; or the file exists and `force` is false.
        ResourceError: matplotlib is not installed, or the folder cannot be written to.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"the plot {path} is SVG or PDF: give it a name that ends in .svg or .pdf")
    check_destination(path, overwrite=force)
    try:
        found = find_spec("matplotlib")
    except ValueError:
        found = None  # blocked
    if found is None:
        raise ResourceError("--plot needs matplotlib: pip install 'lkcfuse[plot]'")


def write_plot(comparison: Comparison, path: Path, *, force: bool = False) -> None:
    """Draw a comparison: a PDF of two pages, or an SVG with one plot below the other.

    Args:
        comparison: The scores.
        path: The file to write.
        force: Whether a file that exists is replaced.

    Raises:
        UsageError: As `check_plot`, or no metric has a value.
        ResourceError: As `check_plot`, or it cannot be written: disk full.
    """
    check_plot(path, force=force)
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import PdfPages

    shown = [metric for metric in comparison.metrics if comparison.common[metric.name]]
    if not shown:
        raise UsageError(f"{path} is not written: no pair has a value of any metric to be drawn")
    # Not the user's matplotlibrc: the same command draws the same everywhere.
    with (
        mpl.rc_context(_STYLE),
        atomic_write(path, overwrite=force) as file,
    ):
        if path.suffix.lower() == ".svg":
            figure = _stacked(comparison, shown)
            metadata = {"Creator": f"lkcfuse {__version__}", "Date": None}
            figure.savefig(file, format="svg", metadata=metadata)
            return
        metadata = {"Creator": f"lkcfuse {__version__}", "CreationDate": None}
        with PdfPages(file, metadata=metadata) as pages:
            for figure in _pages(comparison, shown):
                pages.savefig(figure)


def _stacked(comparison: Comparison, metrics: Sequence[Metric]) -> Figure:
    from matplotlib.figure import Figure

    ranked = _ranked(comparison, metrics)
    heights = [_boxes_height(comparison, metrics)] + ([_LINES_HEIGHT] if ranked else [])
    figure = Figure((_WIDTH, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_boxes(parts[0], comparison, metrics)
    if ranked:
        _draw_lines(parts[1], comparison, ranked)
    return figure


def _pages(comparison: Comparison, metrics: Sequence[Metric]) -> list[Figure]:
    from matplotlib.figure import Figure

    boxes = Figure((_WIDTH, _boxes_height(comparison, metrics)), layout="constrained")
    _draw_boxes(boxes, comparison, metrics)
    ranked = _ranked(comparison, metrics)
    if not ranked:
        return [boxes]
    lines = Figure((_WIDTH, _LINES_HEIGHT), layout="constrained")
    _draw_lines(lines, comparison, ranked)
    return [boxes, lines]


_LINES_HEIGHT = 2.9


def _boxes_height(comparison: Comparison, metrics: Sequence[Metric]) -> float:
    rows = math.ceil(len(metrics) / _across(metrics))
    return rows * (0.6 + 0.22 * len(comparison.methods))


def _across(metrics: Sequence[Metric]) -> int:
    return min(len(metrics), 4 if len(metrics) > 3 else 3)


def _ranked(comparison: Comparison, metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics of the parallel plot: those by which two methods or more are ranked."""
    found = [metric for metric in metrics if comparison.is_ranked(metric.name)]
    return found if len(found) > 1 else []


def _draw_boxes(
    figure: Figure | SubFigure, comparison: Comparison, metrics: Sequence[Metric]
) -> None:
    across = _across(metrics)
    rows = math.ceil(len(metrics) / across)
    grid = figure.subplots(rows, across, squeeze=False)
    for index, axes in enumerate(grid.flat):
        if index < len(metrics):
            _draw_box(axes, comparison, metrics[index], named=index % across == 0)
        else:
            axes.set_axis_off()


def _draw_box(axes: Axes, comparison: Comparison, metric: Metric, *, named: bool) -> None:
    """Draw one box per method: quartiles, whiskers to 1.5 times their distance, median and mean."""
    values, names = comparison.values[metric.name], comparison.common[metric.name]
    columns = [
        [values[method][name] for name in names] if values[method] else []
        for method in comparison.methods
    ]
    drawn: dict[str, Any] = axes.boxplot(
        columns,
        orientation="horizontal",
        widths=0.6,
        patch_artist=True,
        showmeans=True,
        meanprops={"marker": "D", "markersize": 3, "mfc": "white", "mec": "black", "mew": 0.6},
        medianprops={"color": "black"},
        flierprops={"marker": ".", "markersize": 3, "mfc": "0.3", "mec": "none"},
        boxprops={"linewidth": 0.6},
        whiskerprops={"linewidth": 0.6},
        capprops={"linewidth": 0.6},
    )
    for number, box in enumerate(drawn["boxes"]):
        box.set_facecolor(_COLOURS[number % len(_COLOURS)])
        box.set_alpha(0.6)
    axes.set_title(_title(metric))
    axes.set_yticks(
        range(1, len(columns) + 1), comparison.methods if named else [""] * len(columns)
    )
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.locator_params(axis="x", nbins=4)


def _draw_lines(
    figure: Figure | SubFigure, comparison: Comparison, metrics: Sequence[Metric]
) -> None:
    """Draw one line per method over the metrics, each scaled from the worst mean to the best."""
    axes = figure.subplots()
    places = range(len(metrics))
    scales = [_scale(comparison, metric) for metric in metrics]
    for number, method in enumerate(comparison.methods):
        means = [comparison.summaries[metric.name, method].mean for metric in metrics]
        heights = [
            math.nan if mean is None else (mean - worst) / (best - worst) if best != worst else 1.0
            for mean, (worst, best) in zip(means, scales, strict=True)
        ]
        axes.plot(
            places,
            heights,
            label=method,
            color=_COLOURS[number % len(_COLOURS)],
            linestyle=_LINES[number % len(_LINES)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            linewidth=1.2,
            clip_on=False,
        )
    for place, (worst, best) in zip(places, scales, strict=True):
        axes.axvline(place, color="0.85", linewidth=0.6, zorder=0)
        above: Any = {"ha": "center", "fontsize": 6.5, "color": "0.3"}
        axes.annotate(_number(best), (place, 1), (0, 6), textcoords="offset points", **above)
        axes.annotate(_number(worst), (place, 0), (0, -11), textcoords="offset points", **above)
    turned: Any = (
        {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(metrics) > 8 else {}
    )
    axes.set_xticks(places, [_title(metric) for metric in metrics], **turned)
    axes.tick_params(axis="x", length=0, pad=12)
    axes.set_yticks([0, 1], ["worst\nmean", "best\nmean"])
    axes.set_ylim(0, 1)
    axes.spines[["left", "bottom"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(4, len(comparison.methods)), frameon=False)


def _scale(comparison: Comparison, metric: Metric) -> tuple[float, float]:
    """Return the worst and the best mean."""
    means = [comparison.summaries[metric.name, method].mean for method in comparison.methods]
    defined = [mean for mean in means if mean is not None]
    ends = min(defined), max(defined)
    return ends if metric.higher_is_better else ends[::-1]


def _title(metric: Metric) -> str:
    arrow = "\N{UPWARDS ARROW}" if metric.higher_is_better else "\N{DOWNWARDS ARROW}"
    return f"{metric.name}{'' if metric.ranks else '*'} {arrow}"


def _number(value: float) -> str:
    if abs(value) < 5e-5:
        return "0"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
