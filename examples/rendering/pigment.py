"""Colours and gloss of the materials of the street in visible light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .car import Car
from .facade import Building, lettering
from .lighting import GREEN, RED, Look
from .noise import cell_hash, fbm, mix, smoothstep, value_noise
from .person import Person
from .rooms import window_light
from .street import Sign, Street
from .surfaces import Material, Surfaces
from .textures import brick_pattern, grain, road_marks, wetness

# Linear albedo, reflection head-on, roughness and wrap of every plain material.
_PLAIN: dict[Material, tuple[tuple[float, float, float], float, float, float]] = {
    Material.ROAD: ((0.05, 0.05, 0.052), 0.03, 0.42, 0.0),
    Material.PAVEMENT: ((0.15, 0.145, 0.14), 0.02, 0.55, 0.0),
    Material.KERB: ((0.24, 0.235, 0.225), 0.02, 0.5, 0.0),
    Material.WALL: ((0.3, 0.28, 0.25), 0.0, 1.0, 0.0),
    Material.SIDE_WALL: ((0.12, 0.09, 0.08), 0.0, 1.0, 0.0),
    Material.REVEAL: ((0.22, 0.2, 0.18), 0.0, 1.0, 0.0),
    Material.FRAME: ((0.4, 0.39, 0.36), 0.03, 0.5, 0.0),
    Material.GLASS: ((0.01, 0.011, 0.013), 0.0, 0.1, 0.0),
    Material.SHOP_GLASS: ((0.01, 0.01, 0.01), 0.0, 0.1, 0.0),
    Material.SILL: ((0.36, 0.34, 0.31), 0.0, 1.0, 0.0),
    Material.SHUTTER: ((0.075, 0.08, 0.085), 0.05, 0.5, 0.0),
    Material.DOOR: ((0.07, 0.04, 0.03), 0.04, 0.4, 0.0),
    Material.FASCIA: ((0.03, 0.05, 0.05), 0.03, 0.4, 0.0),
    Material.AWNING: ((0.28, 0.05, 0.04), 0.0, 1.0, 0.5),
    Material.METAL: ((0.06, 0.065, 0.065), 0.08, 0.45, 0.0),
    Material.LAMP: ((0.5, 0.5, 0.5), 0.0, 1.0, 0.0),
    Material.SIGN: ((0.2, 0.2, 0.2), 0.03, 0.4, 0.0),
    Material.SIGNAL: ((0.015, 0.015, 0.015), 0.04, 0.4, 0.0),
    Material.BARK: ((0.085, 0.07, 0.055), 0.0, 1.0, 0.1),
    Material.LEAF: ((0.1, 0.11, 0.03), 0.012, 0.7, 0.7),
    Material.PAINT: ((0.1, 0.1, 0.1), 0.05, 0.16, 0.0),
    Material.CAR_GLASS: ((0.008, 0.009, 0.01), 0.06, 0.1, 0.0),
    Material.TYRE: ((0.018, 0.018, 0.018), 0.02, 0.6, 0.0),
    Material.RIM: ((0.3, 0.3, 0.31), 0.3, 0.3, 0.0),
    Material.HEADLAMP: ((0.35, 0.36, 0.38), 0.1, 0.2, 0.0),
    Material.TAIL_LAMP: ((0.22, 0.01, 0.01), 0.06, 0.2, 0.0),
    Material.PLATE: ((0.55, 0.55, 0.5), 0.02, 0.5, 0.0),
    Material.TRIM: ((0.02, 0.02, 0.021), 0.03, 0.5, 0.0),
    Material.SKIN: ((0.36, 0.23, 0.17), 0.02, 0.5, 0.25),
    Material.HAIR: ((0.03, 0.02, 0.015), 0.03, 0.5, 0.1),
    Material.UPPER: ((0.03, 0.03, 0.03), 0.0, 1.0, 0.15),
    Material.LOWER: ((0.02, 0.022, 0.03), 0.0, 1.0, 0.15),
    Material.SHOE: ((0.02, 0.015, 0.012), 0.03, 0.4, 0.0),
    Material.HEATER: ((0.1, 0.1, 0.1), 0.1, 0.4, 0.0),
    Material.TOWER: ((0.08, 0.08, 0.09), 0.0, 1.0, 0.0),
    Material.FUR: ((0.05, 0.035, 0.02), 0.0, 1.0, 0.25),
}


def pigment(street: Street, surfaces: Surfaces, seed: int) -> Look:
    """Return how the materials of the street look in visible light."""
    size = len(Material)
    albedo, numbers = np.zeros((size, 3), np.float32), np.zeros((size, 3), np.float32)
    for material, (colour, strength, rough, wrap) in _PLAIN.items():
        albedo[material], numbers[material] = colour, (strength, rough, wrap)
    kind = surfaces.material
    out = Look(
        albedo[kind],
        np.zeros((*kind.shape, 3), np.float32),
        numbers[kind, 0],
        numbers[kind, 1],
        numbers[kind, 2],
    )
    _road(out, surfaces, seed)
    _pavement(out, surfaces, seed)
    for index, building in street.of(Building):
        _building(out, surfaces, building, index)
    for index, car in street.of(Car):
        _car(out, surfaces, car, index)
    for index, person in street.of(Person):
        _person(out, surfaces, person, index)
    for index, sign in street.of(Sign):
        _sign(out, surfaces, sign, index)
    _rest(out, surfaces, seed)
    return out


def _road(out: Look, surfaces: Surfaces, seed: int) -> None:
    mask = surfaces.where(Material.ROAD)
    points = surfaces.points(mask)
    x, z = points[:, 0], points[:, 2]
    near = smoothstep(24, 5, z)
    tone = (
        1
        + 0.3 * fbm(x * 0.8, z * 0.35, seed + 202)
        + 0.35 * near * fbm(x * 24, z * 24, seed + 203, 3, 0.8)
    )
    tracks = np.exp(-(((np.abs(x - 1.75) - 0.75) / 0.28) ** 2)) * (x > 0)
    tracks += np.exp(-(((np.abs(x + 1.75) - 0.75) / 0.28) ** 2)) * (x < 0)
    tone *= 1 - 0.14 * tracks
    repair = (np.abs(x - 2.3) < 0.9) & (np.abs(z - 7.7) < 1.6)
    tone = np.where(repair, tone * 0.72, tone)
    crack = np.abs(fbm(x * 0.9, z * 0.5, seed + 204, 5))
    tone *= 1 - 0.45 * smoothstep(0.03, 0.0, crack) * smoothstep(16, 8, z)
    lid = np.hypot(x - 0.35, z - 6.1)
    pattern = 0.6 + 0.25 * (np.mod(x * 14, 1) < 0.5) * (np.mod(z * 14, 1) < 0.5)
    tone = np.where(lid < 0.36, np.where(lid > 0.33, 0.35, pattern), tone)
    wet = wetness(x, z, seed)
    colour = out.albedo[mask] * (np.maximum(tone, 0.15) * (1 - 0.45 * wet))[:, None]
    paint = road_marks(x, z, seed)[:, None] * 0.8
    out.albedo[mask] = mix(colour, np.array([0.42, 0.42, 0.39]), paint)
    out.rough[mask] = 0.5 - 0.22 * wet + 0.05 * near * fbm(x * 9, z * 9, seed + 205, 2)
    out.strength[mask] = 0.022 + 0.02 * wet
    bump = 0.03 * near * (1 - wet)
    tilt = np.stack(
        [bump * fbm(x * 30, z * 30, seed + 206, 2), np.ones_like(x),
         bump * fbm(x * 30, z * 30, seed + 207, 2)], axis=1,
    )  # fmt: skip
    surfaces.normal[mask] = tilt / np.linalg.norm(tilt, axis=1, keepdims=True)


def _pavement(out: Look, surfaces: Surfaces, seed: int) -> None:
    mask = surfaces.where(Material.PAVEMENT)
    points = surfaces.points(mask)
    x, z = points[:, 0], points[:, 2]
    row = np.floor(z / 0.6)
    u, v = x / 0.6 + 0.5 * np.mod(row, 2), z / 0.6
    show = smoothstep(30, 10, z)
    tone = 1 + 0.35 * show * (cell_hash(u, v, seed + 220) - 0.5)
    joint = (np.mod(u, 1) < 0.04) | (np.mod(v, 1) < 0.05)
    tone = np.where(joint, tone * (1 - 0.5 * show), tone)
    tone += 0.25 * fbm(x * 2, z * 2, seed + 221) + 0.15 * show * fbm(x * 30, z * 30, seed + 222, 2)
    out.albedo[mask] *= np.maximum(tone, 0.2)[:, None]
    out.rough[mask] += 0.1 * fbm(x, z, seed + 223, 3)
    mask = surfaces.where(Material.KERB)
    points = surfaces.points(mask)
    tone = 1 + 0.2 * fbm(points[:, 0] * 12, points[:, 2] * 12, seed + 224, 3)
    joint = np.mod(points[:, 2], 1.0) < 0.025
    tone = np.where(joint, tone * 0.5, tone) * (0.55 + 0.45 * smoothstep(0.0, 0.1, points[:, 1]))
    out.albedo[mask] *= tone[:, None]


def _building(out: Look, surfaces: Surfaces, building: Building, index: int) -> None:
    own = surfaces.thing == index
    mask = own & surfaces.where(Material.WALL)
    points, normals = surfaces.points(mask), surfaces.normal[mask]
    u = np.where(np.abs(normals[:, 0]) > 0.5, points[:, 2], points[:, 0])
    v = points[:, 1]
    grime = 0.22 * fbm(u * 0.5, v * 0.35, building.seed + 40)
    grime += 0.16 * fbm(u * 3.0, v * 0.25, building.seed + 41, 3)
    grime -= 0.25 * smoothstep(1.2, 0.0, v)
    colour = np.asarray(building.colour, np.float32) * (1 + grime)[:, None]
    if building.brick:
        tone, mortar = brick_pattern(u, v, building.seed + 42)
        show = grain(surfaces, mask, 9.0)
        colour = colour * (1 + 0.5 * show * (tone - 0.5))[:, None]
        colour = mix(colour, np.array([0.2, 0.19, 0.17]), (show * mortar * 0.75)[:, None])
    else:
        colour *= (1 + 0.12 * grain(surfaces, mask, 8.0) * fbm(u * 7, v * 7, building.seed + 43))[
            :, None
        ]
    out.albedo[mask] = colour

    glass, light = window_light(surfaces, building, index)
    out.emission[glass] = light
    out.albedo[own & surfaces.where(Material.REVEAL)] = np.asarray(building.colour) * 0.8
    shutter = own & surfaces.where(Material.SHUTTER)
    points = surfaces.points(shutter)
    slat = 0.55 + 0.7 * np.mod(points[:, 1] / 0.12, 1)
    spray = smoothstep(
        0.2, 0.35, fbm(points[:, 2] * 0.9, points[:, 1] * 1.3, building.seed + 44, 3)
    )
    base = out.albedo[shutter] * slat[:, None]
    out.albedo[shutter] = mix(base, np.array([0.03, 0.1, 0.16]), spray[:, None] * 0.8)
    _fascia(out, surfaces, building, own)


def _fascia(out: Look, surfaces: Surfaces, building: Building, own: npt.NDArray[np.bool_]) -> None:
    band = own & surfaces.where(Material.FASCIA)
    points, normals = surfaces.points(band), surfaces.normal[band]
    texts = {"cafe": ("CAFE LUNA", 0.42, 1.9), "shop": ("BOOKS", 0.4, 2.2)}
    text, height, start = texts.get(building.shop, ("", 0.4, 0.0))
    # Letters run with the reader's eye: away from the camera on the left, toward it on the right.
    along = points[:, 2] - building.span[0]
    if building.side > 0:
        along = building.span[1] - points[:, 2]
    gap = lettering(text, along, points[:, 1], (start, 3.03), height)
    gap = np.where(np.abs(normals[:, 0]) > 0.5, gap, 1e3)
    cafe = building.shop == "cafe"
    tint = np.array([1.0, 0.55, 0.2] if cafe else [0.55, 0.75, 1.0], np.float32)
    tube = smoothstep(0.045, 0.02, gap)
    power = tube * 3.2 + 0.3 * np.exp(-gap / 0.09)
    out.emission[band] = tint * (power * (1.0 if cafe else 0.55))[:, None]


def _car(out: Look, surfaces: Surfaces, car: Car, index: int) -> None:
    own = surfaces.thing == index
    out.albedo[own & surfaces.where(Material.PAINT)] = car.colour
    plate = own & surfaces.where(Material.PLATE)
    local = car.to_local(surfaces.points(plate))
    ink = cell_hash(local[:, 0] / 0.022, local[:, 1] / 0.02, 5 + index) < 0.5
    ink &= (np.abs(np.mod(local[:, 0] / 0.065, 1) - 0.5) < 0.36) & (np.abs(local[:, 0]) < 0.23)
    ink &= np.abs(local[:, 1] - (0.62 if local.size and local[0, 2] < 0 else 0.495)) < 0.035
    out.albedo[plate] = np.where(ink[:, None], 0.03, out.albedo[plate])
    if car.lights:
        out.emission[plate] = out.albedo[plate] * 0.35
        tail = own & surfaces.where(Material.TAIL_LAMP)
        local = car.to_local(surfaces.points(tail))
        bars = 0.6 + 0.4 * np.cos(local[:, 1] * 160)
        glow = (5.0 if car.braking else 1.3) * bars
        core = np.exp(-(((np.abs(local[:, 0]) - 0.66) / 0.1) ** 2))
        tint = np.array(RED, np.float32) + np.array([0, 0.11, 0.06]) * core[:, None]
        out.emission[tail] = tint * glow[:, None]
        head = own & surfaces.where(Material.HEADLAMP)
        out.emission[head] = np.array([9.0, 10.0, 11.0])
        if car.braking:
            third = own & surfaces.where(Material.CAR_GLASS)
            local = car.to_local(surfaces.points(third))
            strip = (
                (np.abs(local[:, 0]) < 0.2) & (local[:, 1] > car.height - 0.2) & (local[:, 2] < 0)
            )
            out.emission[third] = np.where(strip[:, None], np.array(RED) * 4, 0)


def _person(out: Look, surfaces: Surfaces, person: Person, index: int) -> None:
    own = surfaces.thing == index
    for material, colour in ((Material.UPPER, person.upper), (Material.LOWER, person.lower)):
        mask = own & surfaces.where(material)
        local = person.to_local(surfaces.points(mask))
        folds = 1 + 0.45 * fbm(local[:, 0] * 9, local[:, 1] * 6, 300 + index, 3)
        out.albedo[mask] = np.asarray(colour) * folds[:, None]


def _sign(out: Look, surfaces: Surfaces, sign: Sign, index: int) -> None:
    own = (surfaces.thing == index) & surfaces.where(Material.SIGN, Material.SIGNAL)
    points = surfaces.points(own)
    x, y = points[:, 0] - sign.centre[0], points[:, 1] - sign.centre[1]
    if sign.kind == "hotel":
        gap = lettering("HOTEL", x, y, (-0.17, 1.2), 0.5, column=True)
        edge = np.minimum(sign.half[0] - np.abs(x), sign.half[1] - np.abs(y))
        out.albedo[own] = (0.03, 0.012, 0.015)
        tube = smoothstep(0.05, 0.02, gap) * 5 + 0.7 * np.exp(-gap / 0.08)
        rim = smoothstep(0.03, 0.01, np.abs(edge - 0.06)) * 1.6
        pink, blue = np.array([1.0, 0.12, 0.16]), np.array([0.25, 0.45, 1.0])
        out.emission[own] = pink * tube[:, None] + blue * rim[:, None]
    elif sign.kind == "cross":
        arm = np.minimum(np.maximum(np.abs(x) - 0.42, np.abs(y) - 0.15),
                         np.maximum(np.abs(y) - 0.42, np.abs(x) - 0.15))  # fmt: skip
        rings = 0.55 + 0.45 * np.cos(arm * 60)
        power = smoothstep(0.01, -0.01, arm) * rings * 3.4
        out.emission[own] = np.array(GREEN) * power[:, None]
    elif sign.kind == "disc":
        radius = np.hypot(x, y) / sign.half[0]
        bar = (np.abs(y) < 0.055) & (np.abs(x) < 0.2)
        red = np.where(((radius < 0.94) & ~bar)[:, None], (0.42, 0.015, 0.02), (0.6, 0.6, 0.58))
        out.albedo[own] = red
    else:
        # Colour, height and brightness of each lens.
        lenses = [(RED, 0.3, 7.0), ((1.0, 0.5, 0.05), 0.0, 0.02), (GREEN, -0.3, 0.02)]
        if sign.kind == "walk":
            lenses = [(RED, 0.12, 0.02), (GREEN, -0.12, 3.5)]
        size = 0.115 if sign.kind == "signal" else 0.08
        front = surfaces.normal[own][:, 2] < -0.5
        for tint, lift, power in lenses:
            lens = smoothstep(size, size * 0.85, np.hypot(x, y - lift)) * front
            out.emission[own] += np.array(tint) * (lens * power)[:, None]


def _rest(out: Look, surfaces: Surfaces, seed: int) -> None:
    leaf = surfaces.where(Material.LEAF)
    turn = surfaces.variate[leaf][:, None]
    out.albedo[leaf] = mix(np.array([0.07, 0.1, 0.025]), np.array([0.26, 0.14, 0.03]), turn**2)
    bark = surfaces.where(Material.BARK)
    points = surfaces.points(bark)
    out.albedo[bark] *= (1 + 0.5 * fbm(points[:, 0] * 14, points[:, 1] * 5, seed + 230, 3))[:, None]
    cloth = surfaces.where(Material.AWNING)
    stripe = np.mod(surfaces.points(cloth)[:, 2] / 0.36, 1) < 0.5
    out.albedo[cloth] = np.where(stripe[:, None], (0.3, 0.04, 0.035), (0.5, 0.46, 0.4))
    heater = surfaces.where(Material.HEATER)
    out.emission[heater] = (1.5, 0.32, 0.05)
    tower = surfaces.where(Material.TOWER)
    points, normals = surfaces.points(tower), surfaces.normal[tower]
    u = np.where(np.abs(normals[:, 0]) > 0.5, points[:, 2], points[:, 0])
    pane = (np.mod(u / 1.6, 1) < 0.6) & (np.mod(points[:, 1] / 3.2, 1) < 0.5)
    chosen = cell_hash(u / 1.6, points[:, 1] / 3.2, seed + 231)
    tone = value_noise(u * 0.1, points[:, 1] * 0.1, seed + 232)
    glow = np.where(pane & (chosen < 0.3), 0.25 + 0.9 * np.mod(chosen * 31, 1), 0) * (0.4 + tone)
    out.emission[tower] = np.array([1.0, 0.78, 0.5]) * glow[:, None]
