"""A car as a signed distance: a side profile, given its width, with wheels and lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import Array, Labels, smoothstep
from .surfaces import Material, Surfaces

# Side profiles as (z, y) in metres from the middle of the car on the ground; the nose is at +z.
_SALOON = (
    (-2.12, 0.36), (-2.2, 0.62), (-2.15, 0.93), (-2.02, 1.0), (-1.5, 1.06), (-0.85, 1.41),
    (-0.3, 1.47), (0.25, 1.43), (1.05, 1.0), (1.9, 0.84), (2.15, 0.64), (2.15, 0.36), (1.95, 0.22),
    (-1.95, 0.22),
)  # fmt: skip
_HATCHBACK = (
    (-1.95, 0.36), (-2.0, 0.62), (-1.97, 0.98), (-1.72, 1.36), (-1.5, 1.47), (-0.5, 1.53),
    (0.2, 1.48), (1.05, 1.03), (1.75, 0.87), (2.0, 0.66), (2.0, 0.36), (1.85, 0.22),
    (-1.8, 0.22),
)  # fmt: skip
_VAN = (
    (-2.3, 0.4), (-2.32, 0.9), (-2.28, 1.8), (-2.15, 1.96), (0.9, 1.98), (1.15, 1.9), (1.75, 1.2),
    (2.25, 1.02), (2.4, 0.72), (2.4, 0.38), (2.2, 0.25), (-2.1, 0.25),
)  # fmt: skip
_SIDE_GLASS = {
    "saloon": ((-1.2, 1.06), (-0.78, 1.32), (-0.25, 1.37), (0.2, 1.33), (0.72, 1.04)),
    "hatchback": ((-1.55, 1.08), (-1.4, 1.37), (-0.5, 1.43), (0.15, 1.38), (0.72, 1.07)),
    "van": ((0.2, 1.2), (0.2, 1.76), (1.05, 1.76), (1.4, 1.2)),
}
_PROFILES = {"saloon": _SALOON, "hatchback": _HATCHBACK, "van": _VAN}
_WHEEL = 0.315
_AXLES = (-1.28, 1.3)


@dataclass(frozen=True)
class Car:
    """A car in the street.

    Args:
        place: (x, z) of its middle in metres.
        yaw: Heading in radians, 0 away from the camera, positive to the right.
        colour: Linear RGB of the paint.
        style: "saloon", "hatchback" or "van".
        engine: Warmth of engine, tyres and exhaust, from 0 (cold) to 1 (just driven).
        lights: Whether head and tail lamps are on.
        braking: Whether the brake lamps are on.
    """

    place: tuple[float, float]
    colour: tuple[float, float, float]
    yaw: float = 0.0
    style: str = "saloon"
    engine: float = 0.0
    lights: bool = False
    braking: bool = False

    def to_local(self, points: Array) -> Array:
        """Return (N, 3) world points in the car's axes: right, up, forward."""
        x, z = points[:, 0] - self.place[0], points[:, 2] - self.place[1]
        sin, cos = np.float32(np.sin(self.yaw)), np.float32(np.cos(self.yaw))
        return np.stack([x * cos - z * sin, points[:, 1], x * sin + z * cos], axis=1)

    def to_world(self, local: tuple[float, float, float]) -> tuple[float, float, float]:
        """Return the world point of a point in the car's axes."""
        sin, cos = float(np.sin(self.yaw)), float(np.cos(self.yaw))
        x, y, z = local
        return self.place[0] + x * cos + z * sin, y, self.place[1] - x * sin + z * cos

    def direction(self, local: tuple[float, float, float]) -> tuple[float, float, float]:
        """Return the world direction of a direction in the car's axes."""
        x, y, z = self.to_world(local)
        return x - self.place[0], y, z - self.place[1]

    @property
    def length(self) -> float:
        """Length over all in metres."""
        z = [point[0] for point in _PROFILES[self.style]]
        return max(z) - min(z)

    @property
    def height(self) -> float:
        """Height of the roof in metres."""
        return max(point[1] for point in _PROFILES[self.style])

    def _parts(self, points: Array) -> tuple[Array, Array]:
        local = self.to_local(points)
        x, y, z = np.abs(local[:, 0]), local[:, 1], local[:, 2]
        profile = polygon_distance(z, y, _PROFILES[self.style])
        lean = 0.07 if self.style == "van" else 0.23
        half = 0.89 - lean * smoothstep(0.85, 1.5, y) - 0.06 * smoothstep(0.55, 0.2, y)
        half = half - 0.13 * smoothstep(1.3, 2.3, np.abs(z)) ** 2
        side = (x - half) * 0.92
        body = _smooth_max(profile, side, 0.11)
        arch = np.full(len(x), np.inf, np.float32)
        for axle in _AXLES:
            arch = np.minimum(arch, np.hypot(z - axle, y - _WHEEL))
        arch_gap = np.maximum(arch - 0.385, 0.6 - x)
        body = np.maximum(body, -arch_gap)
        wheel = np.maximum(arch - _WHEEL, np.abs(x - 0.76) - 0.1)
        mirror = _ellipsoid(x - 0.98, y - 1.02, z - 0.62, (0.1, 0.075, 0.09))
        if self.style == "van":
            mirror = _ellipsoid(x - 0.99, y - 1.3, z - 1.25, (0.09, 0.13, 0.08))
        return np.minimum(body, mirror), wheel

    def distance(self, points: Array) -> Array:
        """Return the signed distance of (N, 3) world points."""
        body, wheel = self._parts(points)
        return np.asarray(np.minimum(body, wheel) * 0.9, np.float32)

    def materials(self, points: Array, normals: Array) -> Labels:
        """Return the material at (N, 3) points of the surface."""
        local = self.to_local(points)
        forward = self.to_local(normals + np.array([self.place[0], 0, self.place[1]], np.float32))
        x, y, z = np.abs(local[:, 0]), local[:, 1], local[:, 2]
        nx, nz = np.abs(forward[:, 0]), forward[:, 2]
        body, wheel = self._parts(points)
        out = np.full(len(x), Material.PAINT, np.uint8)
        back = min(p[0] for p in _PROFILES[self.style])
        front = max(p[0] for p in _PROFILES[self.style])
        out[y < 0.33] = Material.TRIM
        pane = polygon_distance(z, y, _SIDE_GLASS[self.style])
        pillar = np.abs(z + 0.25) < 0.035
        out[(nx > 0.55) & (pane < 0) & ~pillar] = Material.CAR_GLASS
        top = self.height - 0.13
        sill = 1.02 if self.style != "van" else 1.22
        inside = (x < 0.83 - 0.23 * smoothstep(0.85, 1.5, y)) & (y > sill + 0.05) & (y < top)
        out[(nz > 0.3) & inside & (z > 0)] = Material.CAR_GLASS
        # A van's rear doors part in the middle.
        rear = inside & (x > 0.05 if self.style == "van" else y > 1.09)
        out[(nz < -0.25) & rear & (z < 0)] = Material.CAR_GLASS
        seam = (np.abs(z - 0.78) < 0.012) | (np.abs(z + 0.3) < 0.012) | (np.abs(z + 1.12) < 0.012)
        out[(nx > 0.6) & seam & (y > 0.35) & (y < 1.05) & (out == Material.PAINT)] = Material.TRIM
        tail = (z < back + 0.3) & (y > 0.72) & (y < 0.93) & (x > 0.5)
        if self.style == "van":
            tail = (z < back + 0.2) & (y > 0.8) & (y < 1.25) & (x > 0.7)
        out[tail] = Material.TAIL_LAMP
        out[(z > front - 0.36) & (y > 0.6) & (y < 0.78) & (x > 0.46)] = Material.HEADLAMP
        out[(z > front - 0.3) & (y > 0.42) & (y < 0.56) & (x < 0.5)] = Material.TRIM
        out[(nz < -0.5) & (z < back + 0.2) & (x < 0.26) & (y > 0.56) & (y < 0.68)] = Material.PLATE
        out[(nz > 0.5) & (z > front - 0.2) & (x < 0.26) & (y > 0.44) & (y < 0.55)] = Material.PLATE
        radius = np.minimum(
            np.hypot(z - _AXLES[0], y - _WHEEL), np.hypot(z - _AXLES[1], y - _WHEEL)
        )
        turn = np.arctan2(y - _WHEEL, np.where(z < 0, z - _AXLES[0], z - _AXLES[1]))
        spoke = np.cos(turn * 5) > -0.35
        is_wheel = wheel < body + 0.001
        out[is_wheel] = Material.TYRE
        out[is_wheel & (radius < 0.2) & (nx > 0.5)] = Material.TRIM
        hub = (radius < 0.07) | (radius > 0.165) | spoke
        out[is_wheel & (radius < 0.2) & (nx > 0.5) & hub] = Material.RIM
        return out

    def put(self, surfaces: Surfaces, thing: int) -> None:
        """Put the car into the scene."""
        half = self.length / 2 + 0.15
        reach_x = abs(np.sin(self.yaw)) * half + abs(np.cos(self.yaw)) * 1.1
        reach_z = abs(np.cos(self.yaw)) * half + abs(np.sin(self.yaw)) * 1.1
        low = (self.place[0] - reach_x, 0.0, self.place[1] - reach_z)
        high = (self.place[0] + reach_x, self.height + 0.05, self.place[1] + reach_z)
        surfaces.trace(self.distance, low, high, self.materials, thing, steps=90)


