"""Focus pairs with their ground truth, made of a sharp picture and a map of its regions.

A region is blurred, or all but it, as a lens does it: with a disc, and softly where the two meet.
What lies in front of the sharp plane spreads over what is behind it; what lies behind does not
reach over the edge of what is in front. Data sets made by hand blur without a thought to that, and
with Gaussians, so some of the pairs are of that kind.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

# Shares of an image that a region, or what several make together, may take.
SMALLEST, LARGEST = 0.08, 0.92
REGION_TRIES = 8
RADII = (0.8, 9.0)
BY_HAND = 0.35
GAUSSIAN = 0.4
SHAPES = 0.25
NOISE = 0.15


def focus_pair(sharp: Plane, labels: NDArray[np.integer], rng: np.random.Generator) -> Plane:
    """Make a focus pair.

    Args:
        sharp: The luma of a picture that is sharp everywhere, (H, W) float32 in [0, 1].
        labels: The number of the region that each pixel belongs to, (H, W).
        rng: Source of chance.

    Returns:
        (4, H, W) float32 in [0, 1]: the first source, the second, the sharp picture, and the weight
        of the first source at each pixel: 1 where it is the sharp one, 0 where the second is.
    """
    mask = _region(labels, rng)
    radii = [float(np.exp(rng.uniform(*np.log(RADII)))) for _ in range(2)]
    kinds = [bool(rng.random() < GAUSSIAN) for _ in range(2)]
    if rng.random() < BY_HAND:
        soft = blurred(mask, 2 * float(rng.uniform(0.3, 1.0)), gaussian=True)
        first = soft * sharp + (1 - soft) * blurred(sharp, radii[0], gaussian=kinds[0])
        second = (1 - soft) * sharp + soft * blurred(sharp, radii[1], gaussian=kinds[1])
    else:
        soft = blurred(mask, 1.2, gaussian=True)
        first = _sharp_in_front(sharp, soft, radii[0], gaussian=kinds[0])
        second = _sharp_behind(sharp, soft, radii[1], gaussian=kinds[1])
    planes = [first, second]
    if rng.random() < NOISE:
        level = rng.uniform(0, 3 / 255)
        planes = [p + level * rng.standard_normal(p.shape, dtype=np.float32) for p in planes]
    if rng.random() < 0.5:
        planes, soft = planes[::-1], 1 - soft
    made: Plane = np.clip(np.stack([*planes, sharp, soft]), 0, 1).astype(np.float32)
    return made


def blurred(image: Plane, radius: float, *, gaussian: bool = False) -> Plane:
    """Blur with a disc of a radius in pixels, or with a Gaussian of about its width.

    The disc's rim is soft: a pixel counts by the share of it that lies inside.
    """
    if gaussian:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), radius / 2), np.float32)
    half = int(np.ceil(radius)) + 1
    distance = np.hypot(*np.mgrid[-half : half + 1, -half : half + 1])
    disc = np.clip(radius + 0.5 - distance, 0, 1)
    kernel = (disc / disc.sum()).astype(np.float32)
    return np.asarray(cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT))


def _sharp_in_front(sharp: Plane, mask: Plane, radius: float, *, gaussian: bool) -> Plane:
    """Blur what is behind the mask; nothing of what is in front goes into it."""
    behind = blurred(sharp * (1 - mask), radius, gaussian=gaussian)
    share = blurred(1 - mask, radius, gaussian=gaussian)
    made = mask * sharp + (1 - mask) * (behind / np.maximum(share, 1e-3))
    return made.astype(np.float32)


def _sharp_behind(sharp: Plane, mask: Plane, radius: float, *, gaussian: bool) -> Plane:
    """Blur what is in front; it spreads over what is behind, which shows through at its rim."""
    spread = blurred(mask, radius, gaussian=gaussian)
    in_front = blurred(sharp * mask, radius, gaussian=gaussian)
    hidden = blurred(sharp * (1 - mask), radius) / np.maximum(blurred(1 - mask, radius), 1e-3)
    behind = (1 - mask) * sharp + mask * hidden
    return (in_front + (1 - spread) * behind).astype(np.float32)


def _region(labels: NDArray[np.integer], rng: np.random.Generator) -> Plane:
    """Draw some of the regions that together are neither next to nothing nor nearly all."""
    if rng.random() >= SHAPES:
        numbers = np.unique(labels)
        for _ in range(REGION_TRIES):
            chosen = numbers[rng.random(len(numbers)) < rng.uniform(0.1, 0.9)]
            mask = np.isin(labels, chosen)
            if SMALLEST < mask.mean() < LARGEST:
                return mask.astype(np.float32)
    return _shape(labels.shape[0], labels.shape[1], rng)


def _shape(height: int, width: int, rng: np.random.Generator) -> Plane:
    """Draw an area with a smooth outline that follows nothing in the picture."""
    cells = rng.integers(2, 6, size=2)
    coarse = rng.standard_normal((int(cells[0]), int(cells[1]))).astype(np.float32)
    heights = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    threshold = np.quantile(heights, rng.uniform(0.25, 0.75))
    return np.asarray(heights > threshold, np.float32)
