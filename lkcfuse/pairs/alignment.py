"""Registration of two pictures that different sensors took: where one shows what the other shows.

Heat and light have edges in the same places, of any sign and strength. Both pictures become maps of
how much gradient there is in each of four directions, sign left out and normalised pixel by pixel
(the channel features of orientated gradients, CFOG: Ye et al., "Fast and Robust Matching for
Multimodal Remote Sensing Image Registration", IEEE TGRS 2019). A coarse search matches the whole
first picture within the second over scales and rotations; then, from coarse to fine, tiles of the
first are looked for near where they should be, and a transform is fitted to what they say, robustly.
The share of tiles that agree on it is the confidence.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.images.colour import FloatArray
from lkcfuse.pairs.resample import Matrix, resize_matrix

MODELS = ("shift", "affine", "homography")

LEAST_CONFIDENCE = 0.4
"""Below it a registration is not to be trusted; benchmarks/alignment.py tells why."""

_COARSE_SIDE = 112
_LEVELS = ((192, 9), (320, 6), (512, 5))
"""Long side of the first picture, and how far tiles are looked for, in its pixels."""

_TILES_ALONG = 9
_TOLERANCE = 1.5
_FEWEST_TILES = 6
_STIFFNESS = 4.0
_NARROW_SCALES = tuple(np.geomspace(0.88, 1.14, 9))
_WIDE_SCALES = tuple(np.geomspace(0.75, 3.0, 30))
_ROTATIONS = (-3.0, -1.5, 0.0, 1.5, 3.0)
_DIRECTIONS = ((1.0, 0.0), (math.sqrt(0.5), math.sqrt(0.5)), (0.0, 1.0), (-(0.5**0.5), 0.5**0.5))

_Maps = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Alignment:
    """Where the second picture lies on the first.

    Attributes:
        transform: (3, 3), from the second picture's pixels to the first's.
        gain: How much closer the pictures' edges agree than if both showed the same view: the
            difference of two correlations.
        confidence: Share of the picture's tiles that agree on the transform: 0 to 1.
    """

    transform: Matrix
    gain: float
    confidence: float

    @property
    def trusted(self) -> bool:
        """Whether the transform is fit for use."""
        return self.confidence >= LEAST_CONFIDENCE

    def displacement(self, size: tuple[int, int], other: tuple[int, int]) -> float:
        """Return by how many of the first's pixels the second moves in the median of its corners.

        Args:
            size: (height, width) of the first picture.
            other: Likewise of the second, taken to show the same view.
        """
        return float(np.median(corner_errors(self.transform, resize_matrix(other, size), other)))


def corner_errors(found: Matrix, true: Matrix, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return how far apart two transforms put the corners of a picture: (4,) in pixels."""
    bottom, right = size[0] - 1.0, size[1] - 1.0
    corners = np.array([[[0, 0], [right, 0], [0, bottom], [right, bottom]]], np.float64)
    apart = cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, true)
    return np.asarray(np.hypot(*apart[0].T), np.float64)


def register(first: FloatArray, second: FloatArray, model: str) -> Alignment:
    """Find where the second picture lies on the first.

    Args:
        first: Luma of the first picture: (H, W) float32 in [0, 1].
        second: Luma of the second; it may have another size and another field of view.
        model: What may differ: `shift`, `affine` or `homography`.
    """
    plain = resize_matrix(_size(second), _size(first))
    if model == "shift":
        return _refined(first, second, _coarse(first, second, (1.0,), (0.0,)), model)
    starts = [plain, _coarse(first, second, _NARROW_SCALES, _ROTATIONS)]
    found = _best(first, second, starts, model)
    if not found.trusted:
        wide = _coarse(first, second, _WIDE_SCALES, (-2.0, 0.0, 2.0))
        found = max(found, _refined(first, second, wide, model), key=_confidence)
    return found


def _best(first: FloatArray, second: FloatArray, starts: list[Matrix], model: str) -> Alignment:
    """Refine the start whose coarsest level is agreed on by most tiles."""
    rough = [_refined(first, second, start, model, _LEVELS[:1]) for start in starts]
    best = max(rough, key=_confidence)
    return _refined(first, second, best.transform, model, _LEVELS[1:])


