"""Light at night: lamps, headlights and windows, what they reach and the haze between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .car import Car
from .facade import Building
from .noise import Array, smoothstep
from .person import Person
from .street import Lamp, Sign, Street
from .surfaces import Surfaces
from .tree import Tree

Colour = tuple[float, float, float]
SODIUM: Colour = (1.0, 0.62, 0.27)
WARM: Colour = (1.0, 0.74, 0.42)
COOL: Colour = (0.85, 0.93, 1.0)
RED: Colour = (1.0, 0.035, 0.02)
GREEN: Colour = (0.06, 1.0, 0.35)


@dataclass(frozen=True)
class Light:
    """A small light.

    Args:
        place: Position in metres.
        colour: Linear RGB intensity.
        reach: Distance in metres beyond which it does not matter.
        axis: Unit vector it points along, or None for all directions.
        cone: Cosines at which its beam starts to fade and has faded (outer first).
        haze: How much the air around it glows.
        thing: Index of the object it belongs to, which does not shadow it.
    """

    place: tuple[float, float, float]
    colour: Colour
    reach: float
    axis: tuple[float, float, float] | None = None
    cone: tuple[float, float] = (0.0, 1.0)
    haze: float = 1.0
    thing: int = 0

    def beam(self, away: Array) -> Array:
        """Return how much of its light goes along (N, 3) unit vectors away from it."""
        if self.axis is None:
            return np.ones(away.shape[:-1], np.float32)
        return smoothstep(self.cone[0], self.cone[1], away @ np.asarray(self.axis, np.float32))


@dataclass(frozen=True)
class Shade:
    """An ellipsoid that stands in for a thing where it throws a shadow."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    thing: int
    density: float = 1.0


