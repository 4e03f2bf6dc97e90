"""The table of a paper: methods by metrics, as LaTeX, Markdown or HTML.

Means over the pairs for which every method has a value; the best of a metric is bold, the second
underlined, arrows show the direction, and a dagger marks what differs from the best significantly.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lkcfuse.metrics.comparison import Comparison
from lkcfuse.metrics.registry import Metric
from lkcfuse.metrics.remarks import remarks
from lkcfuse.metrics.significance import LEVEL
from lkcfuse.version import __version__

_DIGITS = 4
_MOST_DECIMALS = 6
_RANK = "Rank"


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        text: The number; empty where there is none.
        place: 1 for the best of its column, 2 for the second, else 0.
        differs: Whether it differs from the best significantly.
    """

    text: str
    place: int = 0
    differs: bool = False


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: The metric's name.
        higher_is_better: The direction.
        ranks: Whether methods may be ranked by it.
        cells: By method.
    """

    name: str
    higher_is_better: bool
    ranks: bool
    cells: tuple[Cell, ...]


def columns_of(comparison: Comparison) -> list[Column]:
    """Return the columns of a comparison; the mean rank comes last where there is one."""
    columns = [_column(comparison, metric) for metric in comparison.metrics]
    overall = comparison.overall_ranks
    if overall and sum(comparison.is_ranked(metric.name) for metric in comparison.metrics) > 1:
        values = [overall.get(method) for method in comparison.methods]
        places = _places(values, higher_is_better=False)
        cells = (
            Cell("" if value is None else f"{value:.2f}", place)
            for value, place in zip(values, places, strict=True)
        )
        columns.append(Column(_RANK, False, True, tuple(cells)))
    return columns


def caption(comparison: Comparison) -> str:
    """Return what a reader has to know of the marks."""
    pairs = len(comparison.table.names)
    counts = {len(names) for names in comparison.common.values() if names}
    over = f"{min(counts)} to {pairs}" if counts and min(counts) < pairs else f"{pairs}"
    text = f"Means over {over} {'pair' if pairs == 1 else 'pairs'}."
    if len(comparison.methods) > 1 and any(metric.ranks for metric in comparison.metrics):
        text += " Best in bold, second underlined."
        if comparison.tests:
            text += (
                f" † differs from the best (paired Wilcoxon signed-rank test, Holm's correction, "
                f"p < {LEVEL:g})."
            )
        if comparison.overall_ranks:
            text += f" {_RANK}: mean rank over pairs and metrics."
    return text


def to_latex(comparison: Comparison) -> str:
    """Return a `tabular` with the rules of booktabs, for `input` within a table."""
    columns = columns_of(comparison)
    arrows = {True: r"$\uparrow$", False: r"$\downarrow$"}
    heads = [
        f"{_latex(column.name)}{'' if column.ranks else '*'} {arrows[column.higher_is_better]}"
        for column in columns
    ]
    marks = (r"\textbf{{{}}}".format, r"\underline{{{}}}".format)
    lines = [
        "% Needs \\usepackage{booktabs}. " + caption(comparison).replace("†", r"$\dagger$"),
        *(f"% {line}" for line in _about(comparison)),
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(["Method", *heads]) + r" \\",
        r"\midrule",
        *(
            " & ".join([_latex(method), *_marked(columns, row, marks, r"$^{\dagger}$")]) + r" \\"
            for row, method in enumerate(comparison.methods)
        ),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def to_markdown(comparison: Comparison) -> str:
    """Return a table as GitHub and most other Markdown has them."""
    columns = columns_of(comparison)
    heads = [_markdown(_head(column)) for column in columns]
    marks = ("**{}**".format, "<ins>{}</ins>".format)
    lines = [
        _line(["Method", *heads]),
        _line(["---", *("---:" for _ in columns)]),
        *(
            _line([_markdown(method), *_marked(columns, row, marks, "†")])
            for row, method in enumerate(comparison.methods)
        ),
        "",
        caption(comparison),
        *("- " + _markdown(line) for line in _about(comparison)),
    ]
    return "\n".join(lines) + "\n"


def to_html(comparison: Comparison) -> str:
    """Return a `table` element with a caption; in ASCII, whatever the page's encoding is."""
    columns = columns_of(comparison)
    marks = ("<b>{}</b>".format, "<u>{}</u>".format)
    heads = "".join(f'<th scope="col">{html.escape(_head(column))}</th>' for column in columns)
    rows = [
        f'<tr><th scope="row">{html.escape(method)}</th>'
        + "".join(f"<td>{cell}</td>" for cell in _marked(columns, row, marks, "<sup>†</sup>"))
        + "</tr>"
        for row, method in enumerate(comparison.methods)
    ]
    notes = "<br>\n".join(map(html.escape, [caption(comparison), *_about(comparison)]))
    lines = [
        "<table>",
        f"<caption>{notes}</caption>",
        f'<thead><tr><th scope="col">Method</th>{heads}</tr></thead>',
        "<tbody>",
        *rows,
        "</tbody>",
        "</table>",
    ]
    return "\n".join(lines).encode("ascii", "xmlcharrefreplace").decode() + "\n"


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "latex": to_latex,
    "markdown": to_markdown,
    "html": to_html,
    "csv": lambda comparison: comparison.to_csv().decode("utf-8", "surrogateescape"),
}
"""By the name that `--table` takes."""


