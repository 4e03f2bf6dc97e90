"""What a layer reads: stored maps, made ready for a convolution region by region.

Every convolution of the network is preceded by a normalisation and (nearly always) a ReLU. Once
the statistics are known a normalisation is `scale * x + shift`, so it is applied while a region is
fetched, and maps that follow from stored ones by pointwise arithmetic are never stored themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from lkcfuse.ops.products import add_mapped_channels, map_channels
from lkcfuse.ops.regions import Region
from lkcfuse.ops.streaming.feature_map import FeatureMap
from lkcfuse.ops.workspace import workspace

CACHE_FLOATS = 512 * 1024
"""Floats that elementwise steps work on at a time.

A core's cache holds about as many. Fewer stay in it more surely, but threads then hand Python's
lock to each other more often, which at the compact width took a tenth of the time.
"""

EVEN_SHARES = 4
"""Pieces of work come in multiples of it, to be shared out evenly among two or four threads.

It is not the number of threads: that must not show in the last bits of a result, and the
statistics of pieces do.
"""


class Features(Protocol):
    """Values a layer reads, `(height, width, channels)`."""

    height: int
    width: int
    channels: int

    def fill(self, region: Region, out: Tensor) -> None:
        """Write a region's values into `out`, `(region.height, region.width, channels)`."""
        ...


def row_bands(region: Region, channels: int, multiple: int = 1) -> Iterator[Region]:
    """Cut a region into equal bands of rows small enough to stay in cache.

    Args:
        region: What to cut.
        channels: Floats a pixel.
        multiple: Of what the number of bands is a multiple, where there are rows enough.
    """
    most = max(1, CACHE_FLOATS // (region.width * channels))
    count = math.ceil(region.height / most / multiple) * multiple
    rows = math.ceil(region.height / count)
    for top in range(region.top, region.bottom, rows):
        yield Region(top, min(top + rows, region.bottom), region.left, region.right)


@dataclass
class Stored:
    """A stored map as it is."""

    source: FeatureMap

    def __post_init__(self) -> None:
        self.height, self.width = self.source.height, self.source.width
        self.channels = self.source.channels

    def fill(self, region: Region, out: Tensor) -> None:
        """See `Features.fill`."""
        out.copy_(self.source.read(region))


@dataclass
class Normalised:
    """`relu(scale * x + shift)` of a stored map."""

    source: FeatureMap
    scale: Tensor
    shift: Tensor

    def __post_init__(self) -> None:
        self.height, self.width = self.source.height, self.source.width
        self.channels = self.source.channels

    def fill(self, region: Region, out: Tensor) -> None:
        """See `Features.fill`."""
        for band in row_bands(region, self.channels):
            target = out[band.top - region.top : band.bottom - region.top]
            torch.addcmul(self.shift, self.source.read(band), self.scale, out=target)
            target.relu_()


@dataclass
class Pointwise:
    """`relu(x @ weight + bias)` of a stored map: a 1x1 convolution, its normalisation folded in.

    Attributes:
        source: The map.
        weight: `(source.channels, channels)`.
        bias: `(channels,)`.
    """

    source: FeatureMap
    weight: Tensor
    bias: Tensor

    def __post_init__(self) -> None:
        self.height, self.width = self.source.height, self.source.width
        self.channels = self.weight.shape[1]

    def fill(self, region: Region, out: Tensor) -> None:
        """See `Features.fill`."""
        for band in row_bands(region, self.channels):
            target = out[band.top - region.top : band.bottom - region.top]
            buffer = workspace.take("pointwise", band.height, band.width, self.channels)
            map_channels(self.source.read(band), self.weight, buffer)
            torch.add(buffer, self.bias, out=target)
            target.relu_()


@dataclass
class Linear:
    """`x @ weight` of a stored map: a 1x1 convolution without its bias, as a shortcut.

    Attributes:
        source: The map.
        weight: `(source.channels, channels)`.
    """

    source: FeatureMap
    weight: Tensor

    def add_to(self, region: Region, values: Tensor) -> None:
        """Add a region's values to others, `(height, width, channels)`."""
        add_mapped_channels(self.source.read(region), self.weight, values)


@dataclass
class FirstMaps:
    """The first 3x3 convolution, of the two sources: so cheap that it is computed where needed.

    Attributes:
        pair: `(2, height, width)`, the sources.
        weight: `(channels, 2, 3, 3)`, with a following normalisation folded in.
        bias: `(channels,)`, likewise.
        relu: Whether a ReLU is applied.
    """

    pair: Tensor
    weight: Tensor
    bias: Tensor
    relu: bool = False

    def __post_init__(self) -> None:
        self.height, self.width = self.pair.shape[1:]
        self.channels = self.weight.shape[0]

    def folded(self, scale: Tensor, shift: Tensor) -> FirstMaps:
        """The same maps with `relu(scale * x + shift)` applied."""
        weight = self.weight * scale[:, None, None, None]
        return FirstMaps(self.pair, weight, self.bias * scale + shift, relu=True)

    def fill(self, region: Region, out: Tensor) -> None:
        """See `Features.fill`."""
        for band in row_bands(region, self.channels):
            values = self.compute(band)
            target = out[band.top - region.top : band.bottom - region.top]
            if self.relu:
                torch.clamp_min(values, 0, out=target)
            else:
                target.copy_(values)

    def add_to(self, region: Region, values: Tensor) -> None:
        """Add a region's values, without the ReLU, to others."""
        values.add_(self.compute(region))

    def compute(self, band: Region) -> Tensor:
        """The values before the ReLU, `(height, width, channels)`."""
        inner = band.grown(1, self.height, self.width)
        margins = (
            inner.left - (band.left - 1),
            band.right + 1 - inner.right,
            inner.top - (band.top - 1),
            band.bottom + 1 - inner.bottom,
        )
        pixels = self.pair[:, inner.top : inner.bottom, inner.left : inner.right]
        padded = nn.functional.pad(pixels, margins)[None]
        padded = padded.contiguous(memory_format=torch.channels_last)
        return conv2d(padded, self.weight, self.bias)[0].permute(1, 2, 0)


@dataclass
class Concatenated:
    """Maps put side by side along the channels."""

    parts: Sequence[Features]

    def __post_init__(self) -> None:
        self.height, self.width = self.parts[0].height, self.parts[0].width
        self.channels = sum(part.channels for part in self.parts)

    def fill(self, region: Region, out: Tensor) -> None:
        """See `Features.fill`."""
        start = 0
        for part in self.parts:
            part.fill(region, out[..., start : start + part.channels])
            start += part.channels
