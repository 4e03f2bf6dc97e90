"""From pictures to sets, and from sets to their mean, in which each set counts once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from quality_picture import METHODS, METRICS, Picture

from lkcfuse.metrics import METRICS as REGISTRY

ROUGHER_BY = 1.0

Scores = dict[str, float]


@dataclass(frozen=True)
class Summary:
    """Figures of one set, or of the mean over several.

    Attributes:
        name: The set; empty where there are no sets.
        pairs: Number of pairs.
        metrics: Mean by metric, by method, over the pairs where it is defined for every method.
        figures: Every other number, among them `gain.METRIC`: ours less the maximum's, with the
            sign turned where lower is better. What could not be measured is left out.
        worst: For figures that one picture (of a mean: one set) decides or drags down, its name.
        lowest: By metric, the gain of the picture (of a mean: the set) that `worst` names.
    """

    name: str
    pairs: int
    metrics: dict[str, Scores]
    figures: dict[str, float]
    worst: dict[str, str] = field(default_factory=dict)
    lowest: Scores = field(default_factory=dict)


def gains(picture: Picture) -> Scores:
    """Return by how much a picture is better than the maximum, by metric, where defined."""
    ours, maximum = picture.scores["ours"], picture.scores["maximum"]
    values = {name: _sign(name) * (ours[name] - maximum[name]) for name in METRICS}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def summarize(name: str, pictures: Sequence[Picture]) -> Summary:
    """Return the figures of a set."""
    metrics: dict[str, Scores] = {method: {} for method in METHODS}
    figures: Scores = {}
    for metric in METRICS:
        rows = [[p.scores[method][metric] for method in METHODS] for p in pictures]
        defined = [row for row in rows if np.isfinite(row).all()]
        if defined:
            for method, value in zip(METHODS, np.mean(defined, axis=0), strict=True):
                metrics[method][metric] = float(value)
            gain = metrics["ours"][metric] - metrics["maximum"][metric]
            figures[f"gain.{metric}"] = _sign(metric) * gain
    checks: dict[str, dict[str, float]] = {}
    for picture in pictures:
        for check, value in picture.checks.items():
            checks.setdefault(check, {})[picture.name] = value
    figures |= _flat(pictures)
    worst: dict[str, str] = {}
    for check, by_picture in checks.items():
        if check != "flat" and not check.startswith("turn."):
            figures[check] = float(np.mean(list(by_picture.values())))
        if check.startswith("detail.") and check.endswith(".ours"):
            figures[check.replace("ours", "pictures")] = len(by_picture)
    for check, pick in (("quarter", max), ("tone", min)):
        picture_name = pick(checks[check], key=checks[check].__getitem__)
        figures[f"{check}.worst"] = checks[check][picture_name]
        worst[f"{check}.worst"] = picture_name
    figures |= _turns(checks, worst)
    lowest = {}
    by_metric = {p.name: gains(p) for p in pictures}
    for metric in METRICS:
        values = {name: row[metric] for name, row in by_metric.items() if metric in row}
        if values:
            worst[f"gain.{metric}"] = min(values, key=values.__getitem__)
            lowest[metric] = values[worst[f"gain.{metric}"]]
    return Summary(name, len(pictures), metrics, figures, worst, lowest)


def mean_over_sets(sets: Sequence[Summary]) -> Summary:
    """Return the mean of every figure over the sets that have it.

    Figures of a worst picture become the worst set's, and numbers of windows and pictures are
    added up.
    """
    metrics = {
        method: _means([s.metrics[method] for s in sets], METRICS)  # keeps the table's order
        for method in METHODS
    }
    names = list(dict.fromkeys(name for s in sets for name in s.figures))
    figures, worst = {}, {}
    for name in names:
        values = {s.name: s.figures[name] for s in sets if name in s.figures}
        if name.endswith((".worst", ".largest")):
            pick = min if name == "tone.worst" else max
            worst[name] = pick(values, key=values.__getitem__)
            figures[name] = values[worst[name]]
        elif name.endswith((".windows", ".pictures")):
            figures[name] = sum(values.values())
        else:
            figures[name] = float(np.mean(list(values.values())))
    lowest = {}
    for metric in METRICS:
        values = {s.name: s.figures[key] for s in sets if (key := f"gain.{metric}") in s.figures}
        if values:
            worst[f"gain.{metric}"] = min(values, key=values.__getitem__)
            lowest[metric] = values[worst[f"gain.{metric}"]]
    pairs = sum(s.pairs for s in sets)
    return Summary("mean over the sets", pairs, metrics, figures, worst, lowest)


def to_json(summary: Summary, pictures: Iterable[Picture] = ()) -> dict[str, object]:
    """Return a summary as JSON data, with a row per picture; what is undefined is null."""
    rows = [
        {
            "name": picture.name,
            "metrics": {
                method: {name: _finite(value) for name, value in scores.items()}
                for method, scores in picture.scores.items()
            },
            "gains": gains(picture),
            "checks": picture.checks,
        }
        for picture in pictures
    ]
    data: dict[str, object] = {
        "pairs": summary.pairs,
        "metrics": summary.metrics,
        "figures": summary.figures,
        "worst": {
            name: {"name": where, "value": _worst_value(summary, name)}
            for name, where in summary.worst.items()
        },
    }
    return data | ({"pictures": rows} if rows else {})


def _worst_value(summary: Summary, name: str) -> float:
    gain = name.removeprefix("gain.")
    return summary.lowest[gain] if gain != name else summary.figures[name]


def _flat(pictures: Sequence[Picture]) -> Scores:
    flat = np.concatenate([p.flat for p in pictures])
    if not len(flat):
        return {"flat.windows": 0}
    return {
        "flat.windows": len(flat),
        "flat.mean": float(flat.mean(dtype=np.float64)),
        "flat.excess_99": float(np.quantile(flat, 0.99)),
        "flat.rougher": float((flat > ROUGHER_BY).mean()),
    }


def _turns(checks: dict[str, dict[str, float]], worst: dict[str, str]) -> Scores:
    """Return what each turn differs by, and all together; note the worst picture."""
    figures: Scores = {}
    means, largest = [], []
    for check, by_picture in checks.items():
        if not check.startswith("turn."):
            continue
        if check.endswith(".mean"):
            figures[check] = float(np.mean(list(by_picture.values())))
            means.append(figures[check])
        else:
            picture = max(by_picture, key=by_picture.__getitem__)
            figures[check] = by_picture[picture]
            largest.append((by_picture[picture], picture))
    if means:
        figures["turns.mean"] = float(np.mean(means))
        figures["turns.largest"], worst["turns.largest"] = max(largest)
        figures["turns.pictures"] = len(next(v for k, v in checks.items() if k.startswith("turn.")))
    return figures


def _means(tables: Sequence[Scores], names: Iterable[str]) -> Scores:
    means = {}
    for name in names:
        values = [table[name] for table in tables if name in table]
        if values:
            means[name] = float(np.mean(values))
    return means


def _sign(metric: str) -> int:
    return 1 if REGISTRY[metric].higher_is_better else -1


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
