"""Many metrics of one fused image, or of many methods' results, with the shared work done once."""

from __future__ import annotations

from collections.abc import Iterable

from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import Plane, planes
from lkcfuse.metrics.registry import Needs, select


def evaluate(
    fused: ArrayLike | Plane,
    a: ArrayLike | Plane,
    b: ArrayLike | Plane,
    metrics: Iterable[str] | None = None,
    *,
    reference: ArrayLike | Plane | None = None,
) -> dict[str, float]:
    """Score one fused image against its two sources.

    Histograms, moments, window means and gradients that several metrics need are computed once.
    To compare several methods' results for the same sources, hand the sources over as `Plane`s:
    what was computed for the first method serves the others.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.
        metrics: Names as in `lkcfuse.metrics.METRICS`; by default every one that applies.
        reference: A ground truth of the same shape, for the metrics whose names begin with GT.

    Returns:
        Value by name, in the order asked for; nan where a metric is undefined for these images.

    Raises:
        InputError: An image is not a finite (H, W) array, or the sizes differ.
        UsageError: An unknown metric, or one that needs the reference without one.

    Example:
        >>> evaluate([[0, 2], [4, 6]], [[0, 1], [2, 3]], [[5, 6], [7, 8]], ["CC", "MSE"])
        {'CC': 1.0, 'MSE': 8.5}
    """
    chosen = select(metrics, reference=reference is not None)
    f, a, b = planes(fused, a, b)
    arguments: dict[Needs, tuple[Plane, ...]] = {Needs.NOTHING: (f,), Needs.SOURCES: (f, a, b)}
    if reference is not None:
        arguments[Needs.REFERENCE] = planes(f, reference)
    return {metric.name: metric.function(*arguments[metric.needs]) for metric in chosen}
