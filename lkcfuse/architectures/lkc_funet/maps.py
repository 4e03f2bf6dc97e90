"""The feature maps of one streamed run of LKC-FUNet."""

from __future__ import annotations

from lkcfuse.architectures.lkc_funet.blocks import LARGE_KERNEL_EXPANSION
from lkcfuse.ops.streaming.feature_map import FeatureMap, NewMap
from lkcfuse.ops.streaming.maps import MeasuredMap


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

    def new(self, level: int, name: str) -> MeasuredMap:
        """A map of C channels."""
        return MeasuredMap(self._make(level, self.channels, name, self.channels))

    def inner(self, level: int, channels: int) -> MeasuredMap:
        """The map inside a block, which is one at a time: they can all share one memory."""
        widest = int(LARGE_KERNEL_EXPANSION * self.channels)
        return MeasuredMap(self._make(level, channels, "inner", widest))

    def _make(self, level: int, channels: int, name: str, room: int) -> FeatureMap:
        shape = (self.height >> level, self.width >> level, channels)
        return self._new_map(level, shape, name, room)
