"""Buildings: bays, windows with real depth, shop fronts and the letters over them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .noise import Array, cell_hash
from .surfaces import Material, Surfaces

_RECESS = 0.2


@dataclass(frozen=True)
class Building:
    """A house in the row on one side of the street.

    Args:
        face: x of the front wall in metres.
        side: -1 for the left row, +1 for the right row.
        span: First and last z of the front in metres.
        height: Height in metres.
        colour: Linear RGB of the wall.
        seed: What its windows look like.
        shop: Ground floor: "none", "cafe", "shop" or "shutter".
        brick: Whether the wall shows bricks.
        lit: Share of windows with light.
        bay: Width of one bay in metres.
        floor: Height of one floor in metres.
        window: Width and height of a window in metres.
    """

    face: float
    side: int
    span: tuple[float, float]
    height: float
    colour: tuple[float, float, float]
    seed: int
    shop: str = "none"
    brick: bool = False
    lit: float = 0.2
    bay: float = 2.5
    floor: float = 3.1
    window: tuple[float, float] = (1.1, 1.65)
    ground: float = 3.7

    def put(self, surfaces: Surfaces, thing: int) -> None:
        """Put walls, cornice and courses into the scene, then work out the windows."""
        deep = 14.0
        near, far = self.span
        a, b = self.face, self.face + self.side * deep
        low, high = min(a, b), max(a, b)
        surfaces.put_box((low, 0, near), (high, self.height, far), Material.SIDE_WALL, thing)
        for y, out, thick in (
            (self.height - 0.15, 0.35, 0.3),
            (self.height - 0.6, 0.12, 0.14),
            (self.ground - 0.02, 0.12, 0.16),
        ):
            if y > self.ground or self.shop != "none":
                surfaces.put_box(
                    (low - out * (self.side > 0), y, near - 0.05),
                    (high + out * (self.side < 0), y + thick, far + 0.05),
                    Material.SILL,
                    thing,
                )

    def detail(self, surfaces: Surfaces, thing: int) -> None:
        """Turn the plain samples of this building's walls into windows, frames and shop."""
        mask = (surfaces.thing == thing) & (surfaces.material == Material.SIDE_WALL)
        mask &= np.abs(surfaces.normal[..., 1]) < 0.5
        if not mask.any():
            return
        points, normals = surfaces.points(mask), surfaces.normal[mask]
        rays = surfaces.rays[mask]
        material, variate, turned = self.layout(points, normals, rays)
        surfaces.material[mask], surfaces.variate[mask] = material, variate
        surfaces.normal[mask] = turned

    def layout(
        self, points: Array, normals: Array, rays: Array
    ) -> tuple[npt.NDArray[np.uint8], Array, Array]:
        """Return material, variate and normal at (N, 3) points of the walls."""
        fronts = np.abs(normals[:, 0]) > 0.5
        u = np.where(fronts, points[:, 2] - self.span[0], (points[:, 0] - self.face) * self.side)
        v = points[:, 1]
        into = np.maximum(np.abs(np.where(fronts, rays[:, 0], rays[:, 2])), 1e-3)
        du = np.where(fronts, rays[:, 2], rays[:, 0] * self.side) / into
        dv = rays[:, 1] / into
        material = np.full(len(u), Material.WALL, np.uint8)
        bay, storey = np.floor(u / self.bay), np.floor((v - self.ground) / self.floor)
        variate = cell_hash(bay + 50 * ~fronts, storey + 7, self.seed)
        turned = normals.copy()

        width, height = self.window
        fu = u - (bay + 0.5) * self.bay
        fv = v - self.ground - (storey + 0.52) * self.floor
        upper = (storey >= 0) & (v < self.height - 0.7)
        upper &= v - fv + height / 2 < self.height - 0.7
        if self.shop == "none":
            ground_row = storey < 0
            fv = np.where(ground_row, v - 1.75, fv)
            upper |= ground_row
        opening = upper & (np.abs(fu) < width / 2) & (np.abs(fv) < height / 2)
        sill = (np.abs(fu) < width / 2 + 0.12) & (np.abs(fv + height / 2 + 0.06) < 0.06)
        lintel = (np.abs(fu) < width / 2 + 0.1) & (np.abs(fv - height / 2 - 0.11) < 0.11)
        material[upper & (sill | lintel)] = Material.SILL

        # Where the line of sight meets the pane, a hand's breadth behind the wall.
        gu, gv = fu + du * _RECESS, fv + dv * _RECESS
        on_pane = (np.abs(gu) < width / 2) & (np.abs(gv) < height / 2)
        material[opening] = np.where(on_pane, Material.GLASS, Material.REVEAL)[opening]
        reveal = opening & ~on_pane
        jamb = reveal & (np.abs(gu) >= width / 2)
        turned[reveal] = np.array([0, -1, 0], np.float32) * np.sign(gv[reveal])[:, None]
        along = np.where(fronts[:, None], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
        turned[jamb] = (along * -np.sign(gu)[:, None])[jamb]
        bars = (np.abs(gu) > width / 2 - 0.07) | (np.abs(gv) > height / 2 - 0.07)
        bars |= (np.abs(gu) < 0.035) | (np.abs(gv - height * 0.18) < 0.03)
        material[opening & on_pane & bars] = Material.FRAME

        if self.shop != "none":
            self._shop_front(u, v, fu, du, dv, material)
        return material, variate, turned

    def _shop_front(
        self, u: Array, v: Array, fu: Array, du: Array, dv: Array, material: npt.NDArray[np.uint8]
    ) -> None:
        low = v < self.ground - 0.02
        material[low & (v > 2.85)] = Material.FASCIA
        pane_u, pane_v = fu + du * 0.12, v + dv * 0.12
        half = self.bay / 2 - 0.14
        pane = low & (np.abs(fu) < half) & (v > 0.55) & (v < 2.8)
        edge = (np.abs(pane_u) > half - 0.06) | (pane_v < 0.62) | (pane_v > 2.72)
        edge |= np.abs(pane_v - 2.25) < 0.03
        glass = Material.SHUTTER if self.shop == "shutter" else Material.SHOP_GLASS
        material[pane] = np.where(edge, Material.FRAME, glass)[pane]
        material[low & (v <= 0.55)] = Material.REVEAL
        bay = np.floor(u / self.bay)
        door = low & (np.mod(bay, 3) == 1) & (np.abs(fu) < 0.55) & (v < 2.25)
        leaf = (np.abs(fu) > 0.47) | (v < 0.45) | (np.abs(v - 1.05) < 0.04)
        material[door] = np.where(leaf, Material.DOOR, glass)[door]


# Letters as strokes on a grid four wide and six high.
_STROKES: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "A": (((0, 0), (2, 6), (4, 0)), ((0.8, 2.2), (3.2, 2.2))),
    "B": (((0, 0), (0, 6), (2.4, 6), (3.6, 5.2), (3.6, 4), (2.4, 3.2), (0, 3.2)),
          ((2.4, 3.2), (4, 2.4), (4, 0.9), (2.6, 0), (0, 0))),
    "C": (((3.8, 5), (2.9, 5.9), (1.3, 5.9), (0.2, 4.6), (0.2, 1.4), (1.3, 0.1), (2.9, 0.1),
           (3.8, 1)),),
    "D": (((0, 0), (0, 6), (2.2, 6), (3.8, 4.6), (3.8, 1.4), (2.2, 0), (0, 0)),),
    "E": (((4, 6), (0.3, 6), (0.3, 0), (4, 0)), ((0.3, 3.1), (3.2, 3.1))),
    "F": (((4, 6), (0.3, 6), (0.3, 0)), ((0.3, 3.1), (3.2, 3.1))),
    "H": (((0.2, 0), (0.2, 6)), ((3.8, 0), (3.8, 6)), ((0.2, 3.1), (3.8, 3.1))),
    "K": (((0.2, 0), (0.2, 6)), ((3.8, 6), (0.2, 2.6)), ((1.4, 3.6), (4, 0))),
    "L": (((0.3, 6), (0.3, 0), (3.8, 0)),),
    "N": (((0.2, 0), (0.2, 6), (3.8, 0), (3.8, 6)),),
    "O": (((1.3, 0.1), (0.1, 1.5), (0.1, 4.5), (1.3, 5.9), (2.7, 5.9), (3.9, 4.5), (3.9, 1.5),
           (2.7, 0.1), (1.3, 0.1)),),
    "P": (((0.2, 0), (0.2, 6), (2.7, 6), (3.8, 5.2), (3.8, 3.8), (2.7, 3), (0.2, 3)),),
    "R": (((0.2, 0), (0.2, 6), (2.7, 6), (3.8, 5.2), (3.8, 3.8), (2.7, 3), (0.2, 3)),
          ((2, 3), (4, 0))),
    "S": (((3.7, 5), (2.8, 5.9), (1.2, 5.9), (0.3, 5), (0.4, 3.8), (3.5, 2.4), (3.8, 1.2),
           (2.8, 0.1), (1.2, 0.1), (0.2, 1)),),
    "T": (((0, 6), (4, 6)), ((2, 6), (2, 0))),
    "U": (((0.2, 6), (0.2, 1.5), (1.3, 0.1), (2.7, 0.1), (3.8, 1.5), (3.8, 6)),),
}  # fmt: skip


def lettering(
    text: str, u: Array, v: Array, origin: tuple[float, float], height: float, column: bool = False
) -> Array:
    """Return the distance in metres of points (u, v) to the strokes of `text`.

    Args:
        text: Capital letters and blanks.
        u: Horizontal coordinate in metres.
        v: Vertical coordinate in metres.
        origin: Lower left corner of the first letter.
        height: Height of the letters in metres.
        column: Letters one under the other.
    """
    unit = height / 6
    best = np.full(np.shape(u), 1e3, np.float32)
    for number, letter in enumerate(text):
        left = origin[0] + (0 if column else number * 5.6 * unit)
        low = origin[1] - (number * 8 * unit if column else 0)
        for stroke in _STROKES.get(letter, ()):
            for (ax, ay), (bx, by) in pairwise(stroke):
                x, y = u - (left + ax * unit), v - (low + ay * unit)
                ex, ey = (bx - ax) * unit, (by - ay) * unit
                along = np.clip((x * ex + y * ey) / (ex * ex + ey * ey), 0, 1)
                best = np.minimum(best, np.hypot(x - ex * along, y - ey * along))
    return best
