"""Feature maps that are measured as they are written."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from lkcfuse.ops.regions import Region
from lkcfuse.ops.streaming.feature_map import FeatureMap
from lkcfuse.ops.streaming.features import EVEN_SHARES, Features, Normalised, row_bands
from lkcfuse.ops.streaming.statistics import ChannelStatistics


class MeasuredMap:
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


def bands_of(values: FeatureMap | Features, channels: int) -> Iterator[Region]:
    """Cut a whole map into bands for the threads that stay in cache with that many channels."""
    return row_bands(Region(0, values.height, 0, values.width), channels, EVEN_SHARES)
