"""What is behind lit windows: rooms and shops, by following the line of sight inside."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .facade import Building
from .noise import Array, cell_hash, fbm, smoothstep, value_noise
from .surfaces import Material, Surfaces


def window_light(
    surfaces: Surfaces, building: Building, thing: int
) -> tuple[npt.NDArray[np.bool_], Array]:
    """Return the glass of a building as an (H, W) mask, and the light from inside, (N, 3)."""
    mask = (surfaces.thing == thing) & surfaces.where(Material.GLASS, Material.SHOP_GLASS)
    points, normals, rays = surfaces.points(mask), surfaces.normal[mask], surfaces.rays[mask]
    fronts = np.abs(normals[:, 0]) > 0.5
    u = np.where(fronts, points[:, 2] - building.span[0], points[:, 0] - building.face)
    into = np.maximum(np.abs(np.where(fronts, rays[:, 0], rays[:, 2])), 1e-3)
    du = np.where(fronts, rays[:, 2], rays[:, 0]) / into
    dv = rays[:, 1] / into
    shop = surfaces.material[mask] == Material.SHOP_GLASS
    variate = surfaces.variate[mask]
    out = np.zeros((len(u), 3), np.float32)
    lit = ~shop & (variate < building.lit)
    out[lit] = _flat(building, u[lit], points[lit, 1], du[lit], dv[lit], variate[lit])
    out[shop] = _shop(building, u[shop], points[shop, 1], du[shop], dv[shop])
    return mask, out


def _flat(building: Building, u: Array, v: Array, du: Array, dv: Array, variate: Array) -> Array:
    """Return the light of rooms upstairs: a lamp, walls of one colour, curtains or a blind."""
    bay = np.floor(u / building.bay)
    x = u - (bay + 0.5) * building.bay
    y = np.mod(v - building.ground, building.floor) - 0.52 * building.floor
    kind = np.mod(variate * 997.0, 1.0)
    tone = np.mod(variate * 3571.0, 1.0)[:, None]
    warm = np.array([1.0, 0.63, 0.26], np.float32)
    white = np.array([0.95, 0.86, 0.66], np.float32)
    colour = warm * (1 - tone) + white * tone

    half, top, bottom, deep = building.bay / 2, 1.25, -1.45, 3.2
    wall = np.where(du > 0, half - x, half + x) / np.maximum(np.abs(du), 1e-3)
    plate = np.where(dv > 0, top - y, y - bottom) / np.maximum(np.abs(dv), 1e-3)
    reach = np.minimum(np.minimum(wall, plate), deep)
    px, py = x + du * reach, y + dv * reach
    lamp = np.sqrt(px**2 + (py - 0.9) ** 2 + (reach - 1.6) ** 2)
    bright = 0.75 / (0.35 + lamp**2 * 0.55)
    bright = np.where(reach >= plate - 1e-3, bright * np.where(dv > 0, 1.3, 0.35), bright)
    picture = (np.abs(px - 0.3) < 0.4) & (np.abs(py - 0.1) < 0.3) & (reach > deep - 0.01)
    bright = np.where(picture, bright * 0.45, bright)
    folds = 0.75 + 0.25 * np.sin(x * 55 + 3 * variate * 100)
    drawn = np.abs(x) > 0.36 - 0.22 * kind
    curtain = (0.34 + 0.16 * smoothstep(-1, 0.8, y)) * folds
    bright = np.where(drawn & (kind < 0.75), curtain, bright)
    blind = (0.5 + 0.22 * smoothstep(-0.8, 0.9, y)) * (0.93 + 0.07 * np.sin(y * 180))
    bright = np.where((kind > 0.8) & (y > -0.85 + 1.3 * tone[:, 0]), blind, bright)
    dim = 0.45 + 0.8 * np.mod(variate * 7919.0, 1.0)
    return np.asarray(colour * (bright * dim)[:, None] * 1.25, np.float32)


def _shop(building: Building, u: Array, v: Array, du: Array, dv: Array) -> Array:
    """Return the light of a ground floor: back wall with shelves, counter, hanging lamps."""
    cafe = building.shop == "cafe"
    top, deep = 3.3, 4.5 if cafe else 5.5
    plate = np.where(dv > 0, top - v, v - 0.15) / np.maximum(np.abs(dv), 1e-3)
    reach = np.minimum(plate, deep)
    px, py = u + du * reach, v + dv * reach
    tint = np.array([1.0, 0.72, 0.4] if cafe else [0.85, 0.95, 1.0], np.float32)
    glow = (0.22 if cafe else 0.5) + 0.3 * value_noise(px * 0.55, reach * 0.5, building.seed + 90)
    if cafe:
        # Wall lamps leave pools of light between dark panels.
        pool = np.mod(px, 1.9) / 0.95 - 1
        glow += 0.5 * np.exp(-(pool**2) * 6 - ((py - 1.9) ** 2) * 1.6)
    glow = np.where(reach < deep - 1e-3, glow * np.where(dv > 0, 1.0, 0.5), glow)
    colour = tint * glow[:, None]

    # Shelves of bottles, cups or boxes along the back wall.
    shelf_v, shelf_u = py / 0.42, px / (0.13 if cafe else 0.3)
    on_wall = (reach >= deep - 1e-3) & (py > 0.9) & (py < 2.7)
    if cafe:
        on_wall &= np.mod(px / 3.8, 1) < 0.55
    hue = cell_hash(shelf_u, shelf_v, building.seed + 91)
    size = 0.3 + 0.5 * cell_hash(shelf_u, shelf_v + 31, building.seed + 92)
    article = on_wall & (np.mod(shelf_v, 1) < size) & (np.abs(np.mod(shelf_u, 1) - 0.5) < 0.38)
    ware = np.stack(
        [0.25 + 0.75 * hue, 0.2 + 0.5 * np.mod(hue * 7, 1), np.mod(hue * 3, 1) * 0.6], 1
    )
    colour = np.where(article[:, None], ware * tint * (glow * 0.9)[:, None], colour)
    colour = np.where((on_wall & (np.mod(shelf_v, 1) > 0.92))[:, None], colour * 0.35, colour)

    # Counter and chairs at a third of the depth, guests at another.
    for depth, high, scale, dark in ((2.6, 1.05, 0.5, 0.22), (1.3, 0.8, 1.1, 0.12)):
        cu, cv = u + du * depth, v + dv * depth
        bumps = value_noise(cu * scale * 3, np.zeros_like(cu), building.seed + int(depth * 10))
        front = (cv < high + 0.55 * smoothstep(0.62, 0.75, bumps)) & (depth < reach)
        colour = np.where(front[:, None], tint * dark * (0.8 + 0.5 * bumps[:, None]), colour)

    # Lamps on cords, 1.6 m inside, one a bay.
    cu, cv = u + du * 1.6, v + dv * 1.6
    across = np.mod(cu, building.bay) - building.bay / 2
    bulb = np.hypot(across, cv - 2.35)
    colour = (
        colour + tint * (np.exp(-((bulb / 0.1) ** 2)) * 4.5 + np.exp(-bulb / 0.3) * 0.35)[:, None]
    )
    cord = (np.abs(across) < 0.012) & (cv > 2.4)
    colour = np.where(cord[:, None], colour * 0.3, colour)
    # Street on the pane: faint, uneven.
    haze = 0.9 + 0.12 * fbm(u * 1.3, v * 1.3, building.seed + 94)
    return np.asarray(np.maximum(colour, 0) * haze[:, None] * (1.0 if cafe else 0.7), np.float32)