def scaled(colour: Colour, factor: float) -> Colour:
    """Return a colour times a factor."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def street_lights(street: Street) -> list[Light]:
    """Return every light of the street."""
    out: list[Light] = []
    down = (0.0, -1.0, 0.0)
    for index, lamp in street.of(Lamp):
        if lamp.on:
            x, y, z = lamp.head
            out.append(
                Light((x, y - 0.08, z), scaled(SODIUM, 30), 26, down, (0.12, 0.75), 1.0, index)
            )
    for index, car in street.of(Car):
        if not car.lights:
            continue
        nose, tail = car.length / 2 + 0.05, -car.length / 2 - 0.08
        ahead = car.direction((0, -0.045, 1))
        behind = car.direction((0, 0, -1))
        strength = 2.6 if car.braking else 0.5
        for side in (-0.62, 0.62):
            front, rear = car.to_world((side, 0.68, nose)), car.to_world((side, 0.83, tail))
            out.append(Light(front, scaled(COOL, 26), 34, ahead, (0.86, 0.998), 0.35, index))
            out.append(Light(rear, scaled(RED, strength), 7, behind, (-0.2, 0.8), 0.7, index))
    for index, house in street.of(Building):
        if house.shop not in ("cafe", "shop"):
            continue
        tint, strength = (WARM, 2.6) if house.shop == "cafe" else (COOL, 1.1)
        out_of = (-float(house.side), 0.0, 0.0)
        count = max(2, round((house.span[1] - house.span[0]) / 2.4))
        for z in np.linspace(house.span[0] + 0.8, house.span[1] - 0.8, count):
            place = (house.face - house.side * 0.1, 1.7, float(z))
            out.append(Light(place, scaled(tint, strength), 8, out_of, (-0.1, 0.9), 0.0, index))
    tints = {"hotel": scaled(RED, 3.0), "cross": scaled(GREEN, 3.2), "signal": scaled(RED, 1.6),
             "walk": scaled(GREEN, 0.35)}  # fmt: skip
    for index, sign in street.of(Sign):
        if sign.kind in tints:
            x, y, z = sign.centre
            lift = sign.half[1] * 0.6 if sign.kind == "signal" else 0.0
            out.append(
                Light((x, y + lift, z - 0.25), tints[sign.kind], 7, (0, 0, -1), (-0.3, 0.7),
                      0.9, index)
            )  # fmt: skip
    return out


def street_shades(street: Street) -> list[Shade]:
    """Return the stand-ins of everything that throws a shadow worth seeing."""
    out: list[Shade] = []
    for index, car in street.of(Car):
        turned = abs(np.sin(car.yaw)) > 0.7
        for y, high, half, share in ((0.55, 0.42, 1.0, 1.0), (1.0, car.height - 0.95, 0.8, 0.62)):
            length = car.length / 2 * share
            radii = (length, high, half) if turned else (half, high, length)
            out.append(Shade((car.place[0], y, car.place[1]), radii, index))
    for index, person in street.of(Person):
        middle = person.ground + person.height * 0.5
        radii = (0.24, person.height * 0.5, 0.24)
        out.append(Shade((person.place[0], middle, person.place[1]), radii, index))
    for index, tree in street.of(Tree):
        x, z = tree.place
        out.append(Shade((x, 1.4, z), (0.13, 1.6, 0.13), index))
        crown, wide = tree.height * 0.68, tree.height * 0.3
        density = 0.75 if tree.leaves else 0.3
        out.append(Shade((x, crown, z), (wide, wide * 0.8, wide), index, density))
    return out


def shadow(
    points: Array, light: Light, shades: Sequence[Shade], things: npt.NDArray[np.int16]
) -> Array:
    """Return the share of `light` that reaches (N, 3) points of objects `things`."""
    left = np.ones(len(points), np.float32)
    source = np.asarray(light.place, np.float32)
    away = points - source
    square = np.einsum("ij,ij->i", away, away)
    for shade in shades:
        centre = np.asarray(shade.centre, np.float32)
        size = max(shade.radii)
        gap = float(np.linalg.norm(centre - source))
        if shade.thing == light.thing or gap > light.reach + size:
            continue
        # Only points behind the shade, seen from the light, can lie in its shadow.
        narrow = max(1 - (1.5 * size / gap) ** 2, 0.0) if gap > size else 0.0
        along = away @ ((centre - source) / max(gap, 1e-6))
        behind = (along > max(gap - size, 0)) & (along * along > narrow * square)
        behind &= things != shade.thing
        near = np.nonzero(behind)[0]
        if near.size == 0:
            continue
        radii = np.asarray(shade.radii, np.float32)
        start, step = (points[near] - centre) / radii, -away[near] / radii
        t = -np.einsum("ij,ij->i", start, step) / np.einsum("ij,ij->i", step, step)
        t = np.clip(t, 0, 1)
        start += t[:, None] * step
        soft = 0.12 + 0.9 * t
        lit = smoothstep(0, 1, (np.sqrt(np.einsum("ij,ij->i", start, start)) - 1) / soft + 0.5)
        left[near] *= 1 - shade.density * (1 - lit)
    return left


@dataclass
class Look:
    """Appearance of every sample, before any light falls on it.

    Attributes:
        albedo: (H, W, 3) linear share of light that is scattered.
        emission: (H, W, 3) linear light of its own.
        strength: (H, W) share of light that is mirrored head-on.
        rough: (H, W) roughness of that mirror, 0 to 1.
        wrap: (H, W) how far light creeps round the edge of shadow (leaves, skin), 0 to 1.
    """

    albedo: Array
    emission: Array
    strength: Array
    rough: Array
    wrap: Array


def illuminate(
    surfaces: Surfaces, look: Look, lights: Sequence[Light], shades: Sequence[Shade]
) -> tuple[Array, Array]:
    """Return what the lights do to every sample.

    Returns:
        (H, W, 3) irradiance over pi, and (H, W, 3) reflected highlights, linear RGB.
    """
    diffuse = np.zeros((*surfaces.depth.shape, 3), np.float32)
    specular = np.zeros_like(diffuse)
    eye = np.asarray(surfaces.camera.eye, np.float32)
    # The sky is infinitely far, so no light reaches it.
    points = eye + surfaces.rays * surfaces.depth[..., None]
    for light in lights:
        place = np.asarray(light.place, np.float32)
        window = surfaces.camera.window(place - light.reach, place + light.reach)
        offset = place - points[window]
        square = np.einsum("ijk,ijk->ij", offset, offset)
        rows, columns = np.nonzero(square < light.reach**2)
        if rows.size == 0:
            continue
        square = np.maximum(square[rows, columns], 0.02)
        toward = offset[rows, columns] / np.sqrt(square)[:, None]
        at = rows + window[0].start, columns + window[1].start
        normals, wrap = surfaces.normal[at], look.wrap[at]
        facing = np.einsum("ij,ij->i", toward, normals)
        lambert = np.clip((facing + wrap) / (1 + wrap), 0, 1)
        power = light.beam(-toward) * np.clip(1 - square / light.reach**2, 0, 1) ** 2 / square
        useful = np.nonzero(power * lambert > 1e-5)[0]
        if useful.size == 0:
            continue
        at = at[0][useful], at[1][useful]
        power = power[useful] * shadow(points[at], light, shades, surfaces.thing[at])
        power *= lambert[useful]
        colour = np.asarray(light.colour, np.float32)
        diffuse[at] += power[:, None] * colour
        shiny = np.nonzero((look.strength[at] > 0) & (facing[useful] > 0))[0]
        if shiny.size:
            at = at[0][shiny], at[1][shiny]
            view = -surfaces.rays[at]
            view /= np.sqrt(np.einsum("ij,ij->i", view, view))[:, None]
            lobe = _highlight(
                toward[useful[shiny]], view, surfaces.normal[at], look.strength[at], look.rough[at]
            )
            specular[at] += np.minimum(lobe * power[shiny], 60)[:, None] * colour
    return diffuse, specular


def _highlight(toward: Array, view: Array, normals: Array, strength: Array, rough: Array) -> Array:
    """Return the GGX lobe with Karis's mobile approximation of its visibility term (2013)."""
    half = toward + view
    half /= np.sqrt(np.einsum("ij,ij->i", half, half))[:, None] + 1e-6
    across = np.clip(np.einsum("ij,ij->i", half, normals), 0, 1)
    graze = np.clip(np.einsum("ij,ij->i", half, view), 0.02, 1)
    alpha = rough**2
    spread = alpha**2 / (across**2 * (alpha**2 - 1) + 1) ** 2
    fresnel = strength + (1 - strength) * (1 - graze) ** 5
    return np.asarray(fresnel * spread / (4 * graze**2 * (rough + 0.5)), np.float32)


