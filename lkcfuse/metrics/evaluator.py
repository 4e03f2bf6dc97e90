"""Many metrics of one fused image, or of many methods' results, with the shared work done once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from numpy.typing import ArrayLike

from lkcfuse.errors import InputError
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

    What several metrics need of an image is computed once. To compare several methods' results for
    the same sources, hand the sources over as `Plane`s: their histograms and
    moments, computed for the first method, serve the others.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.
        metrics: Names as in `lkcfuse.metrics.METRICS`; by default every one that applies.
        reference: A ground truth of the same shape, for the metrics whose names begin with GT.

    Returns:
        Value by name, in the order asked for; nan where a metric is undefined for these images.

    Raises:
        InputError: An image is not a finite (H, W) array, the sizes differ, or an array is plainly
            on another scale: levels above 255, or fractions within 0..1 alone.
        UsageError: An unknown metric, or one that needs the reference without one.

    Example:
        >>> evaluate([[0, 2], [4, 6]], [[0, 1], [2, 3]], [[5, 6], [7, 8]], ["CC", "MSE"])
        {'CC': 1.0, 'MSE': 8.5}
    """
    chosen = select(metrics, reference=reference is not None)
    given = (fused, a, b)
    f, a, b = planes(*given)
    _check_scales(given, (f, a, b))
    arguments: dict[Needs, tuple[Plane, ...]] = {Needs.NOTHING: (f,), Needs.SOURCES: (f, a, b)}
    if reference is not None:
        arguments[Needs.REFERENCE] = planes(f, reference)
        _check_scales((reference,), arguments[Needs.REFERENCE][1:])
    return {metric.name: metric.function(*arguments[metric.needs]) for metric in chosen}


def _check_scales(given: Sequence[ArrayLike | Plane], made: Sequence[Plane]) -> None:
    """Refuse arrays that would get scores that look like scores and are none."""
    for image, plane in zip(given, made, strict=True):
        if not isinstance(image, Plane):
            _check_scale(plane)


def _check_scale(plane: Plane) -> None:
    highest = plane.pixels.max()
    if highest > 255:
        raise InputError(
            f"{plane.name} holds levels up to {highest:g}: metrics take grey levels 0..255, so "
            "divide 16 bits by 257"
        )
    # Levels 0 and 1 alone may be those of a very dark image.
    if highest <= 1 and ((plane.pixels > 0) & (plane.pixels < 1)).any():
        raise InputError(
            f"{plane.name} holds values within 0..1: metrics take grey levels 0..255, so multiply "
            "by 255"
        )
