"""A desk in two focal planes: things at several distances, each drawn sharp, then through a lens.

Every thing is a layer with a distance. A lens that is focused on one distance blurs a layer at
another with a disc, and layers in front cover those behind with their blurred outlines.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from .filters import blur, shrink
from .noise import Array, fbm, mix, smoothstep, stream

WIDTH, HEIGHT = 640, 480
# Rendered at twice the size, as the street is.
_SCALE = 2
# Diameter of the disc, in pixels of the picture, by the difference of 1 / distance (metres).
_APERTURE = 9.0
NEAR, FAR = 0.45, 1.9

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Layer:
    """A thing on the desk: light (H, W, 3), how much it covers (H, W), and its distance."""

    light: Array
    cover: Array
    distance: float


def render_desk(focus: float, seed: int) -> Picture:
    """Return the desk as a lens focused on a distance in metres shows it, (480, 640, 3)."""
    height, width = HEIGHT * _SCALE, WIDTH * _SCALE
    light = np.zeros((height, width, 3), np.float32)
    for layer in _layers(height, width, seed):
        radius = _APERTURE * _SCALE * abs(1 / layer.distance - 1 / focus)
        cover = _through_lens(layer.cover, radius)
        # What it covers goes through the lens together with how much: no black at the rim.
        seen = _through_lens(layer.light * layer.cover[..., None], radius)
        light = seen + (1 - cover)[..., None] * light
    small = shrink(light, WIDTH, HEIGHT)
    shot = stream(seed, round(100 * focus)).normal(0, 0.004, small.shape)
    levels = np.clip(small + shot, 0, 1) ** (1 / 2.2)
    return np.asarray(np.rint(255 * levels), np.uint8)


def _through_lens(picture: Array, radius: float) -> Array:
    if radius < 0.5:
        return picture
    half = int(np.ceil(radius)) + 1
    distance = np.hypot(*np.mgrid[-half : half + 1, -half : half + 1])
    disc = np.clip(radius + 0.5 - distance, 0, 1)
    kernel = (disc / disc.sum()).astype(np.float32)
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT), np.float32)


def _layers(height: int, width: int, seed: int) -> list[Layer]:
    """Return the things of the desk from the back to the front."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    return [
        _wall(x, y, seed),
        _books(x, y, seed),
        *_desk(x, y, seed),
        _cup(x, y, seed),
        _card(x, y, seed),
    ]


def _lit(colour: Array, x: Array, y: Array) -> Array:
    """Return colours in the light of a lamp at the upper left."""
    fall = 1.25 - 0.75 * np.hypot(x - 0.25, y - 0.1)
    return np.asarray(colour * np.clip(fall, 0.15, 2)[..., None], np.float32)


def _wall(x: Array, y: Array, seed: int) -> Layer:
    grain = fbm(x * 60, y * 45, seed + 1, 5)
    paper = mix(np.array([0.42, 0.36, 0.27]), np.array([0.30, 0.33, 0.29]),
                smoothstep(-0.1, 0.1, np.sin(x * 95) * np.sin(y * 70))[..., None])  # fmt: skip
    return Layer(_lit(paper * (1 + 0.2 * grain)[..., None], x, y), np.ones_like(x), 2.4)


def _books(x: Array, y: Array, seed: int) -> Layer:
    """A row of books, with titles on their spines."""
    light = np.zeros((*x.shape, 3), np.float32)
    cover = np.zeros_like(x)
    rng = stream(seed, 11)
    left = 0.06
    while left < 0.94:
        wide, top = rng.uniform(0.035, 0.075), rng.uniform(0.16, 0.27)
        colour = rng.uniform(0.03, 0.55, 3) * np.array([1.0, 0.8, 0.7])
        inside = (x >= left) & (x < left + wide) & (y > top) & (y < 0.62)
        across = (x - left) / wide
        round_ = 0.6 + 0.6 * np.sin(np.pi * np.clip(across, 0, 1))
        bands = ((np.abs(y - top - 0.04) < 0.006) | (np.abs(y - 0.57) < 0.008)).astype(np.float32)
        letters = (np.sin(y * 900 + 40 * left) > 0.1) & (np.abs(across - 0.5) < 0.17)
        letters &= (y > top + 0.08) & (y < top + 0.24) & (np.sin(y * 143) > -0.6)
        ink = np.maximum(bands, letters.astype(np.float32))[..., None]
        spine = mix(colour, np.array([0.75, 0.66, 0.42]), ink) * round_[..., None]
        light[inside] = spine[inside]
        cover[inside] = 1
        left += wide + rng.uniform(0, 0.004)
    cloth = 1 + 0.25 * fbm(x * 220, y * 200, seed + 2, 3)
    return Layer(_lit(light * cloth[..., None], x, y), cover, FAR)


