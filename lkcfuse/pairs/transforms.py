"""Known transforms between the pictures of two cameras, as files: a matrix, or pairs of points."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lkcfuse import strict_json
from lkcfuse.errors import InputError
from lkcfuse.pairs.resample import Matrix

_POINTS = 4

# A matrix whose determinant is smaller than this, with its last number 1, maps planes to lines.
_SINGULAR = 1e-9


def read_transform(path: str | os.PathLike[str]) -> tuple[float, ...]:
    """Read a transform from the second picture's pixels to the first's.

    Args:
        path: A JSON file with `transform`, three rows of three numbers, or with `points`, at least
            four lines of `x2, y2, x1, y1`: where a thing is in the second picture and in the first,
            in pixels, the centre of the pixel at the top left being 0, 0.

    Returns:
        The nine numbers of the matrix, row by row, the last of them 1.

    Raises:
        InputError: The file is missing, or has no such transform.
    """
    try:
        record = strict_json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path} is not JSON: {_EXPECTED}") from None
    if not isinstance(record, dict) or ("transform" in record) == ("points" in record):
        raise InputError(f"{path} has no transform: {_EXPECTED}")
    name = "transform" if "transform" in record else "points"
    try:
        numbers = np.array(record[name], np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    matrix = _from_matrix(numbers) if name == "transform" else _from_points(numbers)
    if matrix is None:
        raise InputError(f"{path}: its '{name}' is not a transform: {_EXPECTED}")
    return tuple(matrix.ravel().tolist())


_EXPECTED = (
    'write {"transform": [[a, b, c], [d, e, f], [g, h, 1]]}, from the second picture\'s pixels to '
    'the first\'s, or {"points": [[x2, y2, x1, y1], ...]} with four points or more, no three of '
    "them on a line"
)


def to_matrix(numbers: tuple[float, ...]) -> Matrix:
    """Return the matrix of nine numbers, row by row."""
    return np.array(numbers, np.float64).reshape(3, 3)


def to_rows(matrix: Matrix) -> list[list[float]]:
    """Return a matrix as JSON has it, its last number made 1."""
    scaled = matrix / matrix[2, 2]
    return [[round(float(number), 9) for number in row] for row in scaled]


def _from_matrix(numbers: Any) -> Matrix | None:
    if numbers.shape != (3, 3) or not np.isfinite(numbers).all() or not numbers[2, 2]:
        return None
    matrix: Matrix = numbers / numbers[2, 2]
    return matrix if abs(np.linalg.det(matrix)) > _SINGULAR else None


def _from_points(numbers: Any) -> Matrix | None:
    if numbers.ndim != 2 or numbers.shape[1] != 4 or len(numbers) < _POINTS:
        return None
    if not np.isfinite(numbers).all():
        return None
    matrix, _ = cv2.findHomography(numbers[:, :2], numbers[:, 2:], 0)
    if matrix is None:
        return None
    found = _from_matrix(np.asarray(matrix, np.float64))
    if found is None:
        return None
    mapped = cv2.perspectiveTransform(numbers[None, :, :2], found)[0]
    # Points on one line give a matrix all the same, which does not map them.
    exact = len(numbers) > _POINTS or np.abs(mapped - numbers[:, 2:]).max() < 1e-3
    return found if exact and np.isfinite(mapped).all() else None
