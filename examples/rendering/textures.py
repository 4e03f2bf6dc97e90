"""Patterns of the street that both cameras may see: paint, puddles and bricks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .noise import Array, cell_hash, fbm, smoothstep
from .street import CROSSING
from .surfaces import Surfaces


def grain(surfaces: Surfaces, mask: npt.NDArray[np.bool_], per_metre: float) -> Array:
    """Return how visible a texture of `per_metre` features still is, 1 near to 0 far."""
    size = surfaces.depth[mask] / surfaces.camera.focal * per_metre
    return smoothstep(1.0, 0.25, size)


def road_marks(x: Array, z: Array, seed: int) -> Array:
    """Return how much road paint there is at road points, 0 to 1, worn by traffic."""
    mark = np.zeros_like(x)
    in_street = (z < CROSSING[0] - 1.2) | (z > 32)
    mark[(np.abs(x) < 0.07) & (np.mod(z, 5.0) < 2.6) & in_street] = 1
    mark[(np.abs(x - 3.45) < 0.05) & in_street] = 1
    mark[(np.abs(z - CROSSING[0] + 0.9) < 0.2) & (x > 0.1) & (x < 3.4)] = 1
    zebra = (z > CROSSING[0]) & (z < CROSSING[1]) & (x > -3.4) & (x < 5.4)
    mark[zebra & (np.mod(x, 1.0) < 0.5)] = 1
    worn = fbm(x * 3.1, z * 1.4, seed + 201, 4)
    return np.asarray(mark * smoothstep(0.75, -0.1, worn), np.float32)


def wetness(x: Array, z: Array, seed: int) -> Array:
    """Return how wet the road is, 0 (damp) to 1 (puddle), along the gutters and in hollows."""
    hollow = fbm(x * 0.33, z * 0.16, seed + 210, 4)
    gutter = smoothstep(1.0, 0.1, np.minimum(np.abs(x + 3.7), np.abs(x - 5.7)))
    return smoothstep(0.12, 0.62, hollow + 0.4 * gutter)


def brick_pattern(u: Array, v: Array, seed: int) -> tuple[Array, Array]:
    """Return a tone of each brick in [0, 1] and where the mortar is (0 or 1)."""
    course = np.floor(v / 0.085)
    along = u / 0.24 + 0.5 * np.mod(course, 2)
    mortar = (np.mod(v / 0.085, 1) < 0.15) | (np.mod(along, 1) < 0.06)
    return cell_hash(along, course, seed), mortar.astype(np.float32)
