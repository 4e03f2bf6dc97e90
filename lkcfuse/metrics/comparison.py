"""Methods compared over the same pairs: means, deviations, medians and ranks of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from lkcfuse.metrics.registry import Metric, find
from lkcfuse.metrics.significance import holm, paired_p
from lkcfuse.metrics.table import Table, csv_bytes, guarded, number_text, rounded
from lkcfuse.version import __version__

_NAMES_SHOWN = 5

_NUMBERS = ("metric", "method", "better", "mean", "std", "median", "count", "values", "rank")

COLUMNS = (*_NUMBERS, "p", "weights", "weights_sha256", "settings", "lkcfuse", "table_sha256")
"""Columns of the summary's CSV."""

COMPUTED = (*_NUMBERS, "table_sha256")
"""Those that the rows of the table decide, whatever else is known or installed."""


@dataclass(frozen=True)
class Summary:
    """One metric of one method, over the pairs for which every method has a value.

    A method without a single value of a metric is left out of that metric, and has None here.

    Attributes:
        metric: The metric's name.
        method: The method's name.
        mean: Arithmetic mean.
        std: Standard deviation of the sample (n - 1); None for fewer than two values.
        median: Median.
        count: How many pairs the three are over: the same for all methods.
        values: How many values the method has itself.
        rank: Mean over the pairs of the method's rank among all methods, 1 for the best, ties
            averaged; None for a single method, and for a metric that may not rank.
        p: Of the paired Wilcoxon test against the method with the best mean, by Holm's correction
            over the other methods; None for the best itself, where there is no rank, and without
            scipy.
    """

    metric: str
    method: str
    mean: float | None
    std: float | None
    median: float | None
    count: int
    values: int
    rank: float | None
    p: float | None = None

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "metric": self.metric,
            "method": self.method,
            "better": better(find(self.metric)),
            "mean": self.mean,
            "std": self.std,
            "median": self.median,
            "count": self.count,
            "values": self.values,
            "rank": self.rank,
            "p": self.p,
        }


@dataclass(frozen=True)
class Made:
    """How a method's images were made, as far as a journal tells.

    Attributes:
        weights: Name of the weights.
        weights_sha256: Hash of their file.
        settings: The other settings, in one line.
    """

    weights: str = ""
    weights_sha256: str = ""
    settings: str = ""


