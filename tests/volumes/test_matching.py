from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from phantoms import grid, head, rotation

from lkcfuse.errors import InputError
from lkcfuse.volumes import Grid, Patient, Volume, VolumeOptions
from lkcfuse.volumes.matching import match_volumes
from lkcfuse.volumes.resampling import resample

SHAPE = (20, 30, 30)
AFFINE = grid(SHAPE, (6, 6, 8))
OPTIONS = VolumeOptions()


def smooth(shape, affine):
    """A volume of what a linear function of the place gives, which resampling keeps exactly."""
    places = np.indices(shape).reshape(3, -1)[::-1]
    places = affine[:3, :3] @ places + affine[:3, 3:]
    return (places * [[1], [-2], [0.5]]).sum(0).reshape(shape).astype(np.float32)


def volume(shape=SHAPE, affine=AFFINE, name="one", **fields):
    return Volume(smooth(shape, affine), Grid(shape, affine), name, **fields)


def match(first, second, **options):
    lines = []
    *matched, _ = match_volumes(first, second, replace(OPTIONS, **options), lines.append)
    return *matched, lines


def test_equal_grids_are_left_alone_to_the_bit():
    rounded = AFFINE.astype(np.float32).astype(np.float64)
    rounded[0, 3] += 0.01
    first, second, lines = match(volume(), volume(affine=rounded, name="two"))
    np.testing.assert_array_equal(first.values, smooth(SHAPE, AFFINE))
    np.testing.assert_array_equal(second.values, smooth(SHAPE, rounded))
    assert second.valid is None
    assert lines == []


OTHERS = {
    "coarser": ((15, 20, 24), grid((15, 20, 24), (9, 9, 10))),
    "oblique": ((20, 30, 30), grid((20, 30, 30), (6, 6, 8), direction=rotation(20, 0))),
    "left-handed": (SHAPE, grid(SHAPE, (6, 6, 8), direction=np.diag([1, -1, 1]))),
    "turned": ((30, 20, 30), grid((30, 20, 30), (6, 8, 6), direction=np.eye(3)[:, [0, 2, 1]])),
    "sheared": (SHAPE, AFFINE + np.array([[0, 0, 0, 0], [0, 0, 2, -20], [0] * 4, [0] * 4])),
}


@pytest.mark.parametrize("other", OTHERS)
def test_values_stay_where_they_are_in_the_patient(other):
    shape, affine = OTHERS[other]
    first, second, lines = match(volume(), volume(shape, affine, name="two"))
    assert first.grid is second.grid
    valid = np.ones(SHAPE, bool) if second.valid is None else second.valid
    assert valid.mean() > 0.5
    # Half a voxel at the rim is filled from the outermost centre.
    apart = np.abs(second.values - smooth(SHAPE, AFFINE))[valid]
    assert np.quantile(apart, 0.75) < 0.01
    assert apart.max() < 25
    assert "two (" in lines[0]
    assert "30x30x20 voxels of 6x6x8 mm" in lines[0]


def test_whose_grid():
    fine = volume((40, 50, 50), grid((40, 50, 50), (3, 3, 4)), name="fine")
    for grid_of, wanted in (("first", SHAPE), ("second", (40, 50, 50)), ("finest", (40, 50, 50))):
        first, second, _ = match(volume(), fine, grid=grid_of)
        assert first.values.shape == second.values.shape == wanted
    first, _, _ = match(fine, volume(), grid="finest")
    assert first is fine


def test_beyond_a_scan_is_no_data():
    small = (10, 30, 30)
    affine = AFFINE.copy()
    affine[2, 3] += 5 * 8
    _, second, _ = match(volume(), volume(small, affine, name="two"))
    np.testing.assert_array_equal(second.valid[:, 4, 4], [False] * 5 + [True] * 10 + [False] * 5)


def test_no_data_does_not_bleed():
    values = smooth(SHAPE, AFFINE)
    valid = np.ones(SHAPE, bool)
    valid[8:12, 10:20, 10:20] = False
    values[~valid] = 1e6
    hole = Volume(values, Grid(SHAPE, AFFINE), "hole", valid=valid)
    shape, affine = OTHERS["oblique"]
    moved = resample(hole, Grid(shape, affine))
    known = moved.valid
    assert not known.all()
    apart = np.abs(moved.values - smooth(shape, affine))[known]
    assert apart.max() < 25


def test_a_finer_scan_is_averaged_and_not_picked_from():
    shape = (40, 60, 60)
    affine = grid(shape, (3, 3, 4))
    values = (np.indices(shape).sum(0) % 2).astype(np.float32)
    fine = Volume(values, Grid(shape, affine), "fine")
    coarse = (10, 15, 15)
    moved = resample(fine, Grid(coarse, grid(coarse, (12, 12, 16))))
    np.testing.assert_allclose(moved.values[1:-1, 1:-1, 1:-1], 0.5, atol=0.05)


def test_colours_are_resampled():
    rgb = np.zeros((*SHAPE, 3), np.uint8)
    rgb[..., 0], rgb[..., 2] = 250, 30
    coloured = Volume(rgb, Grid(SHAPE, AFFINE), "rgb")
    shape, affine = OTHERS["coarser"]
    moved = resample(coloured, Grid(shape, affine))
    assert moved.values.dtype == np.uint8
    inside = moved.values if moved.valid is None else moved.values[moved.valid]
    np.testing.assert_array_equal(np.unique(inside.reshape(-1, 3), axis=0), [[250, 0, 30]])


def test_no_overlap():
    away = AFFINE.copy()
    away[0, 3] += 1000
    with pytest.raises(InputError, match="one and two do not overlap in the patient"):
        match(volume(), volume(affine=away, name="two"))


def test_two_frames_of_reference():
    first = volume(frame_of_reference="1.2")
    second = volume(name="two", frame_of_reference="1.3")
    with pytest.raises(InputError, match="two frames of reference"):
        match(first, second)
    match(first, second, align="off")
    match(first, volume(name="two"))


def test_two_patients():
    first = volume(patient=Patient("A", "20000101"))
    for other in (Patient("B", ""), Patient("", "19990101")):
        second = volume(name="two", patient=other)
        with pytest.raises(InputError, match="of two patients"):
            match(first, second)
        match(first, second, force_patient=True)
    match(first, volume(name="two", patient=Patient("A")))
    match(first, volume(name="two"))


def test_without_positions():
    first = volume()
    blind = Volume(first.values, Grid(SHAPE, np.eye(4), positioned=False), "two")
    matched, second, lines = match(first, blind)
    assert second.grid is matched.grid is first.grid
    assert "two does not say where it lies" in lines[0]
    small = Volume(first.values[1:], Grid((19, 30, 30), np.eye(4), positioned=False), "two")
    with pytest.raises(InputError, match="export both with their positions"):
        match(first, small)


def test_the_phantom_lies_on_itself():
    """The same head on two grids, in two modalities: outlines agree after resampling."""
    shape, affine = (24, 36, 36), grid((24, 36, 36), (5, 5, 7), direction=rotation(12, 1))
    pet = Volume(head("PT", shape, affine).astype(np.float32), Grid(shape, affine), "pet")
    mri = head("MR", SHAPE, AFFINE)
    moved = resample(pet, Grid(SHAPE, AFFINE))
    both = (moved.values > 30) == (mri > 200)
    skull = mri == 60
    assert both[~skull].mean() > 0.97
