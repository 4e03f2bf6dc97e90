"""Where the voxels of a volume lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

Affine = npt.NDArray[np.float64]
"""(4, 4): from the indices (column, row, slice, 1) of a voxel's centre to millimetres."""

# Two grids whose corners lie closer than this share of a voxel are one grid: NIfTI keeps single
# precision, and DICOM as many digits as its writer cared for.
_SAME_VOXELS = 0.01

_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid of voxels.

    Attributes:
        shape: Numbers of slices, rows and columns.
        affine: From (column, row, slice) to millimetres in DICOM's and ITK's axes, which point to
            the patient's left, back and head (LPS). It may be oblique, left-handed or sheared.
        positioned: Whether the file says where the grid lies; if not, its affine is made up.
    """

    shape: tuple[int, int, int]
    affine: Affine
    positioned: bool = True

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distances of neighbouring columns, rows and slices in millimetres."""
        return tuple(float(step) for step in np.linalg.norm(self.affine[:3, :3], axis=0))  # type: ignore[return-value]

    @property
    def origin(self) -> tuple[float, float, float]:
        """Where the centre of the first voxel lies, in millimetres (LPS)."""
        return tuple(float(place) for place in self.affine[:3, 3])  # type: ignore[return-value]

    @property
    def direction(self) -> Affine:
        """(3, 3): unit vectors along columns' index, rows' index and slices' index, as columns."""
        axes: Affine = self.affine[:3, :3] / np.array(self.spacing)
        return axes

    @property
    def ras_affine(self) -> Affine:
        """The affine as NIfTI and nibabel have it: axes to the right, the front and the head."""
        affine: Affine = _FROM_LPS @ self.affine
        return affine

    @property
    def is_sheared(self) -> bool:
        """Whether its axes are not perpendicular, as a tilted gantry makes them."""
        products = self.direction.T @ self.direction
        return bool(np.abs(products - np.eye(3)).max() > 1e-4)

    def describe(self) -> str:
        """Return its size and spacing, for people: `256x256x180 voxels of 1x1x1.5 mm`."""
        slices, rows, columns = self.shape
        steps = "x".join(f"{step:.4g}" for step in self.spacing)
        return f"{columns}x{rows}x{slices} voxels of {steps} mm"

    def is_same(self, other: Grid) -> bool:
        """Whether two grids have the same voxels at the same places."""
        if self.shape != other.shape:
            return False
        if not (self.positioned and other.positioned):
            return self.positioned == other.positioned
        apart = np.linalg.norm(self.corners() - other.corners(), axis=1).max()
        return bool(apart <= _SAME_VOXELS * min(*self.spacing, *other.spacing))

    def corners(self) -> npt.NDArray[np.float64]:
        """Return where the centres of the eight outermost voxels lie: (8, 3), millimetres."""
        slices, rows, columns = self.shape
        ends = product((0, columns - 1), (0, rows - 1), (0, slices - 1))
        indices = np.array([[*end, 1] for end in ends], np.float64)
        places: npt.NDArray[np.float64] = (indices @ self.affine.T)[:, :3]
        return places


def grid_from_ras(shape: tuple[int, int, int], affine: npt.ArrayLike) -> Grid:
    """Make a grid of an affine as NIfTI and nibabel have it.

    Args:
        shape: Numbers of slices, rows and columns: nibabel's shape, turned round.
        affine: (4, 4), from (column, row, slice) to millimetres to the right, front and head.
    """
    return Grid(shape, _FROM_LPS @ np.asarray(affine, np.float64))
