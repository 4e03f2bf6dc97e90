"""A report as the page's script reads it: one JSON object."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from math import nan
from typing import Any

from lkcfuse.metrics.comparison import Comparison
from lkcfuse.metrics.registry import find
from lkcfuse.metrics.remarks import remarks
from lkcfuse.metrics.scoring import Score
from lkcfuse.metrics.significance import is_available
from lkcfuse.metrics.table import Table
from lkcfuse.report.content import Pair, Report
from lkcfuse.report.pictures import Pictured
from lkcfuse.version import __version__


def to_record(report: Report, pictured: Mapping[int, Pictured]) -> dict[str, Any]:
    """Return what the page shows.

    Args:
        report: The report.
        pictured: Pictures, by the index of their pair. The page has them in this order, numbered
            from 0.
    """
    methods = (*report.methods, *report.baselines)
    record: dict[str, Any] = {
        "title": report.title,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": __version__,
        "task": report.task.name,
        "metrics": [_metric(name) for name in report.metrics],
        "methods": [{"name": name, "baseline": name in report.baselines} for name in methods],
        "pictures": [{"key": key, "label": label} for key, label in report.pictures.items()],
        "settings": [
            {"title": section.title, "entries": [list(entry) for entry in section.entries]}
            for section in report.settings
        ],
        "notes": list(report.notes),
        "comparison": _compared(report, methods),
        "pairs": [],
        "pictured": len(pictured),
    }
    number = 0
    for index, pair in enumerate(report.pairs):
        entry = _pair(pair, methods, report.metrics)
        if index in pictured:
            entry["missing"] = dict(pictured[index].missing)
            for key, picture in pictured[index].pictures.items():
                entry["pictures"][key] = {
                    "number": number,
                    "width": picture.width,
                    "height": picture.height,
                    "sourceWidth": picture.source_width,
                    "sourceHeight": picture.source_height,
                }
                number += 1
        record["pairs"].append(entry)
    return record


def rankings(report: Report) -> list[list[int]]:
    """Return indices of the pairs from the worst to the best, by each metric and method.

    Metrics that may not rank have no part in it; nor have pairs for which one is undefined.
    """
    found = []
    for name in report.metrics:
        metric = find(name)
        if not metric.ranks:
            continue
        sign = 1 if metric.higher_is_better else -1
        for method in report.methods:
            values = {
                index: sign * value
                for index, pair in enumerate(report.pairs)
                if (value := pair.scores.get(method, {}).get(name)) is not None
            }
            found.append(sorted(values, key=values.__getitem__))
    return found


def _compared(report: Report, methods: tuple[str, ...]) -> dict[str, Any]:
    """Compare the methods over the pairs that all of them have: by metric, then by method."""
    scores = [
        Score(pair.name, method, {m: nan if v is None else v for m, v in values.items()})
        for pair in report.pairs
        for method, values in pair.scores.items()
    ]
    comparison = Comparison(Table.of(report.metrics, scores), tests=is_available())
    keys = ("mean", "std", "median", "rank", "p")
    found = []
    for metric in report.metrics:
        by_method = [comparison.summaries.get((metric, method)) for method in methods]
        found.append(
            {
                "count": len(comparison.common[metric]),
                "methods": [
                    None if each is None else {key: getattr(each, key) for key in keys}
                    for each in by_method
                ],
            }
        )
    return {"metrics": found, "remarks": remarks(comparison) if scores else []}


def _metric(name: str) -> dict[str, Any]:
    metric = find(name)
    return {
        "name": name,
        "summary": metric.summary,
        "range": metric.range,
        "higher": metric.higher_is_better,
        "ranks": metric.ranks,
        "verified": metric.verified,
    }


def _pair(pair: Pair, methods: tuple[str, ...], metrics: tuple[str, ...]) -> dict[str, Any]:
    scores: list[list[float | None] | None] = []
    for method in methods:
        values = pair.scores.get(method)
        scores.append(None if values is None else [_number(values.get(m)) for m in metrics])
    return {
        "name": pair.name,
        "files": {key: str(path) for key, path in pair.files.items()},
        "scores": scores,
        "error": pair.error,
        "size": None if pair.size is None else list(pair.size),
        "seconds": pair.seconds,
        "pictures": {},
        "missing": {},
    }


def _number(value: float | None) -> float | None:
    """JSON knows no infinity."""
    return value if value is not None and math.isfinite(value) else None