def _column(comparison: Comparison, metric: Metric) -> Column:
    summaries = [comparison.summaries[metric.name, method] for method in comparison.methods]
    means = [summary.mean for summary in summaries]
    places = [0] * len(means)
    if metric.ranks and len([mean for mean in means if mean is not None]) > 1:
        places = _places(means, higher_is_better=metric.higher_is_better)
    decimals = _decimals(means, places)
    cells = (
        Cell(
            "" if summary.mean is None else f"{summary.mean:.{decimals}f}",
            place,
            summary.p is not None and summary.p < LEVEL,
        )
        for summary, place in zip(summaries, places, strict=True)
    )
    return Column(metric.name, metric.higher_is_better, metric.ranks, tuple(cells))


def _places(values: Sequence[float | None], *, higher_is_better: bool) -> list[int]:
    """Mark all that are the best with 1, all that come next with 2, the others with 0.

    Example:
        >>> _places([0.5, None, 0.9, 0.9, 0.1], higher_is_better=True)
        [2, 0, 1, 1, 0]
    """
    order = sorted({v for v in values if v is not None}, reverse=higher_is_better)[:2]
    return [order.index(value) + 1 if value in order else 0 for value in values]


def _decimals(values: Iterable[float | None], places: Sequence[int]) -> int:
    """Choose decimals: four digits of the largest value, more if best and second look the same."""
    values = [*values]
    largest = max((abs(value) for value in values if value is not None), default=1.0) or 1.0
    decimals = min(max(0, _DIGITS - 1 - math.floor(math.log10(largest))), _MOST_DECIMALS)
    best, second = (
        next((v for v, place in zip(values, places, strict=True) if place == wanted), None)
        for wanted in (1, 2)
    )
    if best is not None and second is not None:
        while decimals < _MOST_DECIMALS and f"{best:.{decimals}f}" == f"{second:.{decimals}f}":
            decimals += 1
    return decimals


def _marked(
    columns: Sequence[Column], row: int, marks: Sequence[Callable[[str], str]], dagger: str
) -> list[str]:
    texts = []
    for column in columns:
        cell = column.cells[row]
        text = marks[cell.place - 1](cell.text) if cell.place and cell.text else cell.text
        texts.append((text or "-") + (dagger if cell.differs else ""))
    return texts


def _head(column: Column) -> str:
    return f"{column.name}{'' if column.ranks else '*'} {'↑' if column.higher_is_better else '↓'}"


def _about(comparison: Comparison) -> list[str]:
    """Tell what to know about the numbers, and what made the images."""
    lines = [line for line in remarks(comparison) if not line.startswith("p: ")]
    for method, made in comparison.made.items():
        if method in comparison.methods:
            lines.append(f"{method}: weights {made.weights}, SHA-256 {made.weights_sha256}")
            lines.append(f"{method}: settings {made.settings}")
    return [*lines, f"computed by lkcfuse {__version__}"]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\n": " ",
    "\r": " ",
}

_MARKDOWN = {**{c: f"\\{c}" for c in "\\|*_`[]<>"}, "\n": " ", "\r": " "}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _markdown(text: str) -> str:
    return "".join(_MARKDOWN.get(character, character) for character in text)