def check_alignment(first: FloatArray, second: FloatArray) -> Alignment:
    """Look quickly whether two pictures of one size show the same view; see `register`."""
    return _refined(first, second, np.eye(3), "affine", levels=((320, 12),))


def _confidence(found: Alignment) -> float:
    return found.confidence


def _size(plane: FloatArray) -> tuple[int, int]:
    return plane.shape[0], plane.shape[1]


def _scaled(plane: FloatArray, size: tuple[int, int]) -> FloatArray:
    if _size(plane) == size:
        return plane
    shrinks = size[1] < plane.shape[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (size[1], size[0]), interpolation=way), np.float32)


def _features(plane: FloatArray) -> _Maps:
    """Return how much gradient there is in each direction: (H, W, 4) float32."""
    plane = cv2.GaussianBlur(np.sqrt(np.maximum(plane, 0)), (0, 0), 1.0)
    right = cv2.Scharr(plane, cv2.CV_32F, 1, 0)
    down = cv2.Scharr(plane, cv2.CV_32F, 0, 1)
    maps = np.stack([np.abs(x * right + y * down) for x, y in _DIRECTIONS], axis=-1)
    maps = cv2.GaussianBlur(maps, (0, 0), 1.0)
    strength = np.sqrt((maps * maps).sum(axis=-1, keepdims=True))
    # Where there is no more than noise, nothing is to be made of it.
    return np.asarray(maps / (strength + strength.mean() + 1e-6), np.float32)


