"""The night street: what stands where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from .camera import Camera
from .car import Car
from .facade import Building
from .noise import Array, Labels
from .person import Dog, Limb, Person, limbs_distance, nearest_limb
from .surfaces import Material, Polygon, Surfaces
from .tree import Tree

LEFT_KERB, RIGHT_KERB = -3.7, 5.7
STEP = 0.13
CROSSING = (18.0, 21.2)
CROSS_STREET = (22.5, 31.0)


@dataclass(frozen=True)
class Lamp:
    """A street lamp; its head hangs `reach` metres from the pole at `place` over the road."""

    place: tuple[float, float]
    reach: float
    height: float = 6.6
    on: bool = True

    @property
    def head(self) -> tuple[float, float, float]:
        """Position of the light in metres."""
        return self.place[0] + self.reach, self.height, self.place[1]

    def put(self, surfaces: Surfaces, thing: int) -> None:
        """Put pole, arm and head into the scene."""
        (x, z), (hx, hy, _) = self.place, self.head
        surfaces.put_pole((x, STEP, z), 1.1, 0.095, Material.METAL, thing)
        surfaces.put_pole((x, 1.1, z), self.height - 0.6, 0.06, Material.METAL, thing)
        side = float(np.sign(self.reach))
        limbs: list[Limb] = [
            ((x, hy - 0.5, z), (x + 0.35 * self.reach, hy + 0.12, z), 0.05, 0.04, Material.METAL),
            ((x + 0.35 * self.reach, hy + 0.12, z), (hx, hy + 0.16, z), 0.04, 0.04, Material.METAL),
            ((hx - 0.1 * side, hy + 0.1, z), (hx + 0.42 * side, hy + 0.1, z), 0.09, 0.075,
             Material.METAL),
            ((hx, hy + 0.02, z), (hx + 0.34 * side, hy + 0.02, z), 0.065, 0.055, Material.LAMP),
        ]  # fmt: skip

        def distance(points: Array) -> Array:
            return limbs_distance(points, limbs, blend=0.02)

        def materials(points: Array, _normals: Array) -> Labels:
            return nearest_limb(points, limbs)

        low = (min(x, hx) - 0.6, hy - 0.7, z - 0.15)
        surfaces.trace(distance, low, (max(x, hx) + 0.6, hy + 0.4, z + 0.15), materials, thing)


@dataclass(frozen=True)
class Sign:
    """A flat sign that faces the camera.

    Args:
        kind: "hotel", "cross", "disc", "signal" (traffic light) or "walk" (pedestrian light).
        centre: Position in metres.
        half: Half width and half height in metres.
    """

    kind: str
    centre: tuple[float, float, float]
    half: tuple[float, float]

    def put(self, surfaces: Surfaces, thing: int) -> None:
        """Put the sign, and the post of a traffic sign, into the scene."""
        (x, y, z), (width, height) = self.centre, self.half
        material = Material.SIGNAL if self.kind in ("signal", "walk") else Material.SIGN
        if material == Material.SIGNAL:
            low = (x - width, y - height, z)
            surfaces.put_box(low, (x + width, y + height, z + 0.22), material, thing)
        else:
            surfaces.put_panel(self.centre, self.half, material, thing, disc=self.kind == "disc")
        if self.kind in ("signal", "disc"):
            surfaces.put_pole((x, STEP, z + 0.1), y - STEP + 0.2, 0.05, Material.METAL, thing)


Thing = Building | Car | Person | Tree | Lamp | Sign
T = TypeVar("T", Building, Car, Person, Tree, Lamp, Sign)


class Street:
    """The objects in the street; `Surfaces.thing` holds the index of each, from 1."""

    def __init__(self, things: Sequence[Thing]) -> None:
        self.things = things

    def of(self, kind: type[T]) -> list[tuple[int, T]]:
        """Return the objects of a class with their indices."""
        return [(i, thing) for i, thing in enumerate(self.things, 1) if isinstance(thing, kind)]

    def surfaces(self, camera: Camera, ground: bool = True) -> Surfaces:
        """Return what `camera` sees of the street, with or without road and pavement."""
        out = Surfaces(camera)
        _put_towers(out)
        if ground:
            _put_ground(out)
        for index, thing in enumerate(self.things, 1):
            thing.put(out, index)
        _put_furniture(out)
        for index, building in self.of(Building):
            building.detail(out, index)
        return out


def dashcam() -> Camera:
    """Return the camera of the street pictures, at twice their size of 640 x 480."""
    return Camera(1280, 960, 1024.0, (660.0, 545.0), (0.6, 1.5, 0.0))


def build_street(seed: int) -> Street:
    """Return the street; `seed` turns over windows, trees and textures, not the layout."""
    brick, dark_brick = (0.19, 0.085, 0.055), (0.13, 0.065, 0.05)
    plaster, cream, grey = (0.42, 0.36, 0.27), (0.5, 0.44, 0.33), (0.26, 0.26, 0.27)
    left, right = -6.9, 9.2

    def house(side: int, span: tuple[float, float], height: float, **more: Any) -> Building:
        return Building(left if side < 0 else right, side, span, height, **more)

    things: list[Thing] = [
        house(-1, (2, 14.5), 12.5, colour=dark_brick, seed=seed + 1, shop="shutter", brick=True),
        house(-1, (14.5, 22), 10.8, colour=plaster, seed=seed + 2, shop="cafe", bay=2.3, lit=0.45),
        house(-1, (31.5, 44), 14.2, colour=brick, seed=seed + 3, brick=True, shop="shop"),
        house(-1, (44, 60), 11.0, colour=cream, seed=seed + 4, shop="shop", lit=0.3),
        house(-1, (60, 95), 15.5, colour=grey, seed=seed + 5, lit=0.25),
        house(1, (2, 13), 10.0, colour=cream, seed=seed + 6, lit=0.12),
        house(1, (13, 22), 13.4, colour=brick, seed=seed + 7, brick=True, lit=0.2, shop="shop"),
        house(1, (31.5, 50), 11.6, colour=plaster, seed=seed + 8, lit=0.3),
        house(1, (50, 72), 16.5, colour=dark_brick, seed=seed + 9, brick=True, lit=0.25),
        house(1, (72, 110), 12.5, colour=grey, seed=seed + 10, lit=0.2),
        Car((4.55, 9.1), (0.10, 0.11, 0.125), style="saloon", engine=0.55),
        Car((4.6, 14.6), (0.28, 0.025, 0.02), style="hatchback"),
        Car((1.95, 15.4), (0.34, 0.35, 0.37), style="hatchback", engine=1.0, lights=True,
            braking=True),
        Car((-1.75, 29.0), (0.05, 0.06, 0.09), yaw=float(np.pi), engine=1.0, lights=True),
        Car((-6.4, 25.2), (0.5, 0.5, 0.48), yaw=1.57, style="van", engine=0.9, lights=True),
        Car((4.6, 35.5), (0.3, 0.3, 0.3), style="van"),
        Car((4.6, 41.5), (0.05, 0.1, 0.2), style="saloon", engine=0.3),
        Car((-3.0, 55.0), (0.3, 0.3, 0.3), yaw=float(np.pi)),
        Person((-1.75, 9.0), yaw=1.9, stride=0.27, height=1.8, coat=True),
        Person((-4.75, 8.9), yaw=0.5, height=1.79, upper=(0.022, 0.024, 0.03), ground=STEP),
        Person((-2.5, 19.4), yaw=1.5, stride=0.3, height=1.7, upper=(0.12, 0.05, 0.05)),
        Person((7.0, 11.6), yaw=3.0, stride=0.25, height=1.74, ground=STEP),
        Dog((6.35, 11.2), yaw=2.9, stride=0.16, height=1.75, ground=STEP),
        Person((-5.3, 15.3), yaw=0.6, height=1.66, upper=(0.25, 0.2, 0.15), ground=STEP),
        Person((-4.75, 15.8), yaw=-2.2, height=1.82, upper=(0.06, 0.08, 0.14), ground=STEP),
        Person((-4.9, 18.6), yaw=0.1, stride=0.28, height=1.72, upper=(0.2, 0.03, 0.03),
               coat=True, ground=STEP),
        Person((7.3, 17.5), yaw=3.1, stride=-0.25, height=1.7, coat=True, ground=STEP),
        Person((3.6, 38.4), yaw=0.2, stride=0.25, height=1.75),
        Tree((6.35, 8.2), 7.4, seed + 21, leaves=5200),
        Tree((6.4, 15.8), 6.6, seed + 22, leaves=3600),
        Tree((6.4, 34.5), 7.2, seed + 23, leaves=2600),
        Tree((6.4, 43.0), 6.5, seed + 24, leaves=1800),
        Tree((-4.5, 36.0), 6.0, seed + 25, leaves=0),
        Tree((-4.5, 46.0), 6.4, seed + 26, leaves=1500),
        Lamp((6.15, 0.5), -1.6),
        Lamp((-4.15, 9.8), 1.5, on=False),
        Lamp((6.15, 19.4), -1.6),
        Lamp((-4.15, 33.0), 1.5),
        Lamp((6.15, 40.0), -1.6),
        Lamp((-4.15, 50.0), 1.5),
        Lamp((6.15, 60.0), -1.6),
        Lamp((-4.15, 72.0), 1.5),
        Lamp((6.15, 88.0), -1.6),
        Sign("hotel", (-6.25, 6.7, 15.6), (0.36, 1.75)),
        Sign("cross", (8.75, 4.6, 20.5), (0.45, 0.45)),
        Sign("disc", (-4.05, 2.55, 16.4), (0.3, 0.3)),
        Sign("signal", (5.95, 2.95, 17.2), (0.17, 0.5)),
        Sign("walk", (-4.1, 2.5, 21.4), (0.14, 0.27)),
    ]  # fmt: skip
    return Street(things)


def _put_ground(out: Surfaces) -> None:
    out.put_box((-80, -1, -5), (80, 0, 400), Material.ROAD)
    for near, far in ((-5.0, CROSS_STREET[0]), (CROSS_STREET[1], 130.0)):
        out.put_box((-60, 0, near), (LEFT_KERB, STEP, far), Material.PAVEMENT)
        out.put_box((RIGHT_KERB, 0, near), (60, STEP, far), Material.PAVEMENT)
    paved = out.material == Material.PAVEMENT
    x = out.points(paved)[:, 0]
    stone = (np.abs(x - LEFT_KERB) < 0.26) | (np.abs(x - RIGHT_KERB) < 0.26)
    out.material[paved] = np.where(stone, Material.KERB, Material.PAVEMENT)


def _put_towers(out: Surfaces) -> None:
    """Put the towers and roofs beyond the end of the street."""
    for x, width, z, height in (
        (-30.0, 16.0, 150.0, 30.0), (-9.0, 9.0, 190.0, 52.0), (4.0, 14.0, 160.0, 21.0),
        (17.0, 10.0, 230.0, 62.0), (40.0, 25.0, 180.0, 33.0), (-60.0, 20.0, 210.0, 44.0),
    ):  # fmt: skip
        out.put_box((x, 0, z), (x + width, height, z + 15), Material.TOWER)


def _put_furniture(out: Surfaces) -> None:
    metal = Material.METAL
    for z in (13.4, 15.2, 17.0):
        out.put_pole((LEFT_KERB - 0.35, STEP, z), 0.95, 0.05, metal)
    out.put_pole((6.2, STEP, 13.2), 0.9, 0.22, metal)
    # A patio heater between two cafe tables.
    out.put_pole((-5.7, STEP, 17.2), 2.05, 0.035, metal)
    out.put_pole((-5.7, 2.0, 17.2), 0.2, 0.1, Material.HEATER)
    out.put_pole((-5.7, 2.22, 17.2), 0.05, 0.36, metal)
    for x, z in ((-5.3, 16.5), (-5.9, 18.2)):
        out.put_pole((x, STEP, z), 0.72, 0.03, metal)
        out.put_pole((x, STEP + 0.72, z), 0.03, 0.36, metal)
    _put_awning(out, (14.9, 21.7))
    for chimney in ((-9.5, 13.0), (-9.5, 19.5), (11.5, 15.0), (11.5, 19.0)):
        x, z = chimney
        top = 13.2 if x < 0 else 15.6
        out.put_box((x - 0.35, 9, z - 0.5), (x + 0.35, top, z + 0.5), Material.SIDE_WALL)
    wires: list[Polygon] = []
    for a, b, sag in (
        ((-6.9, 8.2, 21.0), (9.2, 8.9, 20.0), 0.8),
        ((-6.9, 8.6, 33.0), (9.2, 8.4, 33.0), 0.9),
        ((-6.9, 7.9, 13.0), (9.2, 9.4, 16.0), 0.7),
    ):
        wires += _wire(out.camera, a, b, sag)
    out.put_polygons(wires, 0)


def _put_awning(out: Surfaces, span: tuple[float, float]) -> None:
    """Put the sloping cloth over the cafe front, with its valance."""
    run, drop = 1.25, 0.55
    slope = float(np.hypot(run, drop))

    def distance(points: Array) -> Array:
        x, y = points[:, 0] + 6.9, points[:, 1] - 2.95
        along = (x * run - y * drop) / slope
        above = (x * drop + y * run) / slope
        gap = np.maximum(np.abs(above) - 0.02, np.abs(along - slope / 2) - slope / 2)
        hem = np.maximum(np.abs(x - run) - 0.02, np.abs(y + drop + 0.1) - 0.12)
        ends = np.abs(points[:, 2] - sum(span) / 2) - (span[1] - span[0]) / 2
        return np.asarray(np.maximum(np.minimum(gap, hem), ends) * 0.95, np.float32)

    def cloth(points: Array, _normals: Array) -> Labels:
        return np.full(len(points), Material.AWNING, np.uint8)

    low, high = (-6.9, 2.1, span[0] - 0.05), (-5.6, 3.05, span[1] + 0.05)
    out.trace(distance, low, high, cloth, steps=70)


def _wire(
    camera: Camera, a: tuple[float, float, float], b: tuple[float, float, float], sag: float
) -> list[Polygon]:
    t = np.linspace(0, 1, 25)[:, None]
    points = np.asarray(a) * (1 - t) + np.asarray(b) * t
    points[:, 1] -= 4 * sag * (t * (1 - t))[:, 0]
    seen = camera.project(points)
    out: list[Polygon] = []
    for start, end in pairwise(seen):
        across = np.array([start[1] - end[1], end[0] - start[0]])
        across *= max(0.012 * camera.focal / start[2], 0.6) / (np.linalg.norm(across) + 1e-9)
        corners = np.stack(
            [start[:2] - across, end[:2] - across, end[:2] + across, start[:2] + across]
        )
        out.append((float(start[2]), corners, np.array([0.0, -0.5, -0.8]), Material.METAL, 0.0))
    return out