def _desk(x: Array, y: Array, seed: int) -> list[Layer]:
    """The desk's top, in strips of their own distance."""
    horizon, strips = 0.58, 16
    rows = np.maximum(y - 0.36, 1e-3)
    depth = 0.42 / rows
    grain = fbm(x / rows * 1.1 + 3, depth * 26, seed + 3, 5)
    rings = np.sin(26 * x / rows * 0.5 + 5 * fbm(x / rows * 0.5, depth * 2.2, seed + 4, 3))
    wood = mix(np.array([0.34, 0.18, 0.08]), np.array([0.52, 0.31, 0.15]),
               (0.5 + 0.3 * rings + 0.55 * grain)[..., None])  # fmt: skip
    light = _lit(np.clip(wood, 0.01, 1), x, y)
    edges = np.linspace(horizon, 1.0, strips + 1)
    layers = []
    for top, bottom in pairwise(edges):
        # A strip reaches down to the picture's edge: the next one covers the rest.
        cover = (y >= top).astype(np.float32)
        layers.append(Layer(light, cover, float(0.42 / (0.5 * (top + bottom) - 0.36))))
    return layers


def _cup(x: Array, y: Array, seed: int) -> Layer:
    """A striped cup in the middle of the desk."""
    across = (x - 0.64) / 0.105
    body = (np.abs(across) < 1) & (y > 0.36 - 0.02 * np.sqrt(np.clip(1 - across**2, 0, 1)))
    body &= y < 0.72 + 0.03 * np.sqrt(np.clip(1 - across**2, 0, 1))
    angle = np.arcsin(np.clip(across, -1, 1))
    stripes = smoothstep(-0.2, 0.2, np.sin(angle * 14) + 0.8 * np.sin(y * 160))
    glaze = mix(np.array([0.75, 0.72, 0.66]), np.array([0.06, 0.17, 0.34]), stripes[..., None])
    shade = 0.35 + 0.8 * np.cos(angle - 0.6) + 0.1 * fbm(x * 200, y * 200, seed + 5, 3)
    handle = np.abs(np.hypot((x - 0.752) / 0.05, (y - 0.53) / 0.09) - 1) < 0.22
    handle &= x > 0.74
    cover = (body | handle).astype(np.float32)
    light = glaze * np.clip(shade, 0.1, 2)[..., None]
    light[handle & ~body] = (0.5, 0.48, 0.44)
    return Layer(_lit(np.asarray(light, np.float32), x, y), blur(cover, 0.8), 0.95)


def _card(x: Array, y: Array, seed: int) -> Layer:
    """A printed card close to the lens, at the lower left."""
    turn = np.deg2rad(-7)
    u = ((x - 0.245) * np.cos(turn) - (y - 0.74) * 0.75 * np.sin(turn)) / 0.195
    v = ((x - 0.245) * np.sin(turn) + (y - 0.74) * 0.75 * np.cos(turn)) / 0.145
    inside = (np.abs(u) < 1) & (np.abs(v) < 1)
    lines = (np.sin(v * 42) > 0.25) & (np.abs(u) < 0.86) & (v > -0.55) & (v < 0.88)
    words = np.sin(u * 61 + 9 * np.floor(v * 42 / (2 * np.pi))) > -0.55
    letters = np.sin(u * 240 + 3 * np.floor(v * 6.7)) > -0.35
    title = (np.abs(v + 0.74) < 0.1) & (np.abs(u) < 0.62) & (np.sin(u * 44) > -0.5)
    rim = (np.maximum(np.abs(u), np.abs(v)) > 0.93).astype(np.float32)
    ink = np.maximum((lines & words & letters) | title, 0.0).astype(np.float32)
    paper = mix(np.array([0.80, 0.77, 0.68]), np.array([0.05, 0.05, 0.07]), ink[..., None])
    paper = mix(paper, np.array([0.55, 0.07, 0.05]), rim[..., None])
    fibre = 1 + 0.06 * fbm(x * 300, y * 260, seed + 6, 2)
    return Layer(_lit(paper * fibre[..., None], x, y), blur(inside.astype(np.float32), 0.8), NEAR)
