"""Batches of arrays, taken apart and put together; told from tensors without importing torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.images import Image
from lkcfuse.images.arrays import to_array


def is_tensor(value: object) -> bool:
    """Whether a value is a tensor; who has one has imported torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def check_is_array(value: object, name: str) -> None:
    """Point to the method that takes a file or an image where an array is wanted.

    Args:
        value: What `Fuser.fuse` was given.
        name: What messages call it.

    Raises:
        InputError: It is a path, an open file, encoded bytes or an `Image`.
    """
    if isinstance(value, (str, os.PathLike)):
        raise InputError(
            f"'{os.fspath(value)}' is a path, and fuse takes arrays: use "
            "fuse_files(first, second, output)"
        )
    if isinstance(value, (bytes, bytearray)) or hasattr(value, "readinto"):
        raise InputError(
            f"{name} is an encoded file, and fuse takes arrays: use fuse_files, with io.BytesIO "
            "for bytes"
        )
    if isinstance(value, Image):
        raise InputError(
            f"{name} is an Image, and fuse takes arrays: use fuse_pair(Pair(first, second))"
        )


def split_batch(name: str, batch: npt.ArrayLike) -> list[npt.NDArray[np.generic]]:
    """Return the images of a batch.

    Args:
        name: What messages call it.
        batch: (N, H, W, 1) or (N, H, W, 3).

    Returns:
        N times (H, W) or (H, W, 3).

    Raises:
        InputError: It is not such a batch.
    """
    array = to_array(batch, name)
    if array.ndim != 4 or array.shape[3] not in (1, 3) or not len(array):
        raise InputError(
            f"{name} has shape {array.shape}: give both as (N, H, W, 1) or (N, H, W, 3)"
        )
    return [image[..., 0] if array.shape[3] == 1 else image for image in array]


def join_batch(images: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    """Return (H, W) or (H, W, 3) images as one batch (N, H, W, 1) or (N, H, W, 3)."""
    batch = np.stack(images)
    return batch[..., None] if batch.ndim == 3 else batch
