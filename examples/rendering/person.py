"""Pedestrians (and a dog) as smooth unions of tapered capsules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import Array, Labels
from .surfaces import Material, Surfaces

Point = tuple[float, float, float]
Limb = tuple[Point, Point, float, float, Material]


@dataclass(frozen=True)
class Person:
    """A standing or walking person.

    Args:
        place: (x, z) in metres.
        yaw: Heading in radians, 0 away from the camera.
        height: Height in metres.
        stride: Half the length of the step in metres, negative for the other foot first.
        upper: Linear RGB of coat or jacket.
        lower: Linear RGB of trousers.
        coat: Whether the coat reaches to the knees.
        ground: Height of the ground in metres.
    """

    place: tuple[float, float]
    yaw: float = 0.0
    height: float = 1.75
    stride: float = 0.0
    upper: tuple[float, float, float] = (0.03, 0.03, 0.035)
    lower: tuple[float, float, float] = (0.02, 0.022, 0.03)
    coat: bool = False
    ground: float = 0.0

    def limbs(self) -> list[Limb]:
        """Return the capsules of the body in its own axes, for a height of 1.75 m."""
        s = self.stride
        out: list[Limb] = [
            ((0, 1.05, 0), (0, 1.36, 0.01), 0.135, 0.15, Material.UPPER),
            ((-0.13, 1.4, 0), (0.13, 1.4, 0), 0.075, 0.075, Material.UPPER),
            ((0, 0.93, 0), (0, 1.05, 0), 0.14, 0.13, Material.UPPER),
            ((0, 1.42, 0.0), (0, 1.54, 0.03), 0.058, 0.055, Material.SKIN),
            ((0, 1.585, 0.045), (0, 1.66, 0.025), 0.078, 0.085, Material.SKIN),
            ((0, 1.665, -0.005), (0, 1.63, -0.03), 0.092, 0.085, Material.HAIR),
        ]
        for side, phase in ((-1.0, 1.0), (1.0, -1.0)):
            step = s * phase
            bend = max(-step, 0.0) * 0.5
            hip = (0.085 * side, 0.92, 0.0)
            knee = (0.095 * side, 0.5, step * 0.5 + 0.03 + bend * 0.3)
            ankle = (0.095 * side, 0.09 + bend * 0.25, step - bend * 0.3)
            toe = (0.11 * side, 0.04 + bend * 0.05, ankle[2] + 0.15)
            shoulder = (0.19 * side, 1.4, 0.0)
            elbow = (0.245 * side, 1.13, -step * 0.28 - 0.02)
            wrist = (0.235 * side, 0.91, -step * 0.55 + 0.08)
            hand = (0.23 * side, 0.83, -step * 0.6 + 0.1)
            out += [
                (hip, knee, 0.09, 0.062, Material.LOWER),
                (knee, ankle, 0.06, 0.048, Material.LOWER),
                (ankle, toe, 0.045, 0.038, Material.SHOE),
                (shoulder, elbow, 0.068, 0.055, Material.UPPER),
                (elbow, wrist, 0.053, 0.042, Material.UPPER),
                (wrist, hand, 0.036, 0.034, Material.SKIN),
            ]
        return out

    def to_local(self, points: Array) -> Array:
        """Return (N, 3) world points in the body's axes, scaled to a height of 1.75 m."""
        x, z = points[:, 0] - self.place[0], points[:, 2] - self.place[1]
        sin, cos = np.float32(np.sin(self.yaw)), np.float32(np.cos(self.yaw))
        local = np.stack([x * cos - z * sin, points[:, 1] - self.ground, x * sin + z * cos], axis=1)
        return np.asarray(local * (1.75 / self.height), np.float32)

    def distance(self, points: Array) -> Array:
        """Return the signed distance of (N, 3) world points."""
        local = self.to_local(points)
        body = limbs_distance(local, self.limbs())
        if self.coat:
            body = np.minimum(body, _skirt(local))
        return np.asarray(body * (self.height / 1.75), np.float32)

    def materials(self, points: Array, _normals: Array) -> Labels:
        """Return the material at (N, 3) points of the surface."""
        local = self.to_local(points)
        out = nearest_limb(local, self.limbs())
        if self.coat:
            out[_skirt(local) < 0.012] = Material.UPPER
        return out

    def put(self, surfaces: Surfaces, thing: int) -> None:
        """Put the person into the scene."""
        (x, z), reach = self.place, 0.55 * self.height / 1.75 + abs(self.stride) * 0.4
        low = (x - reach, self.ground, z - reach)
        high = (x + reach, self.ground + self.height * 1.03, z + reach)
        surfaces.trace(self.distance, low, high, self.materials, thing, steps=60)


