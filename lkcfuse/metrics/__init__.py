"""Fusion metrics on luma planes in grey levels 0..255, and the tables they fill.

`evaluate` scores a fused image with every metric at once; each metric is also a function of its
own in its family's module. `METRICS` and `list_metrics` tell what there is, and
`metric` makes a function one.
"""

from __future__ import annotations

from lkcfuse.metrics.evaluator import evaluate
from lkcfuse.metrics.plane import Plane
from lkcfuse.metrics.registry import METRICS, Metric, Needs, list_metrics, metric, select

__all__ = [
    "METRICS",
    "Metric",
    "Needs",
    "Plane",
    "evaluate",
    "list_metrics",
    "metric",
    "select",
]
