"""Stand-in weights for the full network, the same on every machine, so that none need travel.

`tests/golden/cases.npz` holds what the authors' network gives with them: inputs `x0, x1, ...`
(N, 2, H, W) and outputs `y0, y1, ...` (N, 1, H, W), float32.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent.parent / "golden"


def reference_state_dict() -> dict[str, torch.Tensor]:
    """Every tensor of the full network, under the authors' names."""
    tensors = {}
    for key, spec in json.loads((GOLDEN / "reference_state_dict.json").read_text()).items():
        array = _stand_in(key, tuple(spec["shape"]))
        tensors[key] = torch.from_numpy(array)
    return tensors


def _stand_in(key: str, shape: tuple[int, ...]) -> np.ndarray:
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith("num_batches_tracked"):
        return np.array(100, np.int64)
    if key.endswith("running_var"):
        noise = 1 + 0.2 * np.abs(noise)
    elif key.endswith(("running_mean", "bias")):
        noise = 0.1 * noise
    elif len(shape) == 1:  # the scale of a normalisation
        noise = 1 + 0.1 * noise
    else:
        noise = noise / np.sqrt(np.prod(shape[1:]))
    return noise.astype(np.float32)


def golden_cases() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The known answers: pairs of input and output."""
    with np.load(GOLDEN / "cases.npz") as cases:
        return [
            (torch.from_numpy(cases[f"x{index}"]), torch.from_numpy(cases[f"y{index}"]))
            for index in range(len(cases.files) // 2)
        ]
