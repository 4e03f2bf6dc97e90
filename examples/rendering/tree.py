"""Street trees: branches grown by recursion, leaves drawn as small turned blades."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .camera import NEAR
from .noise import stream
from .surfaces import Material, Polygon, Surfaces, Vector

# Start and end in metres, radius at either, level of branching.
Branch = tuple[Vector, Vector, float, float, int]


@dataclass(frozen=True)
class Tree:
    """A young street tree.

    Args:
        place: (x, z) of the trunk in metres.
        height: Height in metres.
        seed: What this tree looks like.
        leaves: Number of leaves; 0 for a bare tree.
        ground: Height of the ground in metres.
    """

    place: tuple[float, float]
    height: float
    seed: int
    leaves: int = 2500
    ground: float = 0.13

    def put(self, surfaces: Surfaces, thing: int) -> None:
        """Draw branches and leaves, far ones first, and put the picture into the scene."""
        camera = surfaces.camera
        branches = grow_branches(self)
        start = np.stack([branch[0] for branch in branches])
        end = np.stack([branch[1] for branch in branches])
        radii = np.array([branch[2:4] for branch in branches])
        a, b = camera.project(start), camera.project(end)
        along = b[:, :2] - a[:, :2]
        across = np.stack([-along[:, 1], along[:, 0]], 1)
        across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
        wide_a = across * np.maximum(radii[:, :1] * camera.focal / a[:, 2:], 0.45)
        wide_b = across * np.maximum(radii[:, 1:] * camera.focal / b[:, 2:], 0.45)
        depth = (a[:, 2] + b[:, 2]) / 2
        seen = np.minimum(a[:, 2], b[:, 2]) > NEAR
        shapes: list[Polygon] = []
        for side in (-1.0, 1.0):
            # Two halves of the branch, lit from either side.
            edge = [a[:, :2], b[:, :2], b[:, :2] + side * wide_b, a[:, :2] + side * wide_a]
            quads = np.stack(edge, axis=1)
            tilt = np.stack([side * across[:, 0], -side * across[:, 1], np.full(len(a), -0.9)], 1)
            shapes += [
                (float(depth[i]), quads[i], tilt[i], Material.BARK, 0.0)
                for i in np.nonzero(seen)[0]
            ]
        tips = np.array([end for _, end, _, _, level in branches if level >= 3])
        if self.leaves:
            shapes += self._leaves(surfaces, tips)
        surfaces.put_polygons(shapes, thing)

    def _leaves(self, surfaces: Surfaces, tips: Vector) -> list[Polygon]:
        rng, camera, count = stream(self.seed, 0x1EAF), surfaces.camera, self.leaves
        centre = tips[rng.randint(len(tips), size=count)]
        centre = centre + rng.normal(0, 0.2, (count, 3)) * np.array([1, 0.8, 1])
        turn, width = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.17, 0.45, (count, 1))
        normal = rng.normal(0, 1, (count, 3)) + np.array([0, 0.5, -0.5])
        variate = rng.random_sample(count)
        place = camera.project(centre)
        depth = place[:, 2]
        size = rng.uniform(0.05, 0.1, count) * camera.focal / np.maximum(depth, 1)
        axis = np.stack([np.cos(turn), np.sin(turn)], 1) * size[:, None]
        side = np.stack([-axis[:, 1], axis[:, 0]], 1) * width
        middle = place[:, :2]
        waist = middle - 0.2 * axis
        blades = np.stack([middle - axis, waist + side, middle + axis, waist - side], axis=1)
        return [
            (float(depth[i]), blades[i], normal[i], Material.LEAF, float(variate[i]))
            for i in np.nonzero(depth > 1.5)[0]
        ]


@lru_cache(maxsize=32)
def grow_branches(tree: Tree) -> list[Branch]:
    """Return the branches of a tree, each as (start, end, start radius, end radius, level)."""
    rng = stream(tree.seed, 0x7EE)
    out: list[Branch] = []

    def grow(start: Vector, heading: Vector, length: float, radius: float, level: int) -> None:
        pieces = 5 if level == 0 else 3
        for piece in range(pieces):
            bend = rng.uniform(-1, 1, 3) * (0.06 if level == 0 else 0.2)
            heading = heading + bend + np.array([0, 0.07, 0])
            heading /= np.linalg.norm(heading)
            end = start + heading * length / pieces
            thin = radius * (1 - 0.35 / pieces)
            out.append((start, end, radius, thin, level))
            start, radius = end, thin
            if level == 0 and piece >= 2 and level < 4:
                for _ in range(2):
                    fork(start, heading, length * 0.5, radius * 0.55, level + 1)
        if level < 5:
            for _ in range(3 if level < 3 else 2):
                fork(start, heading, length * (0.6 if level else 0.5), radius * 0.66, level + 1)

    def fork(start: Vector, heading: Vector, length: float, radius: float, level: int) -> None:
        turn = rng.uniform(-1, 1, 3)
        turn -= heading * (turn @ heading)
        turn /= np.linalg.norm(turn) + 1e-9
        aside = heading + turn * rng.uniform(0.5, 1.0)
        grow(start, aside / np.linalg.norm(aside), length * rng.uniform(0.75, 1.1), radius, level)

    foot = np.array([tree.place[0], tree.ground, tree.place[1]])
    grow(foot, np.array([0.0, 1.0, 0.0]), tree.height * 0.48, tree.height * 0.018, 0)
    return out
