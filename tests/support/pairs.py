"""Folders of tiny pairs, and what a batch made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lkcfuse.images import image_from_array, write_image

NAMES = ("1", "2", "10", "day/1", "day/2", "night.v2/7")


def write_noise(path, *shape, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    write_image(image_from_array(pixels), path, overwrite=True)


def make_pairs(folder, names=NAMES):
    """Write pairs of several sizes, grey and coloured, below `ir` and `vis` of a folder."""
    for index, name in enumerate(names):
        size = (12 + index % 3, 17)
        write_noise(folder / "ir" / f"{name}.png", *size, seed=index)
        colour = (3,) if index % 2 else ()
        write_noise(folder / "vis" / f"{name}.bmp", *size, *colour, seed=100 + index)
    return folder / "ir", folder / "vis"


def contents(folder: Path):
    """The bytes of every file below a folder, what the batch keeps for itself left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".lkcfuse" not in path.relative_to(folder).parts
    }