def _coarse(
    first: FloatArray, second: FloatArray, scales: tuple[float, ...], rotations: tuple[float, ...]
) -> Matrix:
    """Match the whole first picture within the second.

    Args:
        first: The first picture.
        second: The second picture.
        scales: How wide the second's view may be, in widths of the first's.
        rotations: By how many degrees it may be turned.

    Returns:
        The best transform from the second's pixels to the first's.
    """
    height, width = _size(first)
    factor = min(1.0, _COARSE_SIDE / max(height, width))
    small = (max(8, round(height * factor)), max(8, round(width * factor)))
    template = _features(_scaled(first, small))
    best, found = -math.inf, np.eye(3)
    for scale in scales:
        wide = max(8, round(small[1] * scale))
        other = (max(8, round(wide * second.shape[0] / second.shape[1])), wide)
        shrunk = _scaled(second, other)
        # Around the second, as far as the first may reach beyond it.
        margins = [max(0, (a - b) // 2) + max(4, a // 7) for a, b in zip(small, other, strict=True)]
        canvas = (other[1] + 2 * margins[1], other[0] + 2 * margins[0])
        for rotation in rotations:
            turn = cv2.getRotationMatrix2D(((other[1] - 1) / 2, (other[0] - 1) / 2), rotation, 1)
            turn[:, 2] += margins[1], margins[0]
            turned = cv2.warpAffine(shrunk, turn, canvas, borderMode=cv2.BORDER_REPLICATE)
            inside = cv2.warpAffine(np.ones_like(shrunk), turn, canvas)
            maps = _features(turned) * (inside > 0.99)[..., None]
            scores = cv2.matchTemplate(maps, template, cv2.TM_CCOEFF_NORMED)
            score, place = cv2.minMaxLoc(scores)[1::2]
            if score > best:
                best = score
                shift = np.array([[1, 0, -place[0]], [0, 1, -place[1]], [0, 0, 1.0]])
                found = shift @ np.vstack([turn, [0, 0, 1]]) @ resize_matrix(_size(second), other)
    return np.asarray(resize_matrix(small, (height, width)) @ found, np.float64)


def _refined(
    first: FloatArray,
    second: FloatArray,
    start: Matrix,
    model: str,
    levels: tuple[tuple[int, int], ...] = _LEVELS,
) -> Alignment:
    """Refine a transform from coarse to fine by tiles, and say how many agree on it."""
    transform = start
    confidence = 0.0
    for side, radius in levels:
        factor = min(1.0, side / max(first.shape))
        size = (max(8, round(first.shape[0] * factor)), max(8, round(first.shape[1] * factor)))
        level = resize_matrix(_size(first), size)
        small = _scaled(first, size)
        features = _features(small)
        # Again from the better place: tiles then overlap more, and more of them are found.
        rounds = 2 if side == levels[-1][0] or factor == 1 else 1
        for _ in range(rounds):
            warped, inside = _warped(second, level @ transform, size)
            here, there = _matches(features, _features(warped), inside, radius)
            step, confidence = _fit(there, here, model, last=side == levels[-1][0])
            if step is None:
                return Alignment(transform, 0.0, 0.0)
            transform = np.linalg.inv(level) @ step @ level @ transform
            transform = np.asarray(transform / transform[2, 2], np.float64)
        if factor == 1:
            break
    if not _plausible(transform, _size(second)):
        return Alignment(start, 0.0, 0.0)
    plain = resize_matrix(_size(second), _size(first))
    after, before = (
        _agreement(features, second, level @ each, size) for each in (transform, plain)
    )
    return Alignment(transform, after - before, confidence)


def _warped(
    second: FloatArray, matrix: Matrix, size: tuple[int, int]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return the second picture on a grid, and where it is."""
    scale = math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if scale < 0.75:
        shape = (max(8, round(second.shape[0] * scale)), max(8, round(second.shape[1] * scale)))
        matrix = matrix @ resize_matrix(shape, _size(second))
        second = _scaled(second, shape)
    to = (size[1], size[0])
    warped = cv2.warpPerspective(second, matrix, to, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpPerspective(np.ones_like(second), matrix, to) > 0.99
    return np.asarray(warped, np.float32), np.asarray(inside, np.bool_)


def _matches(
    first: _Maps, second: _Maps, inside: npt.NDArray[np.bool_], radius: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Look for tiles of the first in the second, near where they are in the first.

    Returns:
        Their centres in the first, and where they were found: (N, 2) each, x and y.
    """
    height, width = inside.shape
    half = max(8, max(height, width) // 11)
    reach = half + radius
    columns = np.linspace(reach, width - 1 - reach, _TILES_ALONG).astype(int)
    rows = np.linspace(reach, height - 1 - reach, max(3, _TILES_ALONG * height // width)).astype(
        int
    )
    here, there = [], []
    for y, x in itertools.product(rows, columns):
        top, left = y - reach, x - reach
        if top < 0 or left < 0 or y + reach >= height or x + reach >= width:
            continue
        if inside[top : y + reach + 1, left : x + reach + 1].mean() < 0.9:
            continue
        tile = first[y - half : y + half + 1, x - half : x + half + 1]
        window = second[top : y + reach + 1, left : x + reach + 1]
        scores = cv2.matchTemplate(window, tile, cv2.TM_CCOEFF_NORMED)
        _, score, _, (column, row) = cv2.minMaxLoc(scores)
        if not score > 0.1 or not (0 < column < 2 * radius and 0 < row < 2 * radius):
            # At the rim it is no peak: the place is unknown, and counts against the transform.
            there.append((math.nan, math.nan))
        else:
            dx = _vertex(scores[row, column - 1 : column + 2])
            dy = _vertex(scores[row - 1 : row + 2, column])
            there.append((x - radius + column + dx, y - radius + row + dy))
        here.append((float(x), float(y)))
    return np.array(here).reshape(-1, 2), np.array(there).reshape(-1, 2)


def _vertex(values: Any) -> float:
    """Return where the parabola through three neighbours has its top, from the middle one."""
    left, middle, right = (float(value) for value in values)
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else 0.5 * (left - right) / bend


def _fit(
    points: npt.NDArray[np.float64], targets: npt.NDArray[np.float64], model: str, *, last: bool
) -> tuple[Matrix | None, float]:
    """Fit a transform to matches, many of which may be wrong.

    Returns:
        The transform from points to targets, None where too few agree; and the share that agrees.
    """
    known = np.isfinite(points).all(axis=1)
    total = len(points)
    points, targets = points[known], targets[known]
    if len(points) < _FEWEST_TILES:
        return None, 0.0
    tolerance = _TOLERANCE if last else 2 * _TOLERANCE
    step: Matrix | None = None
    if model == "shift":
        step = _fit_shift(points, targets, 2 * tolerance)
    else:
        found = cv2.estimateAffinePartial2D(points, targets, ransacReprojThreshold=2 * tolerance)[0]
        if found is not None:
            step = np.vstack([found, [0, 0, 1]])
            step = _fit_smooth(points, targets, step, tolerance, model if last else "similarity")
    if step is None:
        return None, 0.0
    mapped = cv2.perspectiveTransform(points[None], np.asarray(step, np.float64))[0]
    agreeing = int((np.hypot(*(mapped - targets).T) <= tolerance).sum())
    if agreeing < _FEWEST_TILES:
        return None, 0.0
    return np.asarray(step, np.float64), agreeing / total


def _fit_shift(
    points: npt.NDArray[np.float64], targets: npt.NDArray[np.float64], tolerance: float
) -> Matrix:
    moves = targets - points
    apart = np.hypot(*(moves[:, None] - moves[None]).transpose(2, 0, 1))
    close = apart[(apart <= tolerance).sum(axis=1).argmax()] <= tolerance
    step = np.eye(3)
    step[:2, 2] = moves[close].mean(axis=0)
    return step


def _fit_smooth(
    points: npt.NDArray[np.float64],
    targets: npt.NDArray[np.float64],
    start: Matrix,
    tolerance: float,
    model: str,
) -> Matrix:
    """Fit by least squares, matches weighted down as they disagree (Geman and McClure's weights).

    What a model has beyond a turn, a scale and a shift is drawn towards none: few matches, all in
    one corner of the picture, would have it bend the other corners.
    """
    middle, reach = points.mean(axis=0), np.abs(points - points.mean(axis=0)).max() + 1e-9
    x, y = (points - middle).T / reach
    one, none = np.ones_like(x), np.zeros_like(x)
    # Columns: shift (2), scale, turn, stretch (2), perspective (2); rows: x, then y.
    across = [one, none, x, -y, x, y, x * x, x * y]
    down = [none, one, y, x, -y, x, x * y, y * y]
    columns = {"similarity": 4, "affine": 6, "homography": 8}[model]
    design = np.vstack([np.stack(across, axis=1), np.stack(down, axis=1)])[:, :columns]
    ridge = np.diag(np.array([0, 0, 0, 0, 1, 1, 2, 2], np.float64)[:columns]) * _STIFFNESS
    wanted = (targets - points).T.ravel()
    mapped = cv2.perspectiveTransform(points[None], start)[0]
    for width in (3.0, 2.0, 1.5, 1.0, 1.0, 1.0):
        apart = ((mapped - targets) ** 2).sum(axis=1)
        weights = 1 / (1 + apart / (width * tolerance) ** 2) ** 2
        weighted = design * np.tile(weights, 2)[:, None]
        normal = weighted.T @ design + ridge + 1e-9 * np.eye(columns)
        solved = np.linalg.solve(normal, weighted.T @ wanted)
        mapped = points + (design @ solved).reshape(2, -1).T
    # The four corners that the moves give have one homography; without perspective it is affine.
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    a, b = square.T
    c, d = np.ones(4), np.zeros(4)
    corners_x = np.stack([c, d, a, -b, a, b, a * a, a * b], axis=1)[:, :columns] @ solved
    corners_y = np.stack([d, c, b, a, -b, a, a * b, b * b], axis=1)[:, :columns] @ solved
    corners = square * reach + middle
    moved = corners + np.stack([corners_x, corners_y], axis=1)
    made = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    return np.asarray(made, np.float64)


def _plausible(transform: Matrix, size: tuple[int, int]) -> bool:
    """Whether a camera could see that: not mirrored, folded, or squeezed to a line."""
    bottom, right = size[0] - 1.0, size[1] - 1.0
    corners = np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])
    w = corners @ transform[2, :2] + transform[2, 2]
    if (w <= 0.2).any():
        return False
    stretch = np.linalg.svd(transform[:2, :2], compute_uv=False)
    return bool(np.linalg.det(transform) > 0 and stretch[0] < 1.5 * stretch[1])


def _agreement(features: _Maps, second: FloatArray, matrix: Matrix, size: tuple[int, int]) -> float:
    """Return how well the edges of two pictures agree where both are: -1 to 1."""
    warped, inside = _warped(second, matrix, size)
    if inside.mean() < 0.02:
        return 0.0
    pair = [maps[inside].ravel() for maps in (features, _features(warped))]
    agreement = float(np.corrcoef(*pair)[0, 1])
    return agreement if math.isfinite(agreement) else 0.0
