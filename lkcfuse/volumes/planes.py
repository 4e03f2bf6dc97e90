"""Along which plane a volume is cut into slices, and how they stand: as radiologists see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lkcfuse.volumes.grid import Grid

PLANES = ("axial", "coronal", "sagittal")

# For each plane, in LPS: along which axis slices follow each other, and in which direction rows and
# columns go. The left of a picture is the patient's right, or the front; its top the front or head.
_LEFT, _BACK, _HEAD = 0, 1, 2
_VIEWS = {
    "axial": ((_HEAD, 1), (_BACK, 1), (_LEFT, 1)),
    "coronal": ((_BACK, 1), (_HEAD, -1), (_LEFT, 1)),
    "sagittal": ((_LEFT, 1), (_HEAD, -1), (_BACK, 1)),
}


@dataclass(frozen=True)
class View:
    """How the axes of an array become slices.

    Attributes:
        order: Which axis of the array is that of slices, of rows, of columns.
        flips: Which of these then run backwards.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def cut(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array whose first axis is that of slices; nothing is copied.

        Args:
            values: Three axes as the grid has them, and channels behind or not. What is written
                to the result is written to it.
        """
        turned = values.transpose(*self.order, *range(3, values.ndim))
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        slices: npt.NDArray[Any] = turned[steps]
        return slices


def view_of(grid: Grid, plane: str) -> View:
    """Return how a grid is cut along a plane; of an oblique one, along the nearest of its own.

    Args:
        grid: The grid.
        plane: One of `PLANES`.
    """
    # Axes of the array are slices, rows, columns; those of the affine the other way round.
    towards = grid.direction[:, ::-1]
    order: list[int] = []
    flips: list[bool] = []
    axes = _assign(np.abs(towards))
    for axis, sign in _VIEWS[plane]:
        index = axes[axis]
        order.append(index)
        flips.append(bool(towards[axis, index] * sign < 0))
    return View((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))


def _assign(strength: npt.NDArray[np.float64]) -> dict[int, int]:
    """Return which axis of the array is nearest to each of the patient's, each used once."""
    left = strength.copy()
    found: dict[int, int] = {}
    for _ in range(3):
        axis, index = np.unravel_index(int(np.argmax(left)), left.shape)
        found[int(axis)] = int(index)
        left[axis, :] = left[:, index] = -1
    return found
