"""A transform that tiles of two pictures agree on, all surfaces of correlation taken together.

A tile of the first picture correlates with the second at several places about as well: heat and
light have few edges in common, and walls and kerbs have one direction. No tile is therefore asked
for its best place. Each says how likely every displacement is, and the transform is fitted to all of
them at once by expectation maximisation, within a window that narrows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.pairs.alignment.descriptors import Maps, Mask
from lkcfuse.pairs.resample import Matrix

Array = npt.NDArray[np.float64]

_ALONG = 10
_OVERLAP = 1.6
_LEAST_DATA = 0.6
_FEWEST = 6
_SHARPNESS = 60.0
_OUTLIER = 0.05
_STIFFNESS = 1.0

_COLUMNS = {"shift": 2, "similarity": 4, "affine": 6, "homography": 8}


@dataclass(frozen=True)
class Surfaces:
    """How well tiles of the first picture correlate with the second around their places.

    Attributes:
        places: (N, 2) x and y of the tiles' centres.
        cells: (N, 2) row and column of the tiles.
        scores: (N, 2 R + 1, 2 R + 1) correlations, -1 to 1.
        size: (height, width) of the picture.
    """

    places: Array
    cells: npt.NDArray[np.int64]
    scores: Array
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def radius(self) -> int:
        """How far around its place a tile was looked for, in pixels."""
        return self.scores.shape[1] // 2

    def subset(self, chosen: npt.NDArray[np.int64] | Mask) -> Surfaces:
        """Return those of some tiles."""
        return Surfaces(self.places[chosen], self.cells[chosen], self.scores[chosen], self.size)


def correlate(first: Maps, second: Maps, data: Mask, radius: int) -> Surfaces:
    """Correlate tiles of the first picture with the second.

    Args:
        first: Maps of the first picture.
        second: Maps of the second, on the same grid.
        data: Where both have data.
        radius: How far to look, in pixels.
    """
    height, width = data.shape
    half = max(6, round(max(height, width) / _ALONG * _OVERLAP / 2))
    padded = cv2.copyMakeBorder(second, *[radius] * 4, cv2.BORDER_CONSTANT)
    if padded.ndim == 2:
        padded = padded[..., None]
    step = max(height, width) / _ALONG
    rows = np.linspace(half, height - 1 - half, max(3, round(height / step))).astype(int)
    columns = np.linspace(half, width - 1 - half, max(3, round(width / step))).astype(int)
    places, cells, scores = [], [], []
    for (i, y), (j, x) in itertools.product(enumerate(rows), enumerate(columns)):
        top, left = max(0, y - half), max(0, x - half)
        bottom, right = min(height, y + half + 1), min(width, x + half + 1)
        if data[top:bottom, left:right].mean() < _LEAST_DATA:
            continue
        tile = first[top:bottom, left:right]
        window = padded[top : bottom + 2 * radius, left : right + 2 * radius]
        surface = cv2.matchTemplate(window, tile, cv2.TM_CCOEFF_NORMED)
        if not np.isfinite(surface).all():
            continue
        places.append((x, y))
        cells.append((i, j))
        scores.append(surface)
    side = 2 * radius + 1
    return Surfaces(
        np.array(places, np.float64).reshape(-1, 2),
        np.array(cells, np.int64).reshape(-1, 2),
        np.clip(np.array(scores, np.float64).reshape(-1, side, side), -0.999, 0.999),
        (height, width),
    )


@dataclass(frozen=True)
class Fit:
    """A transform that tiles agree on.

    Attributes:
        step: From the first's grid to where things are in the second.
        weights: (N,) how far each tile agrees: 0 to 1.
        correlation: Mean correlation of the tiles at their places, above the mean of their surfaces.
    """

    step: Matrix
    weights: Array
    correlation: float


def fit(surfaces: Surfaces, model: str, *, narrow: float = 1.0) -> Fit | None:
    """Fit a transform to surfaces; None where there are too few.

    Args:
        surfaces: Of one pair.
        model: `shift`, `similarity`, `affine` or `homography`.
        narrow: Standard deviation in pixels of the window at the end.
    """
    if len(surfaces) < _FEWEST:
        return None
    height, width = surfaces.size
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    reach = max(middle.max(), 1.0)
    radius = surfaces.radius
    offsets = np.arange(-radius, radius + 1, dtype=np.float64)
    likelihood = _likelihood(surfaces.scores)
    solved = np.zeros(8)
    solved[:2] = _best_shift(likelihood, radius)
    weights = np.ones(len(surfaces))
    designs = {each: _design((surfaces.places - middle) / reach, n) for each, n in _COLUMNS.items()}
    sigma = max(narrow, radius / 2.5)
    for turn in range(24):
        stage = model if model == "shift" or turn >= 10 else "similarity"
        design = designs[stage]
        columns = design.shape[2]
        expected = design @ solved[:columns]
        near_x = np.exp(-((offsets[None] - expected[:, :1]) ** 2) / (2 * sigma**2))
        near_y = np.exp(-((offsets[None] - expected[:, 1:]) ** 2) / (2 * sigma**2))
        share = likelihood * near_y[:, :, None] * near_x[:, None, :]
        total = share.sum(axis=(1, 2)) + 1e-12
        seen_x = (share.sum(axis=1) @ offsets) / total
        seen_y = (share.sum(axis=2) @ offsets) / total
        window = near_x.sum(axis=1) * near_y.sum(axis=1) + 1e-12
        weights = total / (total + _OUTLIER * window * likelihood.max(axis=(1, 2)) + 1e-12)
        var_x = (share.sum(axis=1) @ offsets**2) / total - seen_x**2
        var_y = (share.sum(axis=2) @ offsets**2) / total - seen_y**2
        # A window alone has sigma's variance: what a tile knows is by how much it is narrower.
        precision = np.stack(
            [weights * np.clip(1 / (v + 0.1) - 1 / (sigma**2 + 0.1), 0, None) for v in (var_x, var_y)],
            axis=1,
        )
        # The window draws towards what was expected; undo it.
        seen = np.stack([seen_x, seen_y], axis=1)
        variance = np.stack([var_x, var_y], axis=1)
        pull = np.clip(variance / sigma**2, 0, 0.8)
        seen = (seen - pull * expected) / (1 - pull)
        wanted = np.clip(seen, -radius, radius)
        update = _solve(design, wanted, precision)
        solved[:columns] = update
        sigma = max(narrow, sigma * 0.85)
    step = _matrix(solved, middle, reach, _COLUMNS[model])
    at = _sample(surfaces.scores, designs[model] @ solved[: _COLUMNS[model]])
    above = at - surfaces.scores.mean(axis=(1, 2))
    return Fit(step, weights, float(above.mean()))


def _likelihood(scores: Array) -> Array:
    """Return how likely each displacement of each tile is, its maximum being 1."""
    evidence = -np.log1p(-(np.maximum(scores, 0) ** 2)) * _SHARPNESS
    return np.asarray(np.exp(evidence - evidence.max(axis=(1, 2), keepdims=True)), np.float64)


def _best_shift(likelihood: Array, radius: int) -> Array:
    """Return the displacement that most tiles have in common."""
    votes = cv2.GaussianBlur(likelihood.mean(axis=0), (0, 0), 1.5)
    row, column = np.unravel_index(int(votes.argmax()), votes.shape)
    return np.array([column - radius, row - radius], np.float64)


def _design(points: Array, columns: int) -> Array:
    """Return what displacement each parameter gives each point: (N, 2, columns).

    Parameters: shift (2), scale, turn, stretch (2), perspective (2).
    """
    x, y = points.T
    one, none = np.ones_like(x), np.zeros_like(x)
    across = np.stack([one, none, x, -y, x, y, x * x, x * y], axis=1)
    down = np.stack([none, one, y, x, -y, x, x * y, y * y], axis=1)
    return np.stack([across, down], axis=1)[:, :, :columns]


def _solve(design: Array, wanted: Array, precision: Array) -> Array:
    """Fit by weighted least squares, and draw towards none what few tiles tell."""
    columns = design.shape[2]
    rows, values, weights = design.reshape(-1, columns), wanted.ravel(), precision.ravel()
    weights = weights / (weights.mean() + 1e-12) * min(1.0, weights.mean() * 4)
    ridge = np.array([0, 0, 0.02, 0.02, 1, 1, 2, 2])[:columns] * _STIFFNESS
    weighted = rows * weights[:, None]
    normal = weighted.T @ rows + np.diag(ridge) + 1e-6 * np.eye(columns)
    return np.asarray(np.linalg.solve(normal, weighted.T @ values), np.float64)


def _matrix(solved: Array, middle: Array, reach: float, columns: int) -> Matrix:
    """Return the homography that moves the corners as the parameters say."""
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    corners = square * reach + middle
    moved = corners + _design(square, columns) @ solved[:columns]
    made = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    return np.asarray(made, np.float64)


def _sample(scores: Array, moves: Array) -> Array:
    """Return each surface's value at a displacement."""
    radius = scores.shape[1] // 2
    x, y = np.clip(np.rint(moves).astype(int) + radius, 0, 2 * radius).T
    return np.asarray(scores[np.arange(len(scores)), y, x], np.float64)
