"""Scans of a phantom: how far the tone jumps between slices, and how well heads are registered.

    python benchmarks/volumes.py tone --task mri-ct --size 128 --slices 20
    python benchmarks/volumes.py align --trials 20

`tone`: each slice is normalised by the network on its own, so that its mean could jump. For each
pair of neighbours that show the head, it prints by how many of 255 levels the mean of the fused
slice less that of the maximum of both sources changes. The bar is 2 levels.

`align`: heads moved by up to 20 mm and 15 degrees, with noise and a bias field. The bar: a mean
error in the brain of at most one voxel of the coarser grid in 95 % of the trials.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lkcfuse.environment import apply_library_settings

apply_library_settings()

import numpy as np
import numpy.typing as npt

from lkcfuse import Fuser
from lkcfuse.fusion.volumes import fuse_scans, prepare_scans
from lkcfuse.images import image_from_array
from lkcfuse.volumes import Grid, Volume, VolumeOptions
from lkcfuse.volumes.registration import register

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
phantoms: Any = __import__("phantoms")

_MODALITIES = {"mri-ct": "CT", "mri-pet": "PT", "mri-spect": "PT"}
_NOISE = {"MR": 12.0, "CT": 5.0, "PT": 20.0}


def _scan(modality: str, shape: tuple[int, int, int], affine: Any, **options: Any) -> Volume:
    values = phantoms.head(modality, shape, affine, **options).astype(np.float32)
    known = {"CT": "CT"}.get(modality, "")
    return Volume(values, Grid(shape, affine), modality, modality=known)


def measure_tone(task: str, size: int, slices: int) -> npt.NDArray[np.float64]:
    """Return, for each slice of the head, the fused mean less the maximum's, in levels of 255."""
    shape = (slices, size, size)
    affine = phantoms.grid(shape, (220 / size, 220 / size, 150 / slices))
    modality = _MODALITIES[task]
    scans = [
        _scan(each, shape, affine, noise=_NOISE[each], seed=seed)
        for seed, each in enumerate(("MR", modality))
    ]
    options = VolumeOptions()
    fuser = Fuser(task, notify=print)
    prepared = prepare_scans(scans[0], scans[1], fuser.task, options, print)
    fused = fuse_scans(fuser, prepared, options)
    apart = []
    for index, values in enumerate(prepared.view.cut(fused.values)):
        pair = prepared.pair(index)
        maximum = np.maximum(pair.first.luma, pair.second.luma)
        if pair.first.luma.mean() > 0.05:
            luma = image_from_array(np.ascontiguousarray(values)).luma
            apart.append(255 * float(luma.mean() - maximum.mean()))
    return np.array(apart)


def measure_alignment(seed: int, modality: str, kind: str) -> tuple[float, float]:
    """Return the mean error in the brain in millimetres, and the coarser grid's widest voxel."""
    random = np.random.default_rng(seed)
    axis = random.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    angle = np.deg2rad(random.uniform(0, 15))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    motion = np.eye(4)
    motion[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    way = random.normal(size=3)
    motion[:3, 3] = way / np.linalg.norm(way) * random.uniform(0, 20)
    shapes = (36, 56, 56), (44, 48, 48)
    affines = phantoms.grid(shapes[0], (3.4, 3.4, 5)), phantoms.grid(shapes[1], (4, 4, 4.2))
    fixed = _scan("MR", shapes[0], affines[0], noise=30, bias=0.2, seed=seed)
    noise = 3 * _NOISE[modality]
    moving = _scan(modality, shapes[1], affines[1], noise=noise, motion=motion, seed=seed + 1)
    found = register(fixed, moving, kind).matrix
    places = random.normal(size=(300, 3))
    places *= np.array([50, 64, 56]) / np.linalg.norm(places, axis=1, keepdims=True)
    true, said = (places @ each[:3, :3].T + each[:3, 3] for each in (motion, found))
    return float(np.linalg.norm(true - said, axis=1).mean()), 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("tone", "align"))
    parser.add_argument("--task", choices=tuple(_MODALITIES), default="mri-ct")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--kind", choices=("rigid", "affine"), default="rigid")
    options = parser.parse_args()
    if options.what == "tone":
        apart = measure_tone(options.task, options.size, options.slices)
        jumps = np.abs(np.diff(apart))
        print("fused less maximum, levels: " + " ".join(f"{each:.1f}" for each in apart))
        print(f"largest jump {jumps.max():.2f} levels, mean {jumps.mean():.2f} (bar: 2)")
        return
    good = 0
    for trial in range(options.trials):
        modality = ("CT", "PT")[trial % 2]
        error, voxel = measure_alignment(options.first_seed + trial, modality, options.kind)
        good += error <= voxel
        print(f"{modality} {error:.2f} mm of {voxel:g}", flush=True)
    print(f"{good} of {options.trials} within one voxel of the coarser grid")


if __name__ == "__main__":
    main()