def air_light(surfaces: Surfaces, lights: Sequence[Light], every: int = 4) -> Array:
    """Return the glow of lit haze between the camera and the surfaces, (H, W, 3) / `every`.

    Single scattering by equi-angular sampling along the ray (Kulla and Fajardo, 2012), which
    keeps twelve samples smooth right up to the light.
    """
    rays = surfaces.rays[every // 2 :: every, every // 2 :: every]
    depth = np.minimum(surfaces.depth[every // 2 :: every, every // 2 :: every], 150.0)
    length = np.linalg.norm(rays, axis=-1)
    unit = rays / length[..., None]
    far = depth * length
    eye = np.asarray(surfaces.camera.eye, np.float32)
    glow = np.zeros_like(rays)
    for light in lights:
        if light.haze == 0:
            continue
        source = np.asarray(light.place, np.float32) - eye
        middle = unit @ source
        gap = np.sqrt(np.maximum(source @ source - middle**2, 0.0)) + 0.06
        low, high = np.arctan(-middle / gap), np.arctan((far - middle) / gap)
        total = np.zeros_like(gap)
        count = 12
        for i in range(count):
            along = gap * np.tan(low + (high - low) * ((i + 0.5) / count))
            away = unit * (middle + along)[..., None] - source
            distance = np.linalg.norm(away, axis=-1, keepdims=True) + 1e-4
            thin = np.exp(-(distance[..., 0] + np.maximum(middle + along, 0)) * 0.02)
            total += light.beam(away / distance) * thin
        total *= (high - low) / count / gap
        glow += (total * light.haze)[..., None] * np.asarray(light.colour, np.float32)
    return glow