@dataclass(frozen=True)
class Dog(Person):
    """A dog of about 60 cm at the shoulder, in the same frame as a person."""

    def limbs(self) -> list[Limb]:
        """Return the capsules of the body in its own axes."""
        s = self.stride
        fur = Material.FUR
        out: list[Limb] = [
            ((0, 0.5, -0.3), (0, 0.52, 0.22), 0.105, 0.13, fur),
            ((0, 0.58, 0.3), (0, 0.74, 0.46), 0.085, 0.07, fur),
            ((0, 0.77, 0.48), (0, 0.72, 0.66), 0.078, 0.04, fur),
            ((0, 0.56, -0.38), (0, 0.74, -0.58), 0.03, 0.015, fur),
            ((0.05, 0.82, 0.45), (0.065, 0.9, 0.45), 0.025, 0.012, fur),
            ((-0.05, 0.82, 0.45), (-0.065, 0.9, 0.45), 0.025, 0.012, fur),
        ]
        for side in (-1.0, 1.0):
            for z, phase in ((0.24, side), (-0.3, -side)):
                foot = z + s * phase
                middle = (z + foot) / 2 + 0.03
                out += [
                    ((0.08 * side, 0.45, z), (0.08 * side, 0.24, middle), 0.06, 0.035, fur),
                    ((0.08 * side, 0.24, middle), (0.08 * side, 0.03, foot), 0.033, 0.026, fur),
                ]
        return out


def _skirt(points: Array) -> Array:
    """Return the distance to the lower part of a coat, open at the hem."""
    cone = _capsule(points, ((0, 1.05, 0), (0, 0.4, 0.0), 0.14, 0.235, Material.UPPER))
    return np.asarray(np.maximum(cone, 0.58 - points[:, 1]) * 0.9, np.float32)


def _capsule(points: Array, limb: Limb) -> Array:
    a, b, radius_a, radius_b, _ = limb
    base = np.asarray(a, np.float32)
    axis = np.asarray(b, np.float32) - base
    offset = points - base
    along = np.clip(offset @ axis / max(float(axis @ axis), 1e-9), 0, 1)
    offset -= along[:, None] * axis
    gap = np.sqrt(np.einsum("ij,ij->i", offset, offset))
    return np.asarray(gap - (radius_a + (radius_b - radius_a) * along), np.float32)


def limbs_distance(points: Array, limbs: list[Limb], blend: float = 0.045) -> Array:
    """Return the distance to the smooth union of capsules at (N, 3) points in their axes."""
    total = np.full(len(points), 1e3, np.float32)
    for limb in limbs:
        gap = _capsule(points, limb)
        share = np.maximum(blend - np.abs(total - gap), 0) / blend
        total = np.minimum(total, gap) - share * share * np.float32(blend / 4)
    return total


def nearest_limb(points: Array, limbs: list[Limb]) -> Labels:
    """Return the material of the nearest capsule at (N, 3) points in their axes."""
    gaps = np.stack([_capsule(points, limb) for limb in limbs])
    materials = np.array([limb[4] for limb in limbs], np.uint8)
    return np.asarray(materials[gaps.argmin(axis=0)], np.uint8)
