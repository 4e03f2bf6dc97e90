"""Apparent temperatures of the street on a cold night, in degrees Celsius."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .car import Car
from .facade import Building
from .noise import Array, cell_hash, fbm, mix, smoothstep, stream, value_noise
from .person import Person
from .street import Lamp, Sign, Street
from .surfaces import Material, Surfaces
from .textures import brick_pattern, grain, road_marks, wetness

AIR = 8.0

# Temperature in degrees Celsius and share of the surroundings that the surface mirrors.
_PLAIN: dict[Material, tuple[float, float]] = {
    Material.ROAD: (9.9, 0.04),
    Material.PAVEMENT: (9.6, 0.03),
    Material.KERB: (11.8, 0.03),
    Material.WALL: (10.2, 0.03),
    Material.SIDE_WALL: (8.2, 0.03),
    Material.REVEAL: (11.4, 0.0),
    Material.FRAME: (12.2, 0.05),
    Material.GLASS: (10.0, 0.16),
    Material.SILL: (8.8, 0.03),
    Material.SHOP_GLASS: (13.4, 0.12),
    Material.SHUTTER: (8.2, 0.2),
    Material.DOOR: (12.5, 0.05),
    Material.FASCIA: (10.4, 0.05),
    Material.AWNING: (6.6, 0.03),
    Material.METAL: (7.6, 0.1),
    Material.LAMP: (8.0, 0.05),
    Material.SIGN: (7.2, 0.1),
    Material.SIGNAL: (8.5, 0.05),
    Material.BARK: (11.0, 0.0),
    Material.LEAF: (9.3, 0.02),
    Material.PAINT: (6.6, 0.24),
    Material.CAR_GLASS: (6.9, 0.2),
    Material.TYRE: (8.6, 0.0),
    Material.RIM: (8.0, 0.15),
    Material.HEADLAMP: (8.0, 0.15),
    Material.TAIL_LAMP: (7.6, 0.1),
    Material.PLATE: (6.6, 0.2),
    Material.TRIM: (8.0, 0.03),
    Material.SKIN: (32.0, 0.0),
    Material.HAIR: (23.5, 0.0),
    Material.UPPER: (17.6, 0.0),
    Material.LOWER: (19.0, 0.0),
    Material.SHOE: (13.0, 0.0),
    Material.HEATER: (160.0, 0.0),
    Material.TOWER: (7.0, 0.04),
    Material.FUR: (20.0, 0.0),
}


def sky_heat(rise: Array, turn: Array, seed: int) -> Array:
    """Return the apparent temperature of the sky at an elevation slope and a bearing slope."""
    heat = -34.0 + 38.0 * np.exp(-np.maximum(rise, 0) * 3.4)
    cloud = fbm(turn * 2.6 + 5, rise * 6.0, seed + 60, 5)
    return np.asarray(heat + 5.0 * smoothstep(-0.2, 0.9, cloud) * smoothstep(0, 0.25, rise))


def apparent_heat(street: Street, surfaces: Surfaces, seed: int) -> Array:
    """Return the (H, W) apparent temperature of every sample, through clear air."""
    table = np.zeros((len(Material), 2), np.float32)
    for material, values in _PLAIN.items():
        table[material] = values
    heat: Array = table[surfaces.material, 0]
    mirror = table[surfaces.material, 1]
    rays = surfaces.rays
    rise = rays[..., 1] / np.sqrt(1 + rays[..., 0] ** 2)
    sky = surfaces.material == Material.SKY
    heat[sky] = sky_heat(rise[sky], rays[..., 0][sky], seed)
    _ground(heat, street, surfaces, seed)
    for index, building in street.of(Building):
        _building(heat, surfaces, building, index)
    for index, car in street.of(Car):
        _car(heat, surfaces, car, index)
    for index, person in street.of(Person):
        _person(heat, surfaces, person, index)
    _rest(heat, street, surfaces, seed)

    # Upward-facing and polished surfaces mirror the cold sky.
    solid = ~sky
    normal, view = surfaces.normal[solid], rays[solid]
    view = view / np.sqrt(np.einsum("ij,ij->i", view, view))[:, None]
    facing = np.einsum("ij,ij->i", view, normal)
    up = view[:, 1] - 2 * facing * normal[:, 1]
    around = np.interp(up, [-0.2, 0.02, 0.2, 0.5, 1], [10.5, 8.5, 3.0, -14, -34])
    share = mirror[solid] + 0.25 * mirror[solid] / 0.1 * (1 - np.clip(np.abs(facing), 0, 1)) ** 5
    heat[solid] = mix(heat[solid], around, np.clip(share, 0, 0.7))
    return heat


def _ground(heat: Array, street: Street, surfaces: Surfaces, seed: int) -> None:
    mask = surfaces.where(Material.ROAD)
    points = surfaces.points(mask)
    x, z = points[:, 0], points[:, 2]
    near = smoothstep(26, 6, z)
    road = heat[mask] + 0.8 * fbm(x * 0.5, z * 0.25, seed + 401)
    road += 0.5 * near * fbm(x * 16, z * 16, seed + 402, 3, 0.8)
    tracks = np.exp(-(((np.abs(x - 1.75) - 0.75) / 0.22) ** 2))
    tracks += np.exp(-(((np.abs(x + 1.75) - 0.75) / 0.22) ** 2))
    road += tracks * (0.9 + 0.5 * fbm(x * 2, z * 0.6, seed + 403, 2))
    road -= 0.45 * road_marks(x, z, seed) + 2.2 * wetness(x, z, seed)
    repair = (np.abs(x - 2.3) < 0.9) & (np.abs(z - 7.7) < 1.6)
    road += 0.9 * repair
    seam = np.abs(fbm(x * 0.9, z * 0.5, seed + 204, 5))
    road += 0.7 * smoothstep(0.03, 0.0, seam) * near
    lid = np.hypot(x - 0.35, z - 6.1)
    road = np.where(lid < 0.36, 13.6 + 1.0 * (np.mod(x * 14, 1) < 0.5) - 2 * (lid > 0.33), road)
    # A district-heating pipe under the asphalt, and the dry patch a car has just left.
    pipe = z - 13.0 - 0.5 * x + 0.25 * np.sin(x * 1.3)
    road += 1.9 * np.exp(-((pipe / 0.55) ** 2))
    gone = smoothstep(0.15, -0.15, np.abs(x - 4.5) - 0.85) * smoothstep(
        0.3, -0.3, np.abs(z - 5.2) - 1.9
    )
    road += 2.0 * gone
    for _, car in street.of(Car):
        turned = abs(np.sin(car.yaw)) > 0.7
        half_x, half_z = (car.length / 2, 0.85) if turned else (0.85, car.length / 2)
        dx, dz = np.abs(x - car.place[0]) - half_x, np.abs(z - car.place[1]) - half_z
        under = smoothstep(0.45, -0.35, np.maximum(dx, dz))
        nose = car.to_world((0, 0, car.length * 0.3))
        engine = np.exp(-(((x - nose[0]) ** 2 + (z - nose[2]) ** 2) / 1.3))
        road += under * 2.2 + car.engine * (7.0 * engine + 2.5 * under)
    heat[mask] = road

    mask = surfaces.where(Material.PAVEMENT)
    points = surfaces.points(mask)
    x, z = points[:, 0], points[:, 2]
    row = np.floor(z / 0.6)
    u, v = x / 0.6 + 0.5 * np.mod(row, 2), z / 0.6
    show = smoothstep(26, 9, z)
    paving = heat[mask] + 0.7 * show * (cell_hash(u, v, seed + 404) - 0.5)
    joint = (np.mod(u, 1) < 0.05) | (np.mod(v, 1) < 0.06)
    paving += 0.7 * show * joint + 0.6 * fbm(x * 0.9, z * 0.9, seed + 405)
    wall = np.minimum(np.abs(x + 6.9), np.abs(x - 9.2))
    paving += 2.4 * np.exp(-wall / 0.5)
    heater = np.hypot(x + 5.7, z - 17.2)
    paving += 5.0 * np.exp(-((heater / 1.1) ** 2))
    heat[mask] = paving


def _building(heat: Array, surfaces: Surfaces, building: Building, index: int) -> None:
    own = surfaces.thing == index
    rng = stream(building.seed, 0x4EA7)
    warm = rng.uniform(-0.8, 1.2)
    mask = own & surfaces.where(Material.WALL)
    points, normals = surfaces.points(mask), surfaces.normal[mask]
    u = np.where(np.abs(normals[:, 0]) > 0.5, points[:, 2] - building.span[0], points[:, 0])
    v = points[:, 1]
    wall = heat[mask] + warm + 0.5 * fbm(u * 0.4, v * 0.4, building.seed + 50)
    storey = np.mod(v - building.ground, building.floor)
    # Floor slabs and the radiators below the windows leak through the wall.
    edge = np.minimum(storey, building.floor - storey)
    wall += 1.5 * np.exp(-((edge / 0.16) ** 2))
    bay = np.floor(u / building.bay)
    off = u - (bay + 0.5) * building.bay
    level = np.floor((v - building.ground) / building.floor)
    heated = cell_hash(bay, level + 7, building.seed) < building.lit + 0.3
    below = np.exp(-((off / 0.5) ** 2) - (((storey - 0.42) / 0.28) ** 2))
    wall += 2.4 * below * heated
    if building.brick:
        tone, mortar = brick_pattern(u, v, building.seed + 51)
        wall += grain(surfaces, mask, 9.0) * (0.55 * mortar + 0.6 * (tone - 0.5))
    else:
        wall += 0.25 * fbm(u * 5, v * 5, building.seed + 52, 3)
    wall -= 1.6 * smoothstep(building.height - 1.4, building.height, v)
    heat[mask] = wall

    glass = own & surfaces.where(Material.GLASS)
    room = surfaces.variate[glass]
    heat[glass] += warm + np.where(room < building.lit + 0.3, 2.6, -0.8) + np.mod(room * 31, 1)
    heat[own & surfaces.where(Material.FRAME, Material.REVEAL, Material.SILL)] += warm
    shop = own & surfaces.where(Material.SHOP_GLASS)
    points = surfaces.points(shop)
    heat[shop] += 1.2 * (points[:, 1] - 1.4) + 0.6 * fbm(points[:, 2], points[:, 1], 9, 3)
    band = own & surfaces.where(Material.FASCIA)
    points = surfaces.points(band)
    heat[band] += 1.4 * value_noise(points[:, 2] * 0.7, points[:, 1] * 2, building.seed + 53)
    slats = own & surfaces.where(Material.SHUTTER)
    heat[slats] += 0.8 * np.mod(surfaces.points(slats)[:, 1] / 0.09, 1)


def _car(heat: Array, surfaces: Surfaces, car: Car, index: int) -> None:
    own = surfaces.thing == index
    warmth = car.engine

    def local(*materials: Material) -> tuple[npt.NDArray[np.bool_], Array]:
        mask = own & surfaces.where(*materials)
        return mask, car.to_local(surfaces.points(mask))

    mask, p = local(Material.PAINT)
    bonnet = smoothstep(0.7, 1.5, p[:, 2]) * smoothstep(0.4, 0.8, p[:, 1])
    cabin = smoothstep(1.0, 1.3, p[:, 1]) * smoothstep(1.0, 0.2, p[:, 2])
    heat[mask] += warmth * (16 * bonnet + 2.5 * cabin + 2.0)
    back = np.exp(-(((p[:, 0] - 0.45) ** 2 + (p[:, 1] - 0.35) ** 2) / 0.05))
    heat[mask] += warmth * 10 * back * (p[:, 2] < -1.5)
    mask, p = local(Material.TRIM)
    grille = smoothstep(1.4, 2.0, p[:, 2])
    pipe = np.exp(-(((p[:, 0] - 0.45) ** 2 + (p[:, 1] - 0.28) ** 2) / 0.012)) * (p[:, 2] < -1.5)
    heat[mask] += warmth * (20 * grille + 55 * pipe + 4)
    mask, p = local(Material.CAR_GLASS)
    heat[mask] += warmth * (5 + 2 * np.clip(p[:, 1] - 1.1, 0, 1))
    mask, p = local(Material.TYRE)
    heat[mask] += warmth * 11
    mask, p = local(Material.RIM)
    heat[mask] += warmth * 17
    heat[own & surfaces.where(Material.HEADLAMP)] += 18 * car.lights + 6 * warmth
    heat[own & surfaces.where(Material.TAIL_LAMP)] += 5 * car.lights


def _person(heat: Array, surfaces: Surfaces, person: Person, index: int) -> None:
    own = surfaces.thing == index
    shift = float(stream(index, 0xB0D).uniform(-1.5, 1.5))
    offsets: dict[Material, Callable[[Array, Array], Array]] = {
        # Cheeks and eyes are warmer than the nose; hands lose heat.
        Material.SKIN: lambda p, n: np.where(p[:, 1] < 1.2, -3.5, 1.5 * n + 0.5),
        Material.HAIR: lambda p, n: 1.5 * n - 2.0 * smoothstep(1.62, 1.78, p[:, 1]),
        Material.UPPER: lambda p, n: (
            2.2 * n + 3.2 * smoothstep(1.3, 1.48, p[:, 1]) - (2.0 if person.coat else 0.0)
        ),
        Material.LOWER: lambda p, n: 1.6 * n - 3.0 * smoothstep(0.6, 0.1, p[:, 1]),
        Material.SHOE: lambda _, n: 1.5 * n,
        Material.FUR: lambda p, n: 2.0 * n + 9.0 * smoothstep(0.42, 0.6, p[:, 2]),
    }
    for material, offset in offsets.items():
        mask = own & surfaces.where(material)
        if mask.any():
            p = person.to_local(surfaces.points(mask))
            heat[mask] += shift + offset(p, fbm(p[:, 0] * 8, p[:, 1] * 6, 500 + index, 3))


def _rest(heat: Array, street: Street, surfaces: Surfaces, seed: int) -> None:
    for index, lamp in street.of(Lamp):
        if lamp.on:
            own = surfaces.thing == index
            heat[own & surfaces.where(Material.LAMP)] = 38
            head = own & surfaces.where(Material.METAL)
            heat[head] += (
                13
                * (surfaces.points(head)[:, 1] > lamp.height + 0.03)
                * (np.abs(surfaces.points(head)[:, 0] - lamp.head[0]) < 0.5)
            )
    for index, sign in street.of(Sign):
        mask = (surfaces.thing == index) & surfaces.where(Material.SIGN, Material.SIGNAL)
        p = surfaces.points(mask)
        if sign.kind in ("hotel", "cross"):
            # The tubes are too fine to tell apart; their transformer is not.
            box = np.exp(-((((p[:, 1] - sign.centre[1]) / sign.half[1] + 0.8) / 0.25) ** 2))
            heat[mask] += 5.0 + 7.0 * box
        elif sign.kind in ("signal", "walk"):
            heat[mask] += 3.0 * smoothstep(-0.1, 0.3, p[:, 1] - sign.centre[1])
    leaf = surfaces.where(Material.LEAF)
    heat[leaf] += 1.8 * (surfaces.variate[leaf] - 0.5)
    bark = surfaces.where(Material.BARK)
    p = surfaces.points(bark)
    heat[bark] += 0.7 * fbm(p[:, 0] * 10, p[:, 1] * 4, seed + 406, 3) + 0.9 * smoothstep(
        3, 0.3, p[:, 1]
    )
    tower = surfaces.where(Material.TOWER)
    p = surfaces.points(tower)
    heat[tower] += 2.5 * (np.mod(p[:, 1] / 3.2, 1) < 0.45) + fbm(
        p[:, 0] * 0.1, p[:, 1] * 0.1, seed + 407
    )
