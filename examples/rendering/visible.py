"""The street as a colour camera sees it at night."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from .camera import Camera
from .filters import blur, enlarge, shrink
from .lighting import SODIUM, Light, Shade, air_light, illuminate, street_lights, street_shades
from .noise import Array, fbm, mix, smoothstep, stream
from .pigment import pigment
from .street import Lamp, Street
from .surfaces import Material, Surfaces
from .textures import wetness

_EXPOSURE = 1.9


def render_visible(street: Street, surfaces: Surfaces, seed: int) -> npt.NDArray[np.uint8]:
    """Return the visible picture, (H/2, W/2, 3) RGB, of the street behind `surfaces`."""
    return render_exposures(street, surfaces, seed, (1.0,))[0]


def render_exposures(
    street: Street, surfaces: Surfaces, seed: int, exposures: Sequence[float]
) -> list[npt.NDArray[np.uint8]]:
    """Return the visible picture for each of several exposures, times that of `render_visible`."""
    lights, shades = street_lights(street), street_shades(street)
    mirror = _mirror(street, surfaces.camera, lights, shades, seed)
    light = _radiance(street, surfaces, lights, shades, seed, mirror)
    return [_expose(light, seed, exposure) for exposure in exposures]


def sky_light(rays: Array, seed: int) -> Array:
    """Return the glow of the night sky along (..., 3) rays with z = 1."""
    rise = rays[..., 1] / np.sqrt(1 + rays[..., 0] ** 2)
    up = smoothstep(-0.05, 0.55, rise)[..., None]
    low, high = np.array([0.062, 0.042, 0.034]), np.array([0.006, 0.0085, 0.018])
    sky = mix(low, high, up**0.7)
    cloud = fbm(rays[..., 0] * 3.0 + 5, rise * 7.0, seed + 60, 5)
    return np.asarray(sky * (1 + 0.35 * cloud * (1 - 0.3 * up[..., 0]))[..., None], np.float32)


def _around(direction: Array, seed: int) -> Array:
    """Return the light that a polished surface reflects from (N, 3) unit directions."""
    turn, rise = direction[:, 0] * 2.2 + direction[:, 2] * 1.3, direction[:, 1]
    sky = mix(np.array([0.045, 0.036, 0.034]), np.array([0.012, 0.015, 0.026]),
              smoothstep(0.1, 0.8, rise)[:, None])  # fmt: skip
    patches = smoothstep(0.15, 0.8, fbm(turn * 3, rise * 5, seed + 70, 3))
    band = smoothstep(0.5, 0.15, np.abs(rise - 0.18)) * patches
    ground = smoothstep(0.0, -0.25, rise)[:, None]
    walls = sky + np.array([0.22, 0.14, 0.07]) * band[:, None]
    return mix(walls, np.array([0.02, 0.016, 0.013]), ground)


def _radiance(
    street: Street,
    surfaces: Surfaces,
    lights: list[Light],
    shades: list[Shade],
    seed: int,
    mirror: Array | None = None,
) -> Array:
    """Return (H, W, 3) linear light; `mirror` is what a wet road would reflect."""
    look = pigment(street, surfaces, seed)
    solid = surfaces.material != Material.SKY
    light = sky_light(surfaces.rays, seed)
    diffuse, specular = illuminate(surfaces, look, lights, shades)
    points, normals = surfaces.points(solid), surfaces.normal[solid]
    colour = look.albedo[solid] * (diffuse[solid] + _ambient(points, normals, shades))
    colour += specular[solid]
    view = surfaces.rays[solid] / np.linalg.norm(surfaces.rays[solid], axis=1, keepdims=True)
    shiny = np.nonzero(np.isin(surfaces.material[solid], _POLISHED))[0]
    facing = np.einsum("ij,ij->i", view[shiny], normals[shiny])
    bounced = view[shiny] - 2 * facing[:, None] * normals[shiny]
    share = 0.05 + 0.95 * (1 - np.clip(np.abs(facing), 0, 1)) ** 5
    colour[shiny] += _around(bounced, seed) * share[:, None]
    light[solid] = colour + look.emission[solid]
    for index, lamp in street.of(Lamp):
        if lamp.on:
            head = (surfaces.thing == index) & surfaces.where(Material.LAMP)
            light[head] = np.asarray(SODIUM) * 26
    if mirror is not None:
        _reflect(light, surfaces, mirror, seed)
    return _haze(light, surfaces, lights)


_POLISHED = np.array([Material.PAINT, Material.CAR_GLASS, Material.GLASS, Material.SHOP_GLASS,
                      Material.RIM, Material.HEADLAMP, Material.TAIL_LAMP])  # fmt: skip


def _ambient(points: Array, normals: Array, shades: list[Shade]) -> Array:
    """Return light from the sky and from walls all round, less under cars and at feet."""
    up = 0.5 + 0.5 * normals[:, 1]
    sky = np.array([0.016, 0.018, 0.026]) * up[:, None]
    bounce = np.array([0.022, 0.015, 0.009]) * (1.1 - 0.5 * up)[:, None]
    low = points[:, 1] < 0.4
    left = np.ones(len(points), np.float32)
    ground = points[low]
    closed = np.ones(len(ground), np.float32)
    for shade in shades:
        if shade.centre[1] < 1.2:
            away = (ground[:, [0, 2]] - np.array([shade.centre[0], shade.centre[2]])) / (
                np.array([shade.radii[0], shade.radii[2]]) * 1.05
            )
            closed *= 0.12 + 0.88 * smoothstep(0.7, 1.4, np.linalg.norm(away, axis=1))
    left[low] = closed
    return np.asarray((sky + bounce) * left[:, None], np.float32)


def _mirror(
    street: Street, camera: Camera, lights: list[Light], shades: list[Shade], seed: int
) -> Array:
    """Return what the road would show if it were a mirror: the street from under the ground."""
    x, y, z = camera.eye
    small = Camera(
        camera.width // 4, camera.height // 4, camera.focal / 4,
        (camera.horizon[0] / 4, camera.horizon[1] / 4), (x, -y, z),
    )  # fmt: skip
    seen = street.surfaces(small, ground=False)
    return _radiance(street, seen, lights, shades, seed)


def _reflect(light: Array, surfaces: Surfaces, mirror: Array, seed: int) -> None:
    """Add the reflection in the wet road to `light`."""
    road = surfaces.where(Material.ROAD)
    rows, columns = np.nonzero(road)
    points = surfaces.points(road)
    wet = wetness(points[:, 0], points[:, 2], seed)
    scale = surfaces.camera.height / mirror.shape[0]
    ripple = fbm(points[:, 0] * 5, points[:, 2] * 2.5, seed + 80, 3)
    row = (2 * surfaces.camera.horizon[1] - rows - 0.5) / scale - 0.5 + ripple * (2.5 - wet)
    column = (columns + 0.5) / scale - 0.5 + 0.5 * ripple * (1 - wet)
    capped = np.minimum(mirror, 7.0)
    sharp = blur(capped, 0.7, 2.5)
    rough = blur(capped, 2.2, 13)
    shape = road.shape
    maps = np.zeros((2, *shape), np.float32)
    maps[0][road], maps[1][road] = column, row
    a = cv2.remap(sharp, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[road]
    b = cv2.remap(rough, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[road]
    ray = surfaces.rays[road]
    graze = np.clip(-ray[:, 1] / np.linalg.norm(ray, axis=1), 0, 1)
    fresnel = 0.03 + 0.97 * (1 - graze) ** 5
    share = fresnel * (0.22 + 0.6 * wet)
    light[road] += mix(b, a, (wet**1.5)[:, None]) * share[:, None]


def _haze(light: Array, surfaces: Surfaces, lights: list[Light]) -> Array:
    """Return the picture through night air: far things fade into the glow of the town."""
    depth = np.minimum(surfaces.depth, 400.0)
    clear = np.exp(-depth * 0.006)
    clear[surfaces.material == Material.SKY] = 1
    veil = np.array([0.05, 0.036, 0.028], np.float32)
    glow = air_light(surfaces, lights)
    glow = enlarge(glow, light.shape[1], light.shape[0])
    return np.asarray(mix(veil, light, clear[..., None]) + glow * 0.0034, np.float32)


def _expose(light: Array, seed: int, exposure: float = 1.0) -> npt.NDArray[np.uint8]:
    """Return the 8-bit picture a small camera makes of linear light at twice the size."""
    height, width = light.shape[0] // 2, light.shape[1] // 2
    soft = shrink(np.minimum(light, 40), width, height)
    bright = np.minimum(soft, 14)
    bloom = np.zeros_like(bright)
    for sigma, weight in ((1.6, 0.10), (5.0, 0.045), (14.0, 0.02), (42.0, 0.011)):
        bloom += weight * blur(bright, sigma)
    over = np.maximum(bright - 5.0, 0)
    for angle in (0.35, 1.92):
        bloom += 0.10 * cv2.filter2D(over, -1, _streak(41, angle))
    scene = (soft * 0.82 + bloom) * (_EXPOSURE * exposure)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    scene *= (1 - 0.27 * smoothstep(0.3, 1.6, x * x + y * y))[..., None]
    rng = stream(seed, 0xCA3)
    shot = rng.normal(0, 1, (height, width, 3)).astype(np.float32)
    scene += shot * np.sqrt(np.maximum(scene, 0) * 0.00022 + 0.0000035)
    picture = 1 - np.exp(-np.maximum(scene, 0) * 1.15)
    picture = np.where(picture < 0.0031308, picture * 12.92, 1.055 * picture ** (1 / 2.4) - 0.055)
    blotch = blur(rng.normal(0, 1, (height, width, 3)), 1.6)
    picture = picture + blotch * 0.012 * (1 - 0.6 * picture)
    return np.asarray(np.clip(np.round(picture * 255), 0, 255), np.uint8)


def _streak(size: int, angle: float) -> Array:
    """Return a kernel for the faint rays a lens draws through bright points."""
    y, x = np.mgrid[-(size // 2) : size // 2 + 1, -(size // 2) : size // 2 + 1].astype(np.float32)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    kernel = np.exp(-((across / 0.6) ** 2) - np.abs(along) / (size * 0.16))
    return np.asarray(kernel / kernel.sum(), np.float32)
