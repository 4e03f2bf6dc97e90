"""The weight-map network, wired.

One encoder looks at each source by itself. A decoder compares the two sets of features from the
coarsest resolution to the finest, once in either order, and the difference of its two answers is
the logit of the first source's weight. So exchanging the sources turns the weight w into 1 - w,
whatever the parameters are: a network of this kind cannot prefer the source that comes first.

There is no normalisation and no statistic of the whole image. A weight depends on the pixels
around it alone, so that tiles with a halo give what the whole image gives.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from lkcfuse.architectures.weight_map.config import WeightMapConfig
from lkcfuse.ops.padding import cropped, mirrored

SLOPE = 0.1
MARGIN_CELLS = 1
"""Cells of the coarsest resolution that an image is mirrored by on each side, except in training:
the picture's rim is rarely in a crop."""


class Block(nn.Module):
    """Two 3x3 convolutions, the second beside what the first gives."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = leaky_relu(self.first(x), SLOPE)
        return x + leaky_relu(self.second(x), SLOPE)


class Encoder(nn.Module):
    """The features of one source, from full resolution to the coarsest."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(Block(*sizes) for sizes in pairwise((1, *widths)))

    def forward(self, luma: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for level in self.levels:
            found.append(level(avg_pool2d(found[-1], 2) if found else luma))
        return found


class Decoder(nn.Module):
    """How much one source's features speak for it, beside the other's."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.bottom = Block(2 * widths[-1], widths[-1])
        # Fewer channels before they are enlarged, not after: that is where the memory goes.
        self.narrow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.levels = nn.ModuleList(Block(3 * width, width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, own: list[Tensor], other: list[Tensor]) -> Tensor:
        x: Tensor = self.bottom(torch.cat([own[-1], other[-1]], 1))
        for level in reversed(range(len(self.levels))):
            up = interpolate(
                self.narrow[level](x), scale_factor=2, mode="bilinear", align_corners=False
            )
            x = self.levels[level](torch.cat([own[level], other[level], up], 1))
        logit: Tensor = self.head(x)
        return logit


class WeightMapNetwork(nn.Module):
    """What the two forms below have in common, and are recognised by.

    Args:
        config: The widths.
    """

    def __init__(self, config: WeightMapConfig) -> None:
        super().__init__()
        self.config = config


class WeightMap(WeightMapNetwork):
    """Gives the weight of the first channel at each pixel; the second's is what is left of 1.

    Args:
        config: The widths.

    Shape:
        `(N, 2, H, W)` lumas, in the range the network was trained on, to `(N, 1, H, W)` in
        [0, 1], for any H, W >= 1. With the channels exchanged it gives 1 less that, but for
        rounding.
    """

    def __init__(self, config: WeightMapConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config.widths)
        self.decoder = Decoder(config.widths)

    def forward(self, pair: Tensor) -> Tensor:
        return torch.sigmoid(self.logit(pair))

    def logit(self, pair: Tensor) -> Tensor:
        """Return the logit of the weight, (N, 1, H, W)."""
        height, width = pair.shape[2:]
        cell = 1 << (len(self.config.widths) - 1)
        # What lies outside a convolution's input is 0, the same in both sources, so that all of
        # them are equally sharp there. A mirrored margin keeps that away from the picture.
        margin = 0 if self.training else MARGIN_CELLS * cell
        padded = mirrored(pair, cell, margin)
        first, second = self.encoder(padded[:, :1]), self.encoder(padded[:, 1:])
        logit = self.decoder(first, second) - self.decoder(second, first)
        return cropped(logit[:, :, margin:, margin:], height, width)


class WeightedMean(WeightMapNetwork):
    """Gives the fused image: the mean of the two channels, weighed by a `WeightMap`.

    Args:
        config: The widths.

    Shape:
        `(N, 2, H, W)` to `(N, 1, H, W)`, in the range of the input: never outside the two values
        that a pixel has in the sources.
    """

    def __init__(self, config: WeightMapConfig) -> None:
        super().__init__(config)
        self.map = WeightMap(config)

    def forward(self, pair: Tensor) -> Tensor:
        weight = self.map(pair)
        return torch.lerp(pair[:, 1:], pair[:, :1], weight)
