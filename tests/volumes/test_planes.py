from __future__ import annotations

import numpy as np
import pytest
from phantoms import grid, rotation

from lkcfuse.volumes import Grid
from lkcfuse.volumes.planes import PLANES, view_of

SHAPE = (4, 5, 6)

# Where a picture's slices, rows and columns lead, in LPS.
TOWARDS = {
    "axial": ([0, 0, 1], [0, 1, 0], [1, 0, 0]),
    "coronal": ([0, 1, 0], [0, 0, -1], [1, 0, 0]),
    "sagittal": ([1, 0, 0], [0, 0, -1], [0, 1, 0]),
}


def directions():
    yield np.eye(3)
    yield np.diag([-1, 1, 1])
    yield np.diag([-1, -1, -1])
    yield np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    yield np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    yield rotation(20, 0) @ rotation(-15, 2)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("direction", list(directions()))
def test_slices_stand_as_radiologists_see_them(plane, direction):
    affine = grid(SHAPE, (1, 2, 3), direction=direction)
    volume = Grid(SHAPE, affine)
    places = np.moveaxis(np.indices(SHAPE)[::-1], 0, -1) @ affine[:3, :3].T
    cut = view_of(volume, plane).cut(places)
    for axis, wanted in enumerate(TOWARDS[plane]):
        step = np.diff(cut, axis=axis).reshape(-1, 3)[0]
        assert step @ wanted > 0.85 * np.linalg.norm(step)


@pytest.mark.parametrize("plane", PLANES)
def test_what_is_written_to_slices_is_in_the_volume(plane):
    volume = Grid(SHAPE, grid(SHAPE, (1, 1, 1), direction=np.diag([-1, 1, -1])))
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    copy = np.zeros_like(values)
    view = view_of(volume, plane)
    for written, read in zip(view.cut(copy), view.cut(values), strict=True):
        written[:] = read
    np.testing.assert_array_equal(copy, values)
