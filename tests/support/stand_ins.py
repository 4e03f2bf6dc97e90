"""Stand-in weights for the networks of other authors, the same on every machine.

`tests/golden/other_networks.json` lists their tensors under the authors' names, and
`other_networks.npz` holds what their published code returns for these weights: inputs `first0,
second0, ...` (H, W), outputs `NAME0, ...`, float32 in [0, 1].
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent.parent / "golden"


def stand_in_tensors(network: str) -> dict[str, torch.Tensor]:
    """Every tensor of `seafusion` or `ltofusion`, under the authors' names."""
    shapes = json.loads((GOLDEN / "other_networks.json").read_text())[network]
    return {key: torch.from_numpy(_stand_in(network, key, shape)) for key, shape in shapes.items()}


def _stand_in(network: str, key: str, shape: list[int]) -> np.ndarray:
    seed = zlib.crc32(f"{network}.{key}".encode())
    noise = np.random.default_rng(seed).standard_normal(shape)
    if key.endswith("num_batches_tracked"):
        return np.array(100, np.int64)
    if key.endswith("running_var"):
        noise = 1 + 0.2 * np.abs(noise)
    elif key.endswith(("running_mean", "bias")):
        noise = 0.1 * noise
    elif shape == [1]:  # the slope of an activation
        noise = 0.25 + 0.05 * noise
    elif len(shape) == 1:
        noise = 1 + 0.1 * noise
    else:
        noise = noise / np.sqrt(np.prod(shape[1:]))
    return noise.astype(np.float32)


def golden_arrays() -> dict[str, np.ndarray]:
    """The known answers."""
    with np.load(GOLDEN / "other_networks.npz") as arrays:
        return dict(arrays)
