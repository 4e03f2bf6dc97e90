"""Lattice noise and other small deterministic textures.

Every picture beside this script must come out the same wherever it is rendered, so nothing here
depends on a stream that a library may change: `numpy.random.RandomState` is frozen by NumPy's own
policy, which the newer generators are not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

# float32 in all large arrays; NumPy's stubs lose that in mixed arithmetic.
Array = npt.NDArray[np.floating[Any]]

Labels = npt.NDArray[np.uint8]

_PERIOD = 512


def stream(seed: int, salt: int = 0) -> np.random.RandomState:
    """Return an independent frozen random stream for `seed` and `salt`."""
    return np.random.RandomState((seed * 1_000_003 + salt * 7919 + 17) % (2**32))


@lru_cache(maxsize=128)
def _lattice(seed: int) -> npt.NDArray[np.float32]:
    return stream(seed, 0x10C).random_sample(_PERIOD * _PERIOD).astype(np.float32)


def cell_hash(x: npt.ArrayLike, y: npt.ArrayLike, seed: int) -> Array:
    """Return one uniform value in [0, 1) for each integer cell (floor(x), floor(y))."""
    i = np.floor(np.asarray(x)).astype(np.int32) & (_PERIOD - 1)
    j = np.floor(np.asarray(y)).astype(np.int32) & (_PERIOD - 1)
    return np.asarray(_lattice(seed)[j * _PERIOD + i], np.float32)


def value_noise(x: Array, y: Array, seed: int) -> Array:
    """Return smooth noise in [0, 1] with one feature per unit of `x` and `y` (same shape)."""
    x = np.asarray(x, np.float32)
    y = np.asarray(y, np.float32)
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    fx = fx * fx * (3 - 2 * fx)
    fy = fy * fy * (3 - 2 * fy)
    mask = _PERIOD - 1
    i, j = x0.astype(np.int32) & mask, (y0.astype(np.int32) & mask) * _PERIOD
    i1, j1 = (i + 1) & mask, (j + _PERIOD) & (_PERIOD * _PERIOD - 1)
    table = _lattice(seed)
    top = table[j + i] * (1 - fx) + table[j + i1] * fx
    bottom = table[j1 + i] * (1 - fx) + table[j1 + i1] * fx
    return np.asarray(top * (1 - fy) + bottom * fy, np.float32)


def fbm(x: Array, y: Array, seed: int, octaves: int = 4, gain: float = 0.5) -> Array:
    """Return fractal noise in about [-1, 1]: `octaves` of `value_noise`, each `gain` as strong."""
    total = np.zeros(np.broadcast(x, y).shape, np.float32)
    amplitude, norm = 1.0, 0.0
    for octave in range(octaves):
        scale = 2.03**octave
        shift = 19.7 * octave
        total += amplitude * (
            value_noise(x * scale + shift, y * scale - shift, seed + octave) - 0.5
        )
        norm += amplitude
        amplitude *= gain
    return np.asarray(total * (2.6 / norm), np.float32)


def smoothstep(low: float, high: float, x: npt.ArrayLike) -> Array:
    """Return the cubic ramp from 0 at `low` to 1 at `high` (`low` > `high` ramps down)."""
    t = np.clip((np.asarray(x, np.float32) - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mix(a: npt.ArrayLike, b: npt.ArrayLike, t: npt.ArrayLike) -> Array:
    """Return `a` where `t` is 0, `b` where it is 1, and the blend between."""
    t = np.asarray(t, np.float32)
    return np.asarray(np.asarray(a) * (1 - t) + np.asarray(b) * t, np.float32)
