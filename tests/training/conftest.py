"""Small synthetic pairs as files, and settings that train in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lkcfuse.inference import use_threads
from lkcfuse.training.config import Augmentation, TrainingConfig
from lkcfuse.training.losses import LossWeights

SIDE = 72


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks as small as these take twice as long with two threads, which wait for each other."""
    with use_threads(1):
        yield


def write_pairs(folder: Path, count: int, names: tuple[str, str] = ("ir", "vis")) -> Path:
    """Write `count` pairs of smooth random textures, each source with its own bright shape."""
    for offset, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            rng = np.random.default_rng([index, offset])
            texture = cv2.GaussianBlur(rng.random((SIDE, SIDE + 8)), (0, 0), 1.5)
            plane = 255 * (texture - texture.min()) / np.ptp(texture) * 0.7
            cv2.circle(plane, (20 + 30 * offset, 30 + index), 9, 250.0, -1)
            assert cv2.imwrite(str(folder / name / f"{index}.png"), plane.astype(np.uint8))
    return folder


@pytest.fixture
def pair_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a folder of pairs: (name, count) -> path."""
    return lambda name="data", count=6, **more: write_pairs(tmp_path / name, count, **more)


@pytest.fixture
def tiny() -> TrainingConfig:
    """Return settings of a network of some thousand parameters."""
    return TrainingConfig(
        inner=2,
        kernels=(5, 3, 3),
        steps=6,
        crops=((48, 2), (56, 1)),
        learning_rate=3e-3,
        validate_every=3,
        validation_pairs=2,
        augmentation=Augmentation(tone=0.5, dark=0.2, noise=0.2),
        loss=LossWeights(consistency=1.0),
    )
