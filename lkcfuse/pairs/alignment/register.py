"""From two pictures to the transform between them: coarse to fine, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lkcfuse.pairs.alignment.coarse import search
from lkcfuse.pairs.alignment.descriptors import View, fit_within
from lkcfuse.pairs.alignment.fit import Fit, fit
from lkcfuse.pairs.alignment.result import Alignment, corner_errors
from lkcfuse.pairs.alignment.tiles import Surfaces, correlate
from lkcfuse.pairs.resample import Matrix, resize_matrix

MODELS = ("shift", "affine", "homography")
"""What may differ between two pictures."""

LONGEST = 640
"""Longer side in pixels of the first picture at the last and finest level."""

# Widths of the second's view in those of the first's: two cameras of about one field of view, and
# two whose lenses differ.
_NARROW_SCALES = tuple(np.geomspace(0.88, 1.14, 6))
_WIDE_SCALES = tuple(np.geomspace(1.2, 3.9, 22))
_ROTATIONS = (-2.5, 0.0, 2.5)
_STARTS = 3

# Longer side of the first picture, how far tiles are looked for in its pixels, how often.
_ROUGH = (192, 9, 2)
_LEVELS = ((320, 6, 1), (LONGEST, 5, 1))

# Below it, the pictures are looked at as if one showed a part of the other.
_DOUBTFUL = 0.5

# Where confidence is a half, by each of what it is made of; benchmarks/alignment.py measures both.
_CONTRAST = 5.5
_SOFTNESS = 0.6
_HALVES = 5.0


@dataclass(frozen=True)
class Registration:
    """A transform and what tells whether it is right.

    Attributes:
        transform: From the second picture's pixels to the first's.
        contrast: How far the tiles' scores stand out, in their own standard errors.
        share: Share of the tiles whose scores are above the mean of their surfaces.
        spread: Standard deviation of the corners, in 640ths of the first picture's longer side.
        halves: How far apart two halves of the tiles put the corners, likewise.
        correlation: Of the maps over all of what both show.
    """

    transform: Matrix
    contrast: float = 0.0
    share: float = 0.0
    spread: float = float("inf")
    halves: float = float("inf")
    correlation: float = 0.0


def register(first: View, second: View, model: str) -> Alignment:
    """Find where the second picture lies on the first.

    Args:
        first: The first picture.
        second: The second; it may have another size and another field of view.
        model: What may differ: `shift`, `affine` or `homography`.
    """
    found = register_near(first, second, model)
    if model != "shift" and confidence(found) < _DOUBTFUL:
        wide = register_wide(first, second, model)
        found = max(found, wide, key=confidence)
    plain = resize_matrix(second.size, first.size)
    gain = found.correlation - correlation(first, second, plain)
    return Alignment(found.transform, gain, confidence(found))


def register_near(first: View, second: View, model: str) -> Registration:
    """Register two pictures of about the same field of view."""
    if model == "shift":
        starts = [s.transform for s in search(first, second, (1.0,), (0.0,), _STARTS)]
    else:
        found = search(first, second, _NARROW_SCALES, _ROTATIONS, _STARTS)
        starts = [s.transform for s in found]
    return refine(first, second, [resize_matrix(second.size, first.size), *starts], model)


def register_wide(first: View, second: View, model: str) -> Registration:
    """Register two pictures of which one shows a part of what the other does."""
    inner = search(first, second, _WIDE_SCALES, (0.0,), _STARTS)
    outer = search(second, first, _WIDE_SCALES, (0.0,), _STARTS)
    within = refine(first, second, [s.transform for s in inner], model)
    around = refine(second, first, [s.transform for s in outer], model)
    if confidence(within) >= confidence(around):
        return within
    turned = np.linalg.inv(around.transform)
    return Registration(
        turned / turned[2, 2],
        around.contrast,
        around.share,
        around.spread,
        around.halves,
        around.correlation,
    )


def confidence(found: Registration) -> float:
    """Return how far a registration is to be trusted, from 0 to 1.

    Pictures of two scenes reach a contrast of 5, and pictures of one seldom less.
    """
    stands_out = 1 / (1 + np.exp(-(found.contrast - _CONTRAST) / _SOFTNESS))
    return float(stands_out / (1 + (found.halves / _HALVES) ** 2))


def refine(first: View, second: View, starts: list[Matrix], model: str) -> Registration:
    """Refine the start whose tiles correlate best on a small scale."""
    rough = "shift" if model == "shift" else "similarity"
    best: Matrix | None = None
    highest = -np.inf
    for start in starts:
        transform, fitted, _ = _level(first, second, start, rough, *_ROUGH)
        if fitted is not None:
            value = correlation(first, second, transform)
            if value > highest:
                best, highest = transform, value
    if best is None:
        return Registration(starts[0])
    fitted, surfaces = None, None
    for level in _LEVELS:
        best, fitted, surfaces = _level(first, second, best, model, *level)
        if fitted is None:
            return Registration(best)
    assert fitted is not None
    assert surfaces is not None
    return _judge(first, second, best, model, surfaces, fitted)


def correlation(first: View, second: View, transform: Matrix) -> float:
    """Return how well the maps of two pictures correlate under a transform, over what both show."""
    size = fit_within(first.size, _ROUGH[0])
    small = first.scaled(size)
    moved = second.warped(resize_matrix(first.size, size) @ transform, size)
    assert moved.data is not None
    both = moved.data if small.data is None else moved.data & small.data
    if both.mean() < 0.05:
        return 0.0
    one, other = (view.maps()[both].ravel() for view in (small, moved))
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale > 0 else 0.0


def _level(
    first: View, second: View, start: Matrix, model: str, side: int, radius: int, rounds: int
) -> tuple[Matrix, Fit | None, Surfaces]:
    """Refine a transform with pictures of one size."""
    size = fit_within(first.size, side)
    to_level = resize_matrix(first.size, size)
    small = first.scaled(size)
    maps = small.maps()
    transform = start
    for _ in range(rounds):
        moved = second.warped(to_level @ transform, size)
        assert moved.data is not None
        data = moved.data if small.data is None else moved.data & small.data
        surfaces = correlate(maps, moved.maps(), data, radius)
        fitted = fit(surfaces, model)
        if fitted is None or not _plausible(fitted.step, size):
            return start, None, surfaces
        transform = np.linalg.inv(to_level) @ np.linalg.inv(fitted.step) @ to_level @ transform
        transform = transform / transform[2, 2]
    return transform, fitted, surfaces


def _judge(
    first: View, second: View, transform: Matrix, model: str, surfaces: Surfaces, fitted: Fit
) -> Registration:
    """Say how far a transform is to be trusted: whether parts of the picture say the same."""
    size = surfaces.size
    unit = LONGEST / max(size)
    odd = surfaces.cells.sum(axis=1) % 2 == 1
    start = fitted.parameters
    halves = [fit(surfaces.subset(chosen), model, start=start) for chosen in (odd, ~odd)]
    apart = float("inf")
    if halves[0] is not None and halves[1] is not None:
        apart = float(corner_errors(halves[0].step, halves[1].step, size).max()) * unit
    contrasts = fitted.contrasts
    error = float(contrasts.std()) / np.sqrt(len(contrasts)) + 1e-9
    return Registration(
        transform,
        contrast=float(contrasts.mean() / error),
        share=float((contrasts > 0).mean()),
        spread=fitted.spread * unit,
        halves=apart,
        correlation=correlation(first, second, transform),
    )


def _plausible(step: Matrix, size: tuple[int, int]) -> bool:
    """Whether a refinement is one, and not a leap."""
    corners = np.array([[0, 0], [size[1], 0], [size[1], size[0]], [0, size[0]]], np.float64)
    if (corners @ step[2, :2] + step[2, 2] <= 0.2).any():
        return False
    stretch = np.linalg.svd(step[:2, :2], compute_uv=False)
    return bool(np.linalg.det(step[:2, :2]) > 0 and stretch[1] > 0.6 and stretch[0] < 1.6)
