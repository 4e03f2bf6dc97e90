"""The feature maps of a run: made for a level, measured as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, nn

from lkcfuse.inference.features import EVEN_SHARES, Features, Normalised, row_bands
from lkcfuse.inference.statistics import ChannelStatistics
from lkcfuse.inference.storage import FeatureMap
from lkcfuse.network.blocks import LARGE_KERNEL_EXPANSION
from lkcfuse.network.regions import Region


class NewMap(Protocol):
    """Makes feature maps."""

    def __call__(self, level: int, shape: tuple[int, int, int], name: str, room: int) -> FeatureMap:
        """Make one.

        Args:
            level: 0 for full resolution, 1 for half, 2 for a quarter.
            shape: Height, width, channels.
            name: Unique among the maps that are alive.
            room: Channels that a later map in the same memory may have.
        """
        ...


class Measured:
    """A feature map with the statistics of its channels."""

    def __init__(self, values: FeatureMap) -> None:
        self.map = values
        self.statistics: ChannelStatistics

    def normalised(self, norm: nn.GroupNorm) -> Normalised:
        """The map after a group normalisation and a ReLU."""
        return Normalised(self.map, *self.statistics.group_norm(norm))

    def add_to(self, region: Region, values: Tensor) -> None:
        """Add a region's values to others, `(height, width, channels)`: a shortcut."""
        values.add_(self.map.read(region))


class Maps:
    """Makes the maps of one run.

    Args:
        new_map: Where they come from.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        channels: That the levels work on (C).
    """

    def __init__(self, new_map: NewMap, height: int, width: int, channels: int) -> None:
        self._new_map = new_map
        self.height, self.width, self.channels = height, width, channels

    def new(self, level: int, name: str) -> Measured:
        """A map of C channels."""
        return Measured(self._make(level, self.channels, name, self.channels))

    def inner(self, level: int, channels: int) -> Measured:
        """The map inside a block, which is one at a time: they can all share one memory."""
        widest = int(LARGE_KERNEL_EXPANSION * self.channels)
        return Measured(self._make(level, channels, "inner", widest))

    def _make(self, level: int, channels: int, name: str, room: int) -> FeatureMap:
        shape = (self.height >> level, self.width >> level, channels)
        return self._new_map(level, shape, name, room)


def bands_of(values: FeatureMap | Features, channels: int) -> Iterator[Region]:
    """Cut a whole map into bands for the threads that stay in cache with that many channels."""
    return row_bands(Region(0, values.height, 0, values.width), channels, EVEN_SHARES)