@dataclass(frozen=True)
class Comparison:
    """A table's methods compared.

    Attributes:
        table: The scores.
        made: What is known of how each method's images were made.
        tests: Whether differences are tested, which needs scipy.
    """

    table: Table
    made: Mapping[str, Made] = field(default_factory=dict)
    tests: bool = False

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The table's metrics."""
        return tuple(find(name) for name in self.table.metrics)

    @property
    def methods(self) -> tuple[str, ...]:
        """The table's methods."""
        return self.table.methods

    @cached_property
    def values(self) -> Mapping[str, Mapping[str, Mapping[str, float]]]:
        """The values that are defined, by metric, method and pair."""
        found: dict[str, dict[str, dict[str, float]]] = {
            metric: {method: {} for method in self.methods} for metric in self.table.metrics
        }
        for row in self.table.rows:
            for metric, value in zip(self.table.metrics, row.values, strict=True):
                if value is not None:
                    found[metric][row.method][row.name] = value
        return found

    @cached_property
    def common(self) -> Mapping[str, tuple[str, ...]]:
        """By metric, the pairs for which all methods have a value; see `Summary`."""
        found = {}
        for metric, by_method in self.values.items():
            compared = [values for values in by_method.values() if values]
            found[metric] = tuple(
                name
                for name in (self.table.names if compared else ())
                if all(name in values for values in compared)
            )
        return found

    @cached_property
    def summaries(self) -> Mapping[tuple[str, str], Summary]:
        """By metric and method."""
        found = {}
        for metric in self.metrics:
            values = self.values[metric.name]
            names = self.common[metric.name]
            compared = {
                method: [values[method][name] for name in names]
                for method in self.methods
                if values[method]
            }
            ranked = compared if len(compared) > 1 and names and metric.ranks else {}
            ranks = _mean_ranks(metric, ranked)
            p_values = _p_values(metric, ranked) if self.tests else {}
            for method in self.methods:
                column = compared.get(method, [])
                found[metric.name, method] = Summary(
                    metric.name,
                    method,
                    rounded(_mean(column)),
                    rounded(_standard_deviation(column)),
                    rounded(_median(column)),
                    len(column),
                    len(values[method]),
                    rounded(ranks.get(method)),
                    rounded(p_values.get(method)),
                )
        return found

    def is_ranked(self, metric: str) -> bool:
        """Whether the methods have ranks by a metric: it may rank, and two or more have values."""
        return any(self.summaries[metric, method].rank for method in self.methods)

    @cached_property
    def overall_ranks(self) -> Mapping[str, float]:
        """Each method's rank, averaged over the metrics that rank; without those that lack one."""
        ranked = [metric.name for metric in self.metrics if self.is_ranked(metric.name)]
        found = {}
        for method in self.methods:
            ranks = [self.summaries[metric, method].rank for metric in ranked]
            defined = [rank for rank in ranks if rank is not None]
            if defined and len(defined) == len(ranks):
                found[method] = _mean(defined)
        return found

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """What is missing, and over how many pairs the means therefore are, a line each."""
        lines = [*self._without_scores(), *self._undefined()]
        total = len(self.table.names)
        counts = {metric.name: len(self.common[metric.name]) for metric in self.metrics}
        if len(self.methods) > 1 and any(count < total for count in counts.values()):
            usual = max(counts.values(), key=[*counts.values()].count)
            others = [
                f"{name}: {count or 'none'}" for name, count in counts.items() if count != usual
            ]
            more = f" ({', '.join(others)})" if others else ""
            lines.append(
                "means and ranks are over the pairs for which every method has a value: "
                f"{usual} of {total}{more}"
            )
        return tuple(lines)

    def to_csv(self) -> bytes:
        """Return the summaries as CSV in UTF-8, one row per metric and method."""
        rows = []
        for summary in self.summaries.values():
            made = self.made.get(summary.method, Made())
            cells = [
                number_text(value) if isinstance(value, float) else str(_given(value))
                for value in {**summary.to_record(), "method": guarded(summary.method)}.values()
            ]
            told = map(guarded, asdict(made).values())
            rows.append([*cells, *told, __version__, self.table.sha256])
        return csv_bytes(COLUMNS, rows)

    def to_record(self) -> dict[str, Any]:
        """Return table and summaries as JSON has them; undefined is null."""
        return {
            "rows": [
                {
                    "name": row.name,
                    "method": row.method,
                    **dict(zip(self.table.metrics, row.values, strict=True)),
                }
                for row in self.table.rows
            ],
            "summary": [summary.to_record() for summary in self.summaries.values()],
            "missing": list(self.missing),
            "made": {method: asdict(made) for method, made in self.made.items()},
            "lkcfuse": __version__,
            "table_sha256": self.table.sha256,
        }

    def _without_scores(self) -> list[str]:
        """Name the pairs for which a method has no row."""
        rows = {(row.method, row.name) for row in self.table.rows}
        lines = []
        for method in self.methods:
            names = [name for name in self.table.names if (method, name) not in rows]
            if names:
                lines.append(
                    f"{method} has no scores for {len(names)} of {len(self.table.names)} pairs: "
                    + _listed(names)
                )
        return lines

    def _undefined(self) -> list[str]:
        """Name the pairs for which a metric is undefined although the method was scored."""
        rows: dict[str, list[str]] = {method: [] for method in self.methods}
        for row in self.table.rows:
            rows[row.method].append(row.name)
        nowhere: list[Metric] = []
        found: dict[tuple[str, tuple[str, ...]], list[Metric]] = {}
        for metric in self.metrics:
            values = self.values[metric.name]
            if not any(values.values()):
                nowhere.append(metric)
                continue
            for method, names in rows.items():
                without = tuple(name for name in names if name not in values[method])
                if without:
                    found.setdefault((method, without), []).append(metric)
        lines = [
            f"{metric.name} is undefined for all pairs"
            + (f": it is for {metric.undefined}" if metric.undefined else "")
            for metric in nowhere
        ]
        for (method, without), metrics in found.items():
            verb = "is" if len(metrics) == 1 else "are"
            text = f"{', '.join(metric.name for metric in metrics)} {verb} undefined"
            if len(without) == len(rows[method]):
                lines.append(f"{text} for {method} on all its pairs, which is left out there")
            else:
                lines.append(
                    f"{text} for {method} on {len(without)} of {len(rows[method])} pairs: "
                    + _listed(without)
                )
        return lines


def better(metric: Metric) -> str:
    """Return which way a metric is better: `higher`, or `lower`."""
    return "higher" if metric.higher_is_better else "lower"


def ranks(values: Sequence[float], *, higher_is_better: bool) -> list[float]:
    """Return the rank of each value among all, 1 for the best, ties averaged.

    Example:
        >>> ranks([0.5, 0.9, 0.5], higher_is_better=True)
        [2.5, 1.0, 2.5]
    """
    sign = -1 if higher_is_better else 1
    ordered = sorted(sign * value for value in values)
    return [
        1 + ordered.index(sign * value) + (ordered.count(sign * value) - 1) / 2 for value in values
    ]


def _mean_ranks(metric: Metric, columns: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return each method's rank, averaged over the pairs."""
    if not columns:
        return {}
    by_pair = [
        ranks(values, higher_is_better=metric.higher_is_better)
        for values in zip(*columns.values(), strict=True)
    ]
    return {
        method: _mean([of_pair[index] for of_pair in by_pair])
        for index, method in enumerate(columns)
    }


def _p_values(metric: Metric, columns: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return each method's p against the one with the best mean, which has none."""
    means = {method: _mean(values) for method, values in columns.items()}
    best = metric.best(means.values())
    winner = next((method for method, mean in means.items() if mean == best), None)
    if winner is None:
        return {}
    others = [method for method in columns if method != winner]
    found = [paired_p(columns[winner], columns[method]) for method in others]
    return dict(zip(others, holm(found), strict=True))


def _given(value: object) -> object:
    return "" if value is None else value


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _scaled(summarise: Callable[[Sequence[float]], float]) -> Callable[[Sequence[float]], float]:
    """Make a summary that values too large to be squared or added do not stop."""

    def summary(values: Sequence[float]) -> float:
        try:
            return summarise(values)
        except OverflowError:
            # A power of two, so that nothing but the exponents changes.
            scale = 2.0 ** (math.frexp(max(map(abs, values)))[1] - 1)
            return summarise([value / scale for value in values]) * scale

    return summary


@_scaled
def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


@_scaled
def _standard_deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


@_scaled
def _median(values: Sequence[float]) -> float:
    if not values:
        return math.nan
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else math.fsum(ordered[middle - 1 : middle + 1]) / 2
