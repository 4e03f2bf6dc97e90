from __future__ import annotations

import numpy as np
import pytest
from phantoms import grid, head, rotation

from lkcfuse.errors import InputError
from lkcfuse.volumes import Grid, Volume, VolumeOptions
from lkcfuse.volumes.matching import match_volumes
from lkcfuse.volumes.registration import register

SHAPE, OTHER_SHAPE = (30, 44, 44), (28, 36, 36)
OTHER_SPACING = (5, 5, 6.5)
AFFINE, OTHER = grid(SHAPE, (4.2, 4.2, 6)), grid(OTHER_SHAPE, OTHER_SPACING)
MOTION = np.eye(4)
MOTION[:3, :3] = rotation(7, 2) @ rotation(-5, 0)
MOTION[:3, 3] = (9, -6, 7)


def scan(modality, shape, affine, **options):
    values = head(modality, shape, affine, **options).astype(np.float32)
    return Volume(values, Grid(shape, affine), modality)


@pytest.fixture(scope="module")
def scans():
    """An MRI with noise and a bias field, and a CT of the head moved by `MOTION`."""
    return (
        scan("MR", SHAPE, AFFINE, noise=25, bias=0.2),
        scan("CT", OTHER_SHAPE, OTHER, noise=12, motion=MOTION, seed=1),
    )


def error_in_the_brain(matrix):
    """Mean distance in millimetres between where places of the brain are and are said to be."""
    places = np.random.default_rng(0).normal(size=(300, 3))
    places *= np.array([50, 64, 56]) / np.linalg.norm(places, axis=1, keepdims=True)
    true, found = (places @ each[:3, :3].T + each[:3, 3] for each in (MOTION, matrix))
    return float(np.linalg.norm(true - found, axis=1).mean())


def test_a_moved_head_is_found(scans):
    lines = []
    first, second, found = match_volumes(*scans, VolumeOptions(align="rigid"), lines.append)
    assert first is scans[0]
    assert found.kind == "rigid"
    assert error_in_the_brain(np.eye(4)) > 10
    assert error_in_the_brain(found.matrix) < max(OTHER_SPACING)
    assert found.after > found.before
    np.testing.assert_allclose(found.matrix[:3, :3] @ found.matrix[:3, :3].T, np.eye(3), atol=1e-6)
    assert "CT is registered to MR (rigid: " in lines[0]
    assert "mutual information" in lines[0]
    # The scan is resampled through the transform.
    truth = np.clip(head("CT", SHAPE, AFFINE), -200, 300)
    _, unmoved, none = match_volumes(*scans, VolumeOptions(), lines.append)
    moved, left = (
        np.abs(np.clip(each.values, -200, 300) - truth).mean() for each in (second, unmoved)
    )
    assert moved < 0.75 * left
    assert none is None


def test_too_few_slices(scans):
    flat = Volume(scans[1].values[:4], Grid((4, *OTHER_SHAPE[1:]), OTHER), "flat")
    with pytest.raises(InputError, match=r"flat has 36x36x4 voxels .* from 8 slices on"):
        register(scans[0], flat, "rigid")


def test_without_positions(scans):
    blind = Volume(scans[1].values, Grid(OTHER_SHAPE, np.eye(4), positioned=False), "blind")
    with pytest.raises(InputError, match=r"blind does not say how its slices lie"):
        match_volumes(scans[0], blind, VolumeOptions(align="rigid"), lambda _: None)
