"""From two pictures to the transform between them: coarse to fine, and how far to trust it."""

from __future__ import annotations

import math

import numpy as np

from lkcfuse.pairs.alignment.coarse import search
from lkcfuse.pairs.alignment.descriptors import View, fit_within
from lkcfuse.pairs.alignment.fine import Fit, Surfaces, correlate, fit
from lkcfuse.pairs.alignment.result import Alignment, corner_errors
from lkcfuse.pairs.resample import Matrix, resize_matrix

MODELS = ("shift", "affine", "homography")

_NARROW_SCALES = tuple(np.geomspace(0.88, 1.14, 8))
_WIDE_SCALES = tuple(np.geomspace(0.78, 3.7, 32))
_ROTATIONS = (-2.5, 0.0, 2.5)
_STARTS = 4

_ROUGH = (192, 9)
_LEVELS = ((320, 6), (640, 5))
"""Longer side of the first picture, and how far tiles are looked for, in its pixels."""

_RESAMPLINGS = 12


def register(first: View, second: View, model: str) -> Alignment:
    """Find where the second picture lies on the first.

    Args:
        first: The first picture.
        second: The second; it may have another size and another field of view.
        model: What may differ: `shift`, `affine` or `homography`.
    """
    plain = resize_matrix(second.size, first.size)
    if model == "shift":
        return refine(first, second, [each.transform for each in search(first, second, (1.0,), (0.0,), 3)], model)
    narrow = [s.transform for s in search(first, second, _NARROW_SCALES, _ROTATIONS, _STARTS)]
    found = refine(first, second, [plain, *narrow], model)
    if not found.trusted:
        wide = [s.transform for s in search(first, second, _WIDE_SCALES, _ROTATIONS, _STARTS)]
        found = max(found, refine(first, second, wide, model), key=lambda each: each.confidence)
    return found


def refine(first: View, second: View, starts: list[Matrix], model: str) -> Alignment:
    """Refine the start whose tiles correlate best on a small scale."""
    rough = "shift" if model == "shift" else "similarity"
    tried = [_level(first, second, start, rough, *_ROUGH, rounds=2) for start in starts]
    best = max(tried, key=lambda each: each[1].correlation if each[1] is not None else -math.inf)
    transform, fitted, surfaces = best
    if fitted is None:
        return Alignment(starts[0], 0.0, 0.0)
    for number, (side, radius) in enumerate(_LEVELS):
        last = number == len(_LEVELS) - 1
        transform, fitted, surfaces = _level(
            first, second, transform, model, side, radius, rounds=2 if last else 1
        )
        if fitted is None:
            return Alignment(transform, 0.0, 0.0)
    return _judge(first, second, transform, model, surfaces, fitted)


def _level(
    first: View, second: View, start: Matrix, model: str, side: int, radius: int, *, rounds: int
) -> tuple[Matrix, Fit | None, Surfaces]:
    """Refine a transform with pictures of one size."""
    size = fit_within(first.size, side)
    to_level = resize_matrix(first.size, size)
    small = first.scaled(size)
    maps = small.maps()
    transform = start
    for _ in range(rounds):
        moved = second.warped(to_level @ transform, size)
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
) -> Alignment:
    """Say how far a transform is to be trusted: whether parts of the picture say the same."""
    size = surfaces.size
    scale = max(first.size) / max(size)
    odd = surfaces.cells.sum(axis=1) % 2 == 1
    halves = [fit(surfaces.subset(chosen), model) for chosen in (odd, ~odd)]
    if halves[0] is None or halves[1] is None:
        return Alignment(transform, 0.0, 0.0)
    spread = float(corner_errors(halves[0].step, halves[1].step, size).max()) * scale
    share = float((fitted.weights > 0.5).mean())
    confidence = share / (1 + (spread / 6) ** 2)
    gain = fitted.correlation
    return Alignment(transform, gain, confidence, spread, share, fitted.correlation)


def _plausible(step: Matrix, size: tuple[int, int]) -> bool:
    corners = np.array([[0, 0], [size[1], 0], [size[1], size[0]], [0, size[0]]], np.float64)
    w = corners @ step[2, :2] + step[2, 2]
    if (w <= 0.2).any():
        return False
    stretch = np.linalg.svd(step[:2, :2], compute_uv=False)
    return bool(np.linalg.det(step[:2, :2]) > 0 and 0.6 < stretch[1] and stretch[0] < 1.6)
