"""Weight-map networks as an architecture: their checkpoints, their sizes, their halo."""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import nn

from lkcfuse.architectures.base import Architecture, Tensors
from lkcfuse.architectures.processing import Processing
from lkcfuse.architectures.weight_map.config import WeightMapConfig
from lkcfuse.architectures.weight_map.network import WeightedMean, WeightMapNetwork

_LEVEL = re.compile(r"map\.encoder\.levels\.(\d+)\.second\.weight")


class WeightMapArchitecture(Architecture):
    """Weighs two photographs of one scene, whichever comes first."""

    name = "weight-map"
    title = "WeightMap"
    network_type = WeightMapNetwork
    # A halo of 160 pixels costs little around tiles of this size, and they keep a picture of any
    # size within a gigabyte.
    preferred_tile = 1536

    def recognises(self, names: Collection[str]) -> bool:
        """Whether there are names of an encoder of ours."""
        return any(_LEVEL.fullmatch(name) for name in names)

    def read_config(self, tensors: Tensors, stored: str | None) -> WeightMapConfig:  # noqa: ARG002
        """Read the widths off the tensors."""
        levels = sum(bool(_LEVEL.fullmatch(name)) for name in tensors)
        layers = (f"map.encoder.levels.{level}.second" for level in range(levels))
        return WeightMapConfig(tuple(self.outputs(tensors, layer) for layer in layers))

    def build(self, config: WeightMapConfig, task: str | None = None) -> nn.Module:  # noqa: ARG002
        """Make a network; it is the same for every task."""
        return WeightedMean(config)

    def processing(self, task: str) -> Processing:  # noqa: ARG002
        """Return [-1, 1], which makes what lies outside the picture grey."""
        return Processing((-1.0, 1.0), (-1.0, 1.0))

    def weight_map(self, network: nn.Module) -> nn.Module | None:
        """Return the part of a network that gives the weight of its first channel."""
        return network.map if isinstance(network, WeightedMean) else None

    def halo(self, network: nn.Module) -> int:
        """Return what the convolutions on the way down and up see, and the enlargements.

        Two 3x3 convolutions at each resolution and on either way, whose pixels are 1, 2, 4...
        pixels of the image; a pixel of the coarser resolution for each enlargement; and what a
        pixel may lie away from the edge of its coarsest cell.
        """
        coarsest = self.alignment(network)
        pixels = 2 * coarsest - 1
        return 2 * pixels + 2 * pixels + 2 * (coarsest - 1) + coarsest

    def alignment(self, network: nn.Module) -> int:
        """Return the pixels of a cell at the coarsest resolution."""
        config: WeightMapConfig = network.config  # type: ignore[assignment]
        return 1 << (len(config.widths) - 1)

    def floats_per_pixel(self, config: WeightMapConfig) -> float:
        """Return what the finest level of the decoder has beside the features of both sources."""
        kept = sum(2.0 * width / 4.0**level for level, width in enumerate(config.widths))
        return kept + 8.0 * config.widths[0]


ARCHITECTURE = WeightMapArchitecture()
"""The one there is."""
