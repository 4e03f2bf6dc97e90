"""What to know when reading a table of means: a line each, printed wherever the table is."""

from __future__ import annotations

from lkcfuse.metrics.comparison import Comparison
from lkcfuse.metrics.registry import Metric
from lkcfuse.metrics.significance import LEVEL, smallest_p

INSTALL = "pip install 'lkcfuse[stats]'"


def remarks(comparison: Comparison) -> list[str]:
    """Return what to know about a comparison, a line each."""
    lines = []
    if not all(metric.ranks for metric in comparison.metrics):
        lines.append("* also rises with noise and oversharpening: never rank methods by it alone")
    lines += _scales(comparison.metrics)
    lines += comparison.missing
    lines += _tests(comparison)
    return lines


def p_text(p: float) -> str:
    """Return a p value as tables have it.

    Example:
        >>> p_text(0.0312), p_text(0.00002), p_text(1.0)
        ('.031', '<.001', '1.00')
    """
    if p < 0.001:
        return "<.001"
    return f"{p:.2f}" if p > 0.995 else f"{p:.3f}"[1:]


def _scales(metrics: tuple[Metric, ...]) -> list[str]:
    """Tell metrics of a scale that readers may not expect."""
    by_scale: dict[str, list[str]] = {}
    for metric in metrics:
        if metric.scale:
            by_scale.setdefault(metric.scale, []).append(metric.name)
    return [
        f"{' and '.join(names)}: {scale}; halve it to compare with papers that print the mean"
        for scale, names in by_scale.items()
    ]


def _tests(comparison: Comparison) -> list[str]:
    """Tell what was tested, and where no test can find anything."""
    ranked = [metric.name for metric in comparison.metrics if comparison.is_ranked(metric.name)]
    if not ranked:
        return []
    if not comparison.tests:
        return [f"no tests of significance: they need scipy ({INSTALL})"]
    lines = [
        "p: paired two-sided Wilcoxon signed-rank test, by Holm's correction over the other methods"
    ]
    pairs = max(len(comparison.common[name]) for name in ranked)
    others = len(comparison.methods) - 1
    smallest = smallest_p(pairs, others)
    if smallest >= LEVEL:
        lines.append(
            f"{pairs} {'pair is' if pairs == 1 else 'pairs are'} too few for {others + 1} methods: "
            f"p is {p_text(smallest)} at the smallest"
        )
    return lines
