"""A brain-like phantom: one axial slice through the lateral ventricles, as tissue fractions.

Every modality is rendered from these same fractions, so the four pictures are registered exactly.
Coordinates are millimetres from the middle of the head: x to the viewer's right, y to the back;
the slice is drawn four times finer than it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from .noise import Array, fbm, smoothstep, stream, value_noise

SIZE = 256
FINE = 4
Mask = npt.NDArray[np.bool_]
Points = list[tuple[float, float]]


@dataclass
class Anatomy:
    """Tissues of the slice on the fine grid, each (SIZE * FINE, SIZE * FINE), 0 to 1.

    Attributes:
        x: Millimetres to the viewer's right of the middle.
        y: Millimetres behind the middle.
        outside: Signed distance in millimetres to the skin, positive outside.
        skin: Skin.
        fat: Fat and muscle under the skin.
        bone: Both tables of the skull.
        marrow: Diploe between them.
        fluid: Cerebrospinal fluid, in ventricles, sulci and around the brain.
        grey: Cortex.
        deep: Deep grey nuclei (caudate, lentiform, thalamus).
        white: White matter.
        falx: Falx and other dura.
        lesion: Core of a tumour in frontal white matter, at the left of the picture.
        oedema: Swelling around it.
        calcified: Calcium in choroid plexus, pineal gland and tumour.
    """

    x: Array
    y: Array
    outside: Array
    skin: Array
    fat: Array
    bone: Array
    marrow: Array
    fluid: Array
    grey: Array
    deep: Array
    white: Array
    falx: Array
    lesion: Array
    oedema: Array
    calcified: Array


def build_anatomy(seed: int) -> Anatomy:
    """Return the phantom; `seed` turns over the folds and the small irregularities."""
    count = SIZE * FINE
    axis = ((np.arange(count, dtype=np.float32) + 0.5) / FINE - SIZE / 2) * 0.9
    x, y = np.meshgrid(axis, axis - 2.0)
    # One warp for all outlines: nobody's head is an ellipse.
    wx = x + 2.2 * fbm(x / 55, y / 55, seed + 1, 3) + 0.5 * fbm(x / 12, y / 12, seed + 2, 2)
    wy = y + 2.2 * fbm(x / 55 + 9, y / 55, seed + 3, 3) + 0.5 * fbm(x / 12, y / 12, seed + 4, 2)

    head = _head(wx, wy)
    scalp = 5.0 + 1.3 * fbm(x / 30, y / 30, seed + 5, 2) + 2.0 * _temple(wx, wy)
    skull = 6.0 + 1.2 * fbm(x / 26, y / 26, seed + 6, 2) + 2.2 * smoothstep(60, 85, np.abs(wy))
    gap = 1.7 + 0.7 * fbm(x / 14, y / 14, seed + 7, 2) + 1.2 * smoothstep(-50, -80, wy)
    brain = head + scalp + skull + gap

    sulci = _sulci(seed)
    fissure = np.abs(wx + 0.8 * fbm(y / 20, x * 0, seed + 8, 2))
    ends = smoothstep(-30, -34, wy) + smoothstep(34, 40, wy)
    cleft = (fissure - 1.0 - 0.7 * value_noise(y / 7, x * 0, seed + 9)) + 3 * (1 - ends)
    ventricles = _ventricles(wx, wy)

    pial = np.minimum(np.minimum(-brain, sulci), cleft)
    inside = _soft(-pial, 0.25)
    chamber = _soft(ventricles, 0.3)
    ribbon = 2.5 + 0.7 * fbm(x / 9, y / 9, seed + 10, 3)
    near_pial = cv2.distanceTransform(
        (pial > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    ) * (0.9 / FINE)
    cortex = _soft(near_pial - ribbon, 0.45) * inside * (1 - chamber)
    nuclei = _soft(_nuclei(wx, wy), 0.5) * inside * (1 - chamber) * (1 - cortex)
    skin = _soft(head, 0.25)
    inner_scalp, inner_skull = _soft(head + scalp, 0.3), _soft(head + scalp + skull, 0.3)
    middle = np.abs(head + scalp + skull * 0.5) - skull * (
        0.2 + 0.12 * fbm(x / 8, y / 8, seed + 11)
    )
    marrow = _soft(middle, 0.4) * (inner_scalp - inner_skull)
    core = np.hypot(wx + 27, (wy + 27) * 0.9) - 7.5 - 1.8 * fbm(x / 6, y / 6, seed + 12, 3)
    swelling = smoothstep(13, -2, core + 5.0 * fbm(x / 9, y / 9, seed + 13, 3))
    tissue = inside * (1 - chamber)
    white = tissue * (1 - cortex) * (1 - nuclei)
    lesion = _soft(core, 0.5) * tissue
    return Anatomy(
        x=x, y=y, outside=head,
        skin=skin * _soft(-(head + 1.5), 0.3),
        fat=_soft(head + 1.5, 0.3) - inner_scalp,
        bone=(inner_scalp - inner_skull) - marrow,
        marrow=marrow,
        fluid=inner_skull * (1 - tissue),
        grey=cortex, deep=nuclei, white=white,
        falx=_soft(fissure - 0.45, 0.2) * ends * inner_skull,
        lesion=lesion,
        oedema=swelling * white * (1 - lesion),
        calcified=_calcium(wx, wy, core, seed),
    )  # fmt: skip


def _soft(distance: Array, width: float) -> Array:
    """Return 1 inside and 0 outside of a distance in millimetres, with an edge of `width`."""
    return smoothstep(width, -width, distance)


def _ellipse(x: Array, y: Array, centre: tuple[float, float], radii: tuple[float, float],
             turn: float = 0.0) -> Array:  # fmt: skip
    """Return a distance to a turned ellipse, negative inside (exact to first order)."""
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = x - centre[0], y - centre[1]
    u, v = u * cos + v * sin, v * cos - u * sin
    k = np.sqrt((u / radii[0]) ** 2 + (v / radii[1]) ** 2)
    slope = np.sqrt((u / radii[0] ** 2) ** 2 + (v / radii[1] ** 2) ** 2)
    return np.asarray(k * (k - 1) / np.maximum(slope, 1e-6), np.float32)


def _head(x: Array, y: Array) -> Array:
    """Return the distance to the outline of the head: broad behind, narrow in front."""
    broad = 1.0 + 0.09 * np.clip(y / 95, -1, 1) - 0.05 * np.clip((y - 30) / 60, 0, 1) ** 2
    return _ellipse(x / broad, y, (0, 0), (76.0, 96.0))


def _temple(x: Array, y: Array) -> Array:
    """Return where the temporal muscle thickens the scalp, 0 to 1."""
    return smoothstep(0.0, 1.0, np.exp(-(((y + 38) / 22) ** 2)) * smoothstep(45, 70, np.abs(x)))


def _ventricles(x: Array, y: Array) -> Array:
    """Return the distance to the fluid inside the brain."""
    out = np.full(x.shape, 1e3, np.float32)
    for side, shift in ((-1.0, 0.6), (1.0, 0.0)):
        u = x * side
        frontal = _ellipse(u, y, (7.6 + shift * 0.5, -24.0), (4.0, 14.0), 0.30)
        body = _ellipse(u, y, (5.0, -10.0), (3.4, 11.0), -0.12)
        atrium = _ellipse(u, y, (19.0, 28.0), (4.8 + shift, 13.5), -0.5)
        horn = _ellipse(u, y, (21.5, 43.0), (2.4, 10.0), 0.18)
        # Head of the caudate and thalamus press into the ventricle from the side.
        press = _ellipse(u, y, (13.5, -17.0), (5.4, 9.5), 0.25)
        frontal = np.maximum(frontal, -press + 0.2)
        for part in (frontal, body, atrium, horn):
            out = np.minimum(out, part)
    third = _ellipse(x, y, (0.0, 7.0), (1.6, 8.5))
    septum = 0.55 - np.abs(x)
    return np.asarray(np.minimum(np.maximum(out, septum), third), np.float32)


def _nuclei(x: Array, y: Array) -> Array:
    """Return the distance to caudate heads, lentiform nuclei, thalami and the claustrum."""
    u = np.abs(x)
    caudate = _ellipse(u, y, (13.2, -17.5), (4.6, 9.0), 0.3)
    lentiform = _ellipse(u, y, (26.0, -3.0), (6.2, 15.5), -0.22)
    thalamus = _ellipse(u, y, (11.0, 12.5), (8.8, 12.5), 0.32)
    claustrum = np.abs(_ellipse(u, y, (26.0, -3.0), (10.2, 19.0), -0.22)) - 0.6
    claustrum = np.maximum(claustrum, 30.0 - u)
    parts = (caudate, lentiform, thalamus, claustrum)
    return np.asarray(np.minimum.reduce(parts), np.float32)


def _calcium(x: Array, y: Array, core: Array, seed: int) -> Array:
    u = np.abs(x)
    plexus = _ellipse(u, y, (19.5, 27.0), (2.6, 4.0), -0.5)
    pineal = _ellipse(x, y, (0.3, 21.5), (2.0, 2.4))
    grit = value_noise(x / 2.2, y / 2.2, seed + 14) - 0.66
    spots = np.maximum(core + 1.0, -grit * 12)
    return np.asarray(
        np.maximum(
            np.maximum(_soft(plexus + 1.5 * grit, 0.5), _soft(pineal, 0.5)), _soft(spots, 0.5)
        ),
        np.float32,
    )


def _sulci(seed: int) -> Array:
    """Return the distance in millimetres to the nearest sulcus, negative inside its cleft.

    Each sulcus starts at the surface of a hemisphere, runs inward on a wandering path and may
    fork; neighbours keep apart, which is what leaves gyri of even width between them.
    """
    rng = stream(seed, 0x5C1)
    count = SIZE * FINE
    scale = FINE / 0.9
    gaps = np.full((count, count), 1e3, np.float32)

    def draw(path: Points, width: float) -> None:
        steps = max(len(path) - 1, 1)
        for i, (a, b) in enumerate(pairwise(path)):
            _stroke(gaps, scale, a, b, width * (1 - 0.65 * i / steps))

    def run(start: tuple[float, float], heading: float, length: float, forks: int) -> None:
        step, path, turn, aim = 1.5, [start], rng.normal(0, 0.1), heading
        (px, py) = start
        fork_at = length * rng.uniform(0.35, 0.6)
        walked = 0.0
        while walked < length:
            # A pull back to the first heading keeps the wandering path from curling up.
            turn = 0.75 * turn + rng.normal(0, 0.19) + 0.12 * (aim - heading)
            heading += turn
            px, py = px + step * float(np.cos(heading)), py + step * float(np.sin(heading))
            path.append((px, py))
            walked += step
            if forks and walked > fork_at:
                forks -= 1
                fork_at += length * 0.22
                aside = heading + float(rng.choice([-1, 1])) * rng.uniform(0.7, 1.25)
                run((px, py), aside, max(length - walked, 5.0) * rng.uniform(0.6, 1.1), 0)
        draw(path, rng.uniform(0.25, 0.85))

    outline = np.array(
        [(64.5 * np.sin(t) * (1 - 0.07 * np.cos(t)), -83.0 * np.cos(t))
         for t in np.linspace(0, np.pi, 400)]
    )  # fmt: skip
    arc = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(outline, axis=0).T))])
    for side in (-1.0, 1.0):
        at = rng.uniform(7, 10)
        while at < arc[-1] - 6:
            ox, oy = np.interp(at, arc, outline[:, 0]), np.interp(at, arc, outline[:, 1])
            aim = float(np.arctan2(-oy * 0.75 + rng.normal(0, 7), -ox * 0.8))
            deep = rng.uniform(17, 29) if rng.random_sample() < 0.66 else rng.uniform(7, 13)
            heading = aim if side > 0 else np.pi - aim
            run(
                (side * ox, oy),
                heading,
                deep,
                int(rng.random_sample() < 0.6) + int(deep > 17) + int(deep > 23),
            )
            at += rng.uniform(7.5, 11.5)
        # The medial side of the hemisphere, and the Sylvian fissure with the insula.
        for low, high in ((-76.0, -36.0), (42.0, 76.0)):
            my = low + rng.uniform(2, 6)
            while my < high:
                heading = rng.normal(0, 0.35) if side > 0 else np.pi + rng.normal(0, 0.35)
                run((side * 1.0, my), heading, rng.uniform(9, 19), int(rng.random_sample() < 0.6))
                my += rng.uniform(7.5, 11.0)
        sylvian = [(63, 2), (56, 3), (49, 1), (43, -3), (39, -10), (37, -17)]
        insula = [(43, -3), (40, 4), (38, 12), (39, 18)]
        for path in (sylvian, insula):
            wander = [(side * (a + rng.normal(0, 0.5)), b + rng.normal(0, 0.5)) for a, b in path]
            draw(wander, 1.5)
    return gaps


def _stroke(
    gaps: Array, scale: float, a: tuple[float, float], b: tuple[float, float], width: float
) -> None:
    """Lower `gaps` to the distance to one piece of a sulcus, where it is near enough to matter."""
    reach = 4.0
    half = gaps.shape[0] / 2
    x, y = np.array([a[0], b[0]]), np.array([a[1], b[1]]) + 2.0
    columns = np.clip((np.array([x.min() - reach, x.max() + reach]) * scale + half), 0, 2 * half)
    rows = np.clip((np.array([y.min() - reach, y.max() + reach]) * scale + half), 0, 2 * half)
    window = slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))
    u = (np.arange(window[1].start, window[1].stop) + 0.5 - half) / scale - x[0]
    v = ((np.arange(window[0].start, window[0].stop) + 0.5 - half) / scale - y[0])[:, None]
    ex, ey = x[1] - x[0], y[1] - y[0]
    along = np.clip((u * ex + v * ey) / max(ex * ex + ey * ey, 1e-9), 0, 1)
    gap = np.hypot(u - along * ex, v - along * ey) - width
    gaps[window] = np.minimum(gaps[window], gap)
