"""Which crops a step sees, and how they are varied: a pure function of the seed and the step.

Nothing is carried from step to step, so a run that is taken up again at step n draws exactly what
it would have drawn, and no generator's state has to be saved.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from lkcfuse.training.config import Augmentation, TrainingConfig
from lkcfuse.training.data import Pair, PairSet, Plane
from lkcfuse.training.defocus import focus_pair
from lkcfuse.training.symmetry import Turn

CROP_TRIES = 4
BLACK = 8 / 255


def step_generator(seed: int, step: int) -> np.random.Generator:
    """Return the generator of a step."""
    return np.random.default_rng([seed, step])


def sample_batch(pairs: PairSet, config: TrainingConfig, step: int) -> Tensor:
    """Draw the crops of a step.

    Returns:
        (N, 2, side, side) float32 in [0, 1], channel 0 the second source (visible, CT, PET,
        SPECT), channel 1 the first: the network's order. Where all pairs are made, so that there is
        a truth, (N, 4, side, side): channel 2 is the true image, channel 3 the true weight of
        channel 0.
    """
    rng = step_generator(config.seed, step)
    side, count = config.crops[rng.integers(len(config.crops))]
    chosen = [_draw_pair(pairs, config.tasks, rng) for _ in range(count)]
    side = min(side, *(min(pairs.size(pair)) for pair in chosen))
    crops = []
    for pair in chosen:
        if pair.made:
            crops.append(_make(_draw_crop(pairs, pair, side, rng), config.augmentation, rng))
            continue
        crop = _draw_zoomed(pairs, pair, side, config.augmentation.zoom, rng)
        crops.append(augment(crop, config.augmentation, rng)[::-1])
    channels = min(len(crop) for crop in crops)
    return torch.from_numpy(np.stack([crop[:channels] for crop in crops]))


def _make(crop: Plane, settings: Augmentation, rng: np.random.Generator) -> Plane:
    """Make a pair of a picture's crop and its regions, in the order of `sample_batch`."""
    crop = np.rot90(crop, int(rng.integers(4)), axes=(1, 2))
    if rng.random() < 0.5:
        crop = crop[:, :, ::-1]
    sharp, labels = np.ascontiguousarray(crop)
    if rng.random() < settings.tone:
        sharp = _change_tone(sharp, settings.strength, rng)
    first, second, truth, weight = focus_pair(sharp, labels.astype(np.int32), rng)
    return np.stack([second, first, truth, 1 - weight])


def _draw_pair(pairs: PairSet, tasks: tuple[str, ...], rng: np.random.Generator) -> Pair:
    """Draw the task, then the set, then the picture: a large set teaches no more than a small."""
    sets = list(pairs.datasets(tasks[rng.integers(len(tasks))]).values())
    of_set = sets[rng.integers(len(sets))]
    return of_set[rng.integers(len(of_set))]


def _draw_zoomed(
    pairs: PairSet, pair: Pair, side: int, probability: float, rng: np.random.Generator
) -> Plane:
    """Draw a crop, of a picture that is enlarged or reduced by up to a factor of two at times."""
    factor = 2.0 ** rng.uniform(-1, 1) if probability and rng.random() < probability else 1.0
    drawn = min(round(side / factor), *pairs.size(pair))
    crop = _draw_crop(pairs, pair, drawn, rng)
    if drawn == side:
        return crop
    kind = cv2.INTER_AREA if drawn > side else cv2.INTER_CUBIC
    planes = [cv2.resize(plane, (side, side), interpolation=kind) for plane in crop]
    zoomed: Plane = np.clip(np.stack(planes), 0, 1).astype(np.float32)
    return zoomed


def _draw_crop(pairs: PairSet, pair: Pair, side: int, rng: np.random.Generator) -> Plane:
    """Draw a crop that is not mostly black (outside a head) where a few tries find one."""
    height, width = pairs.size(pair)
    for _ in range(CROP_TRIES):
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        crop = pairs.load_crop(pair, int(top), int(left), side)
        if (crop.max(axis=0) > BLACK).mean() > 1 / 3:
            break
    return crop


def sample_quarter(seed: int, step: int, side: int) -> tuple[slice, slice]:
    """Return rows and columns of a quarter of a step's crops: the central one half of the time."""
    rng = np.random.default_rng([seed, step, 1])
    half = side // 2
    central = rng.random() < 0.5
    top, left = (side // 4,) * 2 if central else rng.integers(side - half + 1, size=2).tolist()
    return slice(top, top + half), slice(left, left + half)


def sample_turn(seed: int, step: int) -> Turn:
    """Return how a step's quarter is turned and mirrored for the term `equivariance`."""
    rng = np.random.default_rng([seed, step, 2])
    return Turn(int(rng.integers(4)), bool(rng.random() < 0.5))


def augment(crop: Plane, settings: Augmentation, rng: np.random.Generator) -> Plane:
    """Turn and mirror a pair together, and change the tone of either source by itself.

    Args:
        crop: (2, side, side) float32 in [0, 1], the first source first.
        settings: How often and how much.
        rng: Source of chance.

    Returns:
        The same shape and range.
    """
    crop = np.rot90(crop, int(rng.integers(4)), axes=(1, 2))
    if rng.random() < 0.5:
        crop = crop[:, :, ::-1]
    planes = []
    for plane in crop:
        varied = plane
        if rng.random() < settings.tone:
            varied = _change_tone(varied, settings.strength, rng)
        if rng.random() < settings.dark:
            varied = varied * np.float32(rng.uniform(0.15, 0.5))
        if rng.random() < settings.noise:
            noise = rng.standard_normal(varied.shape, dtype=np.float32)
            varied = varied + noise * np.float32(rng.uniform(0, 4 / 255))
        planes.append(np.clip(varied, 0, 1))
    return np.stack(planes).astype(np.float32, copy=False)


def _change_tone(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """Change gamma, then contrast about zero or the mean, then gain."""
    gamma = np.exp(strength * rng.uniform(-0.45, 0.45))
    contrast = np.exp(strength * rng.uniform(-0.7, 0.3))
    gain = np.exp(strength * rng.uniform(-0.3, 0.2))
    varied = plane ** np.float32(gamma)
    # A black surround (outside a head) has to stay black, so contrast keeps zero half the time.
    pivot = varied.mean() if rng.random() < 0.5 and plane.min() > 0 else 0
    varied = (varied - pivot) * contrast + pivot
    return np.asarray(np.clip(varied * gain, 0, 1), dtype=np.float32)
