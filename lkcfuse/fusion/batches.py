"""Batches of arrays, taken apart and put together; told from tensors without importing torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError


def is_tensor(value: object) -> bool:
    """Whether a value is a tensor; who has one has imported torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


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
    array = np.asarray(batch)
    if array.ndim != 4 or array.shape[3] not in (1, 3) or not len(array):
        raise InputError(
            f"{name} has shape {array.shape}: give both as (N, H, W, 1) or (N, H, W, 3)"
        )
    return [image[..., 0] if array.shape[3] == 1 else image for image in array]


def join_batch(images: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    """Return (H, W) or (H, W, 3) images as one batch (N, H, W, 1) or (N, H, W, 3)."""
    batch = np.stack(images)
    return batch[..., None] if batch.ndim == 3 else batch
