"""The street as a long-wave infrared camera sees it; white is hot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .car import Car
from .filters import blur, shrink
from .heat import AIR, apparent_heat
from .noise import Array, mix, smoothstep, stream, value_noise
from .street import Street
from .surfaces import Material, Surfaces


def render_infrared(street: Street, surfaces: Surfaces, seed: int) -> npt.NDArray[np.uint8]:
    """Return the infrared picture, (H/2, W/2) grey, of the street behind `surfaces`."""
    heat = apparent_heat(street, surfaces, seed)
    depth = np.minimum(surfaces.depth, 300.0)
    clear = np.where(surfaces.material == Material.SKY, 1.0, np.exp(-depth * 0.005))
    heat = mix(AIR, heat, clear)
    heat += _exhaust(street, surfaces, seed)
    return _expose(heat, seed)


def _exhaust(street: Street, surfaces: Surfaces, seed: int) -> Array:
    """Return the warmth of exhaust drifting behind cars that stand with a running engine."""
    out = np.zeros(surfaces.depth.shape, np.float32)
    rows, columns = np.indices(out.shape, dtype=np.float32)
    for _, car in street.of(Car):
        if not car.braking:
            continue
        for puff in range(7):
            t = puff / 6
            place = car.to_world(
                (0.5 + 0.28 * t, 0.3 + 0.55 * t**1.5, -car.length / 2 - 0.1 - 0.5 * t)
            )
            column, row, depth = surfaces.camera.project([place])[0]
            size = (0.07 + 0.26 * t) * surfaces.camera.focal / depth
            gap = ((columns - column) ** 2 + (rows - row) ** 2) / (size * size)
            wisp = value_noise(columns / size * 1.1 + puff, rows / size * 1.1, seed + 408)
            puffed = (13.0 * (1 - t) + 1.2) * np.exp(-gap) * (0.35 + wisp)
            out += np.where(surfaces.depth > depth, puffed, 0)
    return out


def _expose(heat: Array, seed: int) -> npt.NDArray[np.uint8]:
    """Return the 8-bit picture of a microbolometer at half the size of `heat`."""
    height, width = heat.shape[0] // 2, heat.shape[1] // 2
    heat = shrink(np.minimum(heat, 70), width, height)
    heat = blur(heat, 0.85)
    # Automatic gain: most levels go to the few degrees in which most of the scene lies.
    knots = [-36.0, -16.0, -2.0, 4.0, 7.0, 10.0, 13.0, 17.0, 24.0, 34.0, 60.0]
    levels = [0.02, 0.07, 0.13, 0.20, 0.30, 0.45, 0.60, 0.72, 0.84, 0.96, 1.0]
    scene: Array = np.interp(heat, knots, levels).astype(np.float32)
    scene = blur(scene, 0.45)
    detail = scene - blur(scene, 2.6)
    scene = scene + 0.65 * np.clip(detail, -0.09, 0.12)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    scene *= 1 - 0.12 * smoothstep(0.5, 1.9, x * x + y * y)
    rng = stream(seed, 0x1C7)
    white = rng.normal(0, 1, (height, width)).astype(np.float32)
    scene += 0.0085 * white + 0.008 * blur(white, 1.1)
    scene += 0.0038 * rng.normal(0, 1, (1, width)) + 0.0018 * rng.normal(0, 1, (height, 1))
    return np.asarray(np.clip(np.round(scene * 255), 0, 255), np.uint8)
