"""`lkcfuse eval --explain`: what each metric is."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lkcfuse.cli.output import Output

if TYPE_CHECKING:
    from lkcfuse.metrics.registry import Metric


def explain_metrics(metrics: Sequence[Metric], out: Output) -> None:
    """Print what each metric is."""
    width = min(100, shutil.get_terminal_size().columns)

    def indented(text: str) -> str:
        return textwrap.fill(
            text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )

    for metric in metrics:
        checked = (
            "Agrees with the evaluator behind the field's published tables."
            if metric.verified
            else "Follows its paper; no published answers are at hand, so it is tested on cases "
            "worked out by hand."
        )
        direction = "higher" if metric.higher_is_better else "lower"
        paragraphs = [
            f"{metric.name}: {metric.summary}",
            indented(metric.formula),
            indented(f"Range: {metric.range}; {direction} is better."),
            indented(f"Source: {metric.source}"),
            indented(checked),
        ]
        record = {
            "name": metric.name,
            "summary": metric.summary,
            "formula": metric.formula,
            "range": metric.range,
            "better": direction,
            "source": metric.source,
            "compares_with": metric.needs.value,
            "agrees_with_published_evaluator": metric.verified,
            "may_rank_alone": metric.ranks,
        }
        out.result("\n".join(paragraphs) + "\n", record)
