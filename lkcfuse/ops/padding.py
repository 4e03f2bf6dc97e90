"""Padding to sizes that a network with several resolutions takes."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def pad_to_multiple(pair: Tensor, multiple: int) -> Tensor:
    """Pad `(N, C, H, W)` at the bottom and the right until H and W are multiples of `multiple`.

    Reflects about the last row and column; repeats them where an image is too small to reflect.
    """
    height, width = pair.shape[2:]
    down, right = -height % multiple, -width % multiple
    if right:
        pair = pad(pair, (0, right, 0, 0), mode="reflect" if right < width else "replicate")
    if down:
        pair = pad(pair, (0, 0, 0, down), mode="reflect" if down < height else "replicate")
    return pair
