"""The surfaces a camera sees: depth, normal and material of every sample.

Both street pictures are shaded from one such buffer, which is why they are registered exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum

import cv2
import numpy as np
import numpy.typing as npt

from .camera import NEAR, Camera, Window
from .noise import Array, Labels

Vector = npt.NDArray[np.float64]
# Depth, corners in samples, normal, material, variate.
Polygon = tuple[float, Vector, Vector, int, float]
Distance = Callable[[Array], Array]


class Material(IntEnum):
    """What a visible sample is made of."""

    SKY = 0
    ROAD = 1
    PAVEMENT = 2
    KERB = 3
    WALL = 4
    REVEAL = 5
    FRAME = 6
    GLASS = 7
    SILL = 8
    SHOP_GLASS = 9
    SHUTTER = 10
    DOOR = 11
    FASCIA = 12
    SIDE_WALL = 13
    AWNING = 14
    METAL = 15
    LAMP = 16
    SIGN = 17
    SIGNAL = 18
    BARK = 19
    LEAF = 20
    PAINT = 21
    CAR_GLASS = 22
    TYRE = 23
    RIM = 24
    HEADLAMP = 25
    TAIL_LAMP = 26
    PLATE = 27
    TRIM = 28
    SKIN = 29
    HAIR = 30
    UPPER = 31
    LOWER = 32
    SHOE = 33
    HEATER = 34
    TOWER = 35
    FUR = 36


class Surfaces:
    """The nearest surface behind every sample of a camera.

    Attributes:
        camera: The camera.
        depth: (H, W) distance along z in metres, infinite for the sky.
        normal: (H, W, 3) unit normals.
        material: (H, W) `Material` values.
        thing: (H, W) index of the object the sample belongs to, 0 where it does not matter.
        variate: (H, W) a value in [0, 1) that is constant over one window, leaf or letter.
    """

    def __init__(self, camera: Camera) -> None:
        shape = (camera.height, camera.width)
        self.camera = camera
        self.rays = camera.rays()
        self.depth = np.full(shape, np.inf, np.float32)
        self.normal = np.zeros((*shape, 3), np.float32)
        self.material = np.zeros(shape, np.uint8)
        self.thing = np.zeros(shape, np.int16)
        self.variate = np.zeros(shape, np.float32)

    def where(self, *materials: Material) -> npt.NDArray[np.bool_]:
        """Return the (H, W) mask of the samples made of one of `materials`."""
        table = np.zeros(256, np.bool_)
        table[list(materials)] = True
        return table[self.material]

    def points(self, mask: npt.NDArray[np.bool_]) -> Array:
        """Return the (N, 3) world points of the samples in `mask`."""
        eye = np.asarray(self.camera.eye, np.float32)
        return np.asarray(eye + self.rays[mask] * self.depth[mask][:, None], np.float32)

    def put(
        self,
        window: Window,
        depth: Array,
        normal: npt.ArrayLike,
        material: npt.ArrayLike,
        thing: npt.ArrayLike = 0,
        variate: npt.ArrayLike = 0.0,
    ) -> None:
        """Write a surface into `window` wherever it is nearer than what is there."""
        nearer = (depth > NEAR) & (depth < self.depth[window])
        shape = depth.shape
        self.depth[window][nearer] = depth[nearer]
        self.normal[window][nearer] = np.broadcast_to(normal, (*shape, 3))[nearer]
        self.material[window][nearer] = np.broadcast_to(material, shape)[nearer]
        self.thing[window][nearer] = np.broadcast_to(thing, shape)[nearer]
        self.variate[window][nearer] = np.broadcast_to(variate, shape)[nearer]

    def put_box(
        self, low: npt.ArrayLike, high: npt.ArrayLike, material: Material, thing: int = 0
    ) -> None:
        """Put an axis-aligned box (slab method)."""
        window = self.camera.window(low, high)
        rays = self.rays[window]
        if rays.size == 0:
            return
        eye = np.asarray(self.camera.eye, np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            a = (np.asarray(low, np.float32) - eye) / rays
            b = (np.asarray(high, np.float32) - eye) / rays
        enter = np.minimum(a, b)
        axis = enter.argmax(axis=-1)
        depth = np.take_along_axis(enter, axis[..., None], axis=-1)[..., 0]
        missed = depth > np.maximum(a, b).min(axis=-1)
        depth = np.where(missed, np.inf, depth).astype(np.float32)
        sign = -np.sign(np.take_along_axis(rays, axis[..., None], axis=-1))
        normal = np.eye(3, dtype=np.float32)[axis] * sign
        self.put(window, depth, normal, material, thing)

    def put_pole(
        self,
        foot: tuple[float, float, float],
        height: float,
        radius: float,
        material: Material,
        thing: int = 0,
    ) -> None:
        """Put an upright cylinder that stands on `foot`."""
        x, y, z = foot
        window = self.camera.window(
            (x - radius, y, z - radius), (x + radius, y + height, z + radius)
        )
        rays = self.rays[window]
        if rays.size == 0:
            return
        dx, dz = self.camera.eye[0] - x, self.camera.eye[2] - z
        a = rays[..., 0] ** 2 + 1
        b = rays[..., 0] * dx + dz
        root = b * b - a * (dx * dx + dz * dz - radius * radius)
        depth = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
        rise = self.camera.eye[1] + rays[..., 1] * np.where(np.isfinite(depth), depth, 0)
        depth = np.where((rise >= y) & (rise <= y + height), depth, np.inf).astype(np.float32)
        flat = np.where(np.isfinite(depth), depth, 0)
        normal = np.zeros((*depth.shape, 3), np.float32)
        normal[..., 0] = (dx + rays[..., 0] * flat) / radius
        normal[..., 2] = (dz + flat) / radius
        self.put(window, depth, normal, material, thing)

    def put_panel(
        self,
        centre: tuple[float, float, float],
        half: tuple[float, float],
        material: Material,
        thing: int = 0,
        disc: bool = False,
    ) -> None:
        """Put a flat sign that faces the camera: a rectangle, or the ellipse inside it."""
        x, y, z = centre
        window = self.camera.window(
            (x - half[0], y - half[1], z), (x + half[0], y + half[1], z + 0.01)
        )
        rays = self.rays[window]
        if rays.size == 0:
            return
        depth = np.float32(z - self.camera.eye[2])
        u = np.abs(self.camera.eye[0] + rays[..., 0] * depth - x) / half[0]
        v = np.abs(self.camera.eye[1] + rays[..., 1] * depth - y) / half[1]
        inside = u * u + v * v < 1 if disc else (u < 1) & (v < 1)
        seen = np.where(inside, depth, np.inf).astype(np.float32)
        self.put(window, seen, (0.0, 0.0, -1.0), material, thing)

    def put_polygons(self, polygons: Sequence[Polygon], thing: int) -> None:
        """Put many small convex polygons (leaves, twigs, wires), each at one depth."""
        ordered = sorted(polygons, key=lambda polygon: -polygon[0])
        index = np.full(self.depth.shape, -1, np.int32)
        for number, polygon in enumerate(ordered):
            corners = np.round(polygon[1] * 16).astype(np.int32)
            cv2.fillConvexPoly(index, corners, (number,), cv2.LINE_8, 4)
        rows, columns = np.nonzero(index >= 0)
        if rows.size == 0:
            return
        window = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        picked = index[window]
        normals = np.stack([polygon[2] for polygon in ordered])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        # Index -1 takes the padding at the end: nothing there, infinitely far.
        depth = np.array([polygon[0] for polygon in ordered] + [np.inf], np.float32)
        material = np.array([polygon[3] for polygon in ordered] + [0], np.uint8)
        variate = np.array([polygon[4] for polygon in ordered] + [0], np.float32)
        normal = np.concatenate([normals, np.zeros((1, 3))]).astype(np.float32)
        self.put(window, depth[picked], normal[picked], material[picked], thing, variate[picked])

    def trace(
        self,
        distance: Distance,
        low: npt.ArrayLike,
        high: npt.ArrayLike,
        material: Callable[[Array, Array], Labels],
        thing: int = 0,
        steps: int = 64,
    ) -> None:
        """Put a solid given by a signed distance (sphere tracing).

        Args:
            distance: (N, 3) world points to (N,) signed distances, never over-estimated.
            low: Lower corner of an axis-aligned box around the solid.
            high: Upper corner of that box.
            material: World points and normals of the hits to their materials.
            thing: Index of the object.
            steps: Most steps along a ray.
        """
        window = self.camera.window(low, high)
        rays = self.rays[window].reshape(-1, 3)
        if rays.size == 0:
            return
        eye = np.asarray(self.camera.eye, np.float32)
        length = np.linalg.norm(rays, axis=1)
        start = max(float(np.asarray(low)[2]) - float(eye[2]), NEAR)
        end = float(np.asarray(high)[2]) - float(eye[2])
        depth = np.full(len(rays), start, np.float32)
        alive = np.arange(len(rays))
        hits = []
        for _ in range(steps):
            gap = distance(eye + rays[alive] * depth[alive][:, None])
            tight = gap < 0.0004 * depth[alive]
            hits.append(alive[tight])
            depth[alive] += gap / length[alive]
            alive = alive[~tight & (depth[alive] < end)]
            if alive.size == 0:
                break
        hit = np.concatenate(hits)
        points = eye + rays[hit] * depth[hit][:, None]
        normals = gradient(distance, points)
        shape = self.depth[window].shape
        flat_depth = np.full(len(rays), np.inf, np.float32)
        flat_normal = np.zeros((len(rays), 3), np.float32)
        flat_material = np.zeros(len(rays), np.uint8)
        flat_depth[hit], flat_normal[hit] = depth[hit], normals
        flat_material[hit] = material(points, normals)
        self.put(
            window,
            flat_depth.reshape(shape),
            flat_normal.reshape(*shape, 3),
            flat_material.reshape(shape),
            thing,
        )


def gradient(distance: Distance, points: Array, step: float = 0.004) -> Array:
    """Return the unit gradient of a distance at (N, 3) points (four-point stencil)."""
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
    total = np.zeros_like(points)
    for corner in corners:
        total += corner * distance(points + step * corner)[:, None]
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9))
