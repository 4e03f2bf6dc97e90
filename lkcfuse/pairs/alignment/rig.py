"""One transform for two cameras that do not move against each other, from many of their pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from lkcfuse.errors import InputError
from lkcfuse.pairs.alignment.images import align_images
from lkcfuse.pairs.alignment.result import Alignment
from lkcfuse.pairs.options import PairOptions
from lkcfuse.pairs.resample import Matrix
from lkcfuse.pairs.transforms import to_rows

FEWEST = 3
"""Pairs that have to agree."""

# Pairs agree that put the corners within this share of the first picture's longer side.
_AGREEMENT = 1 / 80


@dataclass(frozen=True)
class Rig:
    """What pairs of one rig say of it.

    Attributes:
        transform: (3, 3), from the second pictures' pixels to the first's.
        model: What may differ: `shift`, `affine` or `homography`.
        pairs: How many pairs were looked at.
        registered: How many of them could be registered by themselves.
        agreeing: How many of those agree, and made the transform.
        spread: Median distance in the first's pixels of their corners from the transform's.
    """

    transform: Matrix
    model: str
    pairs: int
    registered: int
    agreeing: int
    spread: float

    def to_record(self) -> dict[str, Any]:
        """Return the rig as its file has it; `read_transform` reads that."""
        return {
            "transform": to_rows(self.transform),
            "model": self.model,
            "pairs": self.pairs,
            "registered": self.registered,
            "agreeing": self.agreeing,
            "spread": round(self.spread, 3),
        }


def align_rig(
    files: Sequence[tuple[Any, Any]],
    model: str,
    options: PairOptions | None = None,
    *,
    progress: Callable[[float, float], None] | None = None,
) -> Rig:
    """Register many pairs of one rig, and take what most of them say.

    Args:
        files: The files of each pair, as `read_image` takes them.
        model: What may differ: `shift`, `affine` or `homography`.
        options: How to read the files; None for the defaults.
        progress: Called with (pairs done, pairs in all).

    Returns:
        The transform, with the corners where the median of the agreeing pairs puts them.

    Raises:
        InputError: A file cannot be read, its size differs from the other pairs', or too few pairs
            can be registered or agree.
    """
    from lkcfuse.images.reading import read_image

    options = options or PairOptions()
    sizes: list[tuple[int, int]] = []
    found: list[Alignment] = []
    for number, pair in enumerate(files):
        first, second = read_image(pair[0], options.first), read_image(pair[1], options.second)
        sizes = sizes or [first.size, second.size]
        for image, size in zip((first, second), sizes, strict=True):
            if image.size != size:
                raise InputError(
                    f"{image.name} has {image.size[1]}x{image.size[0]} pixels and others before it "
                    f"{size[1]}x{size[0]}: the cameras of a rig give pictures of one size each, so "
                    "register the kinds apart"
                )
        found.append(align_images(first, second, model))
        if progress is not None:
            progress(number + 1, len(files))
    trusted = [each for each in found if each.trusted]
    if len(trusted) < FEWEST:
        raise InputError(
            f"{len(trusted)} of {len(files)} pairs could be registered, and {FEWEST} are needed: "
            "give more pairs of scenes with edges near and far, or write four pairs of points by "
            "hand (--transform)"
        )
    return _agree(trusted, model, sizes, len(files))


def _agree(found: Sequence[Alignment], model: str, sizes: Sequence[tuple[int, int]], n: int) -> Rig:
    """Return what most of many alignments say.

    Raises:
        InputError: Fewer than half of them agree, or fewer than `FEWEST`.
    """
    height, width = sizes[1]
    corners = np.array(
        [[[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]], np.float64
    )
    placed = np.stack([cv2.perspectiveTransform(corners, each.transform)[0] for each in found])
    # Between two cameras of unlike views the second's corners lie far out: errors grow with that.
    scale = max(1.0, float(np.ptp(np.median(placed, axis=0), axis=0).max()) / max(sizes[0]))
    limit = _AGREEMENT * max(sizes[0]) * scale
    apart = np.linalg.norm(placed[:, None] - placed[None], axis=-1).max(axis=-1)
    centre = int((apart <= limit).sum(axis=1).argmax())
    agreeing = placed[apart[centre] <= limit]
    if len(agreeing) < max(FEWEST, len(found) / 2):
        raise InputError(
            f"{len(agreeing)} of {len(found)} registered pairs agree: the cameras moved against "
            "each other, or the scenes are near and at many distances; register each pair by "
            "itself with --align"
        )
    middle = np.median(agreeing, axis=0)
    matrix = cv2.getPerspectiveTransform(
        corners[0].astype(np.float32), middle.astype(np.float32), solveMethod=cv2.DECOMP_SVD
    )
    transform = np.asarray(matrix / matrix[2, 2], np.float64)
    if model == "affine":
        columns = np.column_stack([corners[0], np.ones(4)])
        transform = np.eye(3)
        transform[:2] = np.linalg.lstsq(columns, middle, rcond=None)[0].T
    elif model == "shift":
        transform = np.median([each.transform for each in found], axis=0)
        transform[:2, 2] += (middle - cv2.perspectiveTransform(corners, transform)[0]).mean(axis=0)
    spread = float(np.median(np.linalg.norm(agreeing - middle, axis=-1)))
    return Rig(transform, model, n, len(found), len(agreeing), spread)
