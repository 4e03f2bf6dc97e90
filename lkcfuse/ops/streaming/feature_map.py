"""A feature map, as a streamed run reads and writes it, wherever it is kept."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from torch import Tensor

from lkcfuse.ops.regions import Region


class FeatureMap(Protocol):
    """A feature map `(height, width, channels)`, channels last, read and written by regions.

    Threads may read at the same time, and write to regions that nobody else reads or writes.
    """

    height: int
    width: int
    channels: int

    def read(self, region: Region) -> Tensor:
        """Return the `(region.height, region.width, channels)` float32 values of a region.

        They are valid until this thread reads this map again, and not to be written to.
        """
        ...

    def writing(self, region: Region) -> AbstractContextManager[Tensor]:
        """A context that gives a place to put a region's values into, and stores them at its end.

        The place, `(region.height, region.width, channels)` float32, holds nothing of use before.
        What `read` gave of the same region, or of part of it, may change as it is written to.
        """
        ...

    def narrowed(self, channels: int) -> FeatureMap:
        """A map of fewer channels in the same place: row by row it takes this one's over."""
        ...

    def release(self) -> None:
        """Give the space back; the map is not used any more."""
        ...


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
