"""The brain phantom as MRI, CT, PET and SPECT show it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .anatomy import SIZE, Anatomy
from .filters import blur, enlarge, shrink
from .noise import Array, fbm, smoothstep, stream, value_noise

Picture = npt.NDArray[np.uint8]


def _shrink(fine: Array) -> Array:
    return shrink(fine, SIZE, SIZE)


def _bytes(picture: Array) -> Picture:
    return np.asarray(np.clip(np.round(picture), 0, 255), np.uint8)


def render_mri(head: Anatomy, seed: int) -> Picture:
    """Return a T2-weighted slice, (256, 256) grey: fluid bright, bone dark."""
    x, y = head.x, head.y
    signal = (
        52 * head.skin
        + (96 + 42 * fbm(x / 4, y / 4, seed + 30, 3)) * head.fat
        + 7 * head.bone
        + (40 + 20 * fbm(x / 5, y / 5, seed + 31, 2)) * head.marrow
        + (212 + 18 * fbm(x / 12, y / 12, seed + 32, 2)) * head.fluid
        + (130 + 12 * fbm(x / 6, y / 6, seed + 33, 3)) * head.grey
        + (104 + 14 * fbm(x / 5, y / 5, seed + 34, 3)) * head.deep
        + (90 + 9 * fbm(x / 16, y / 16, seed + 35, 4)) * head.white
    )
    signal = signal * (1 - 0.75 * head.falx)
    signal += 92 * head.oedema + (70 + 60 * fbm(x / 4, y / 4, seed + 36, 3)) * head.lesion
    # Iron darkens the pallidum; a compact tract does the same to the internal capsule.
    pallidum = np.exp(-(((np.abs(x) - 22) / 3.0) ** 2) - (((y - 0) / 8.0) ** 2))
    signal -= 30 * pallidum * head.deep + 22 * head.calcified * smoothstep(0, 40, signal)
    fibres = value_noise((x + 0.6 * y) / 2.0, (y - 0.3 * x) / 9.0, seed + 37)
    signal += 9 * (fibres - 0.5) * head.white
    vessel = smoothstep(0.035, 0.0, np.abs(fbm(x / 9, y / 9, seed + 38, 3)))
    signal *= 1 - 0.75 * vessel * head.fluid * smoothstep(-12, -16, head.outside) * (
        head.outside > -40
    )
    coil = 1 + 0.10 * np.clip(np.hypot(x, y) / 90, 0, 1) ** 2 - 0.05 * x / 90
    image = blur(_shrink((signal * coil).astype(np.float32)), 0.55)
    # Noise of a magnitude image is Rician: never below zero, and dark grey outside the head.
    rng = stream(seed, 0x3D1)
    real, imaginary = rng.normal(0, 2.6, (2, SIZE, SIZE))
    ghost = 0.012 * (np.roll(image, 46, axis=0) + np.roll(image, -46, axis=0))
    return _bytes(np.hypot(image + ghost + real, imaginary))


def render_ct(head: Anatomy, seed: int) -> Picture:
    """Return a slice in a brain window (level 38, width 84 HU), (256, 256) grey."""
    hounsfield = (
        -1000 * smoothstep(-0.3, 0.3, head.outside)
        + 45 * head.skin
        + (-95 + 110 * smoothstep(0.0, 0.9, fbm(head.x / 7, head.y / 7, seed + 40, 3))) * head.fat
        + 1350 * head.bone
        + 520 * head.marrow
        + 6 * head.fluid
        + 39 * head.grey
        + 38 * head.deep
        + 29 * head.white
    )
    hounsfield += 28 * head.falx - 13 * head.oedema + 10 * head.lesion + 210 * head.calcified
    # The head rests in a thin curved holder.
    holder = np.abs(np.hypot(head.x, head.y + 22) - 126) - 0.5
    hounsfield += 2200 * smoothstep(0.8, -0.4, holder) * smoothstep(48, 54, head.y)
    image = blur(_shrink(hounsfield.astype(np.float32)), 0.75)
    # What is left of beam hardening: a bright rim inside the skull.
    rim = blur(_shrink(head.bone + 0.4 * head.marrow), 5.0)
    image += 16 * rim * (image < 150)
    rng = stream(seed, 0xC7)
    white = rng.normal(0, 1, (SIZE, SIZE)).astype(np.float32)
    texture = blur(white, 0.7) - blur(white, 2.2)
    streak = blur(rng.normal(0, 1, (SIZE, SIZE)), 9, 0.8)
    image += 7.0 * texture + 3.0 * streak
    return _bytes((image - 38 + 42) / 84 * 255)


# Colour scales as (value, R, G, B).
_RAINBOW = (
    (0.00, 0, 0, 0), (0.06, 0, 0, 24), (0.16, 0, 8, 120), (0.28, 0, 50, 225), (0.38, 20, 135, 235),
    (0.46, 120, 215, 205), (0.54, 235, 245, 95), (0.64, 255, 225, 0), (0.76, 255, 150, 0),
    (0.88, 255, 62, 0), (1.00, 215, 0, 0),
)  # fmt: skip
_HOT = (
    (0.00, 0, 0, 0), (0.10, 14, 24, 30), (0.20, 46, 66, 76), (0.29, 44, 16, 106),
    (0.40, 88, 10, 156), (0.52, 158, 66, 148), (0.62, 208, 92, 110), (0.72, 252, 108, 20),
    (0.84, 255, 142, 36), (0.93, 255, 196, 170), (1.00, 255, 250, 252),
)  # fmt: skip


def _colours(value: Array, scale: tuple[tuple[float, int, int, int], ...]) -> Picture:
    table = np.array(scale, np.float64)
    # Stations show 8-bit counts: the scale has 256 steps, no more.
    counts = np.round(np.clip(value, 0, 1) * 255) / 255
    bands = [np.interp(counts, table[:, 0], table[:, band]) for band in (1, 2, 3)]
    return _bytes(np.stack(bands, axis=-1).astype(np.float32))


def _uptake(head: Anatomy, seed: int, lesion: float) -> Array:
    x, y = head.x, head.y
    local = 1 + 0.22 * fbm(x / 17, y / 17, seed + 50, 3)
    back = 1 + 0.10 * smoothstep(20, 75, y) - 0.05 * smoothstep(0, 60, x)
    return np.asarray(
        0.98 * local * back * head.grey
        + 0.95 * head.deep
        + 0.27 * head.white * (1 - 0.4 * head.oedema)
        + 0.05 * (head.skin + head.fat)
        + 0.03 * head.marrow
        + lesion * head.lesion,
        np.float32,
    )


def _scan(uptake: Array, width: float, matrix: int, noise: float, seed: int) -> Array:
    """Return (256, 256) reconstructed counts: blurred to `width` pixels, on a coarse matrix."""
    rng = stream(seed, 0xE7)
    blurred = blur(_shrink(uptake), width / 2.355)
    coarse = shrink(blurred, matrix, matrix)
    speckle = rng.normal(0, 1, (matrix, matrix)).astype(np.float32)
    speckle = blur(speckle, 1.1)
    coarse = coarse + noise * speckle * np.sqrt(np.maximum(coarse, 0) + 0.004)
    out = enlarge(coarse, SIZE, SIZE, smooth=True)
    return np.asarray(np.maximum(out, 0), np.float32)


def render_pet(head: Anatomy, seed: int) -> Picture:
    """Return FDG uptake on a rainbow scale, (256, 256, 3) RGB, black outside."""
    counts = _scan(_uptake(head, seed, 0.95), 6.5, 128, 0.10, seed + 1)
    return _colours(counts / np.quantile(counts, 0.997), _RAINBOW)


def render_spect(head: Anatomy, seed: int) -> Picture:
    """Return blood flow on a hot-metal scale, (256, 256, 3) RGB, black outside."""
    counts = _scan(_uptake(head, seed + 7, -0.15), 9.0, 64, 0.34, seed + 2)
    return _colours(counts / (1.06 * counts.max()), _HOT)
