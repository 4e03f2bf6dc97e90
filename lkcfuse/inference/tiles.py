"""Networks without statistics of the whole image, run tile by tile with all that a tile sees."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lkcfuse.architectures.base import Architecture
from lkcfuse.errors import ResourceError
from lkcfuse.inference.gpu import run_whole
from lkcfuse.inference.options import Precision
from lkcfuse.ops.regions import Region, cut


def check_tileable(network: nn.Module, architecture: Architecture) -> int:
    """Return a network's halo.

    Raises:
        ResourceError: It has none, because it needs the whole image.
    """
    halo = architecture.halo(network)
    if halo is None:
        raise ResourceError(
            f"{architecture.title} computes statistics of the whole image and cannot be run in "
            "tiles: free memory, or use a smaller image"
        )
    return halo


def run_in_tiles(
    network: nn.Module,
    architecture: Architecture,
    pair: Tensor,
    tile: int | None,
    device: torch.device,
    precision: Precision,
    progress: Callable[[float, float], None] | None = None,
) -> Tensor:
    """Run a network tile by tile; the result is that of the whole image, but for rounding.

    Every tile goes through with a margin as wide as the network sees, so no value of it depends on
    where the image was cut.

    Args:
        network: In evaluation mode.
        architecture: Its architecture.
        pair: `(2, H, W)` float32.
        tile: Bound on the sides of a tile without its margin, in pixels; None for the whole image.
        device: Where to compute.
        precision: Of the arithmetic on a GPU.
        progress: Called with (done, total) pixels.

    Returns:
        `(H, W)` float32 on the CPU.

    Raises:
        ResourceError: The network cannot be run in tiles.
        RuntimeError: The device is out of memory, among other things.
    """
    height, width = pair.shape[1:]
    if tile is None:
        result = run_whole(network, pair, device, precision)
        if progress is not None:
            progress(height * width, height * width)
        return result
    halo, alignment = check_tileable(network, architecture), architecture.alignment(network)
    result = torch.empty(height, width)
    done = 0
    for region in cut(height, width, tile, tile):
        seen = _aligned(region.grown(halo, height, width), alignment, height, width)
        part = pair[:, seen.top : seen.bottom, seen.left : seen.right]
        fused = run_whole(network, part, device, precision)
        inner = region.moved(-seen.top, -seen.left)
        result[region.top : region.bottom, region.left : region.right] = fused[
            inner.top : inner.bottom, inner.left : inner.right
        ]
        done += region.height * region.width
        if progress is not None:
            progress(done, height * width)
    return result


def _aligned(region: Region, multiple: int, height: int, width: int) -> Region:
    """The smallest region around one whose edges are those of cells of the coarsest resolution."""
    return Region(
        region.top // multiple * multiple,
        min(height, -(-region.bottom // multiple) * multiple),
        region.left // multiple * multiple,
        min(width, -(-region.right // multiple) * multiple),
    )