def polygon_distance(x: Array, y: Array, corners: tuple[tuple[float, float], ...]) -> Array:
    """Return the signed distance of points (x, y) to a polygon, negative inside."""
    best = np.full(len(x), np.inf, np.float32)
    inside = np.zeros(len(x), np.bool_)
    previous = corners[-1]
    for corner in corners:
        ex, ey = previous[0] - corner[0], previous[1] - corner[1]
        wx, wy = x - np.float32(corner[0]), y - np.float32(corner[1])
        along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
        best = np.minimum(best, (wx - ex * along) ** 2 + (wy - ey * along) ** 2)
        below, below_previous = wy >= 0, y < np.float32(previous[1])
        left = ex * wy > ey * wx
        inside ^= (below & below_previous & left) | (~below & ~below_previous & ~left)
        previous = corner
    return np.asarray(np.where(inside, -1, 1) * np.sqrt(best), np.float32)


def _smooth_max(a: Array, b: Array, radius: float) -> Array:
    blend = np.maximum(radius - np.abs(a - b), 0) / radius
    return np.asarray(np.maximum(a, b) + blend * blend * (radius / 4), np.float32)


def _ellipsoid(x: Array, y: Array, z: Array, radii: tuple[float, float, float]) -> Array:
    scaled = np.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2)
    return np.asarray((scaled - 1) * min(radii), np.float32)
