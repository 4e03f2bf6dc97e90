"""SeAFusion, wired.

Source: L. Tang, J. Yuan and J. Ma, "Image fusion in the loop of high-level vision tasks: A
semantic-aware real-time infrared and visible image fusion network", Information Fusion 82 (2022).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lkcfuse.architectures.gradient_block import INNER_SLOPE, GradientBlock


@dataclass(frozen=True)
class SeAFusionConfig:
    """What distinguishes one SeAFusion from another; all of it is read off the tensors.

    Attributes:
        encoder: Channels after the first convolution of a stream, and after each of its blocks.
        decoder: Channels after each convolution of the decoder but the last, which gives one.
    """

    encoder: tuple[int, ...] = (16, 32, 48)
    decoder: tuple[int, ...] = (64, 32, 16)


class Stream(nn.Module):
    """The features of one source."""

    def __init__(self, widths: Iterable[int]) -> None:
        super().__init__()
        first, *others = widths
        self.stem = nn.Conv2d(1, first, 3, padding=1)
        self.blocks = nn.Sequential(
            *(GradientBlock(*sizes) for sizes in pairwise([first, *others]))
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.blocks(leaky_relu(self.stem(x), INNER_SLOPE))
        return result


class SeAFusion(nn.Module):
    """Fuses infrared and visible luma.

    Args:
        config: The widths.

    Shape:
        `(N, 2, H, W)` to `(N, 1, H, W)` for any H, W >= 1. Channel 0 is the luma of the visible
        image, channel 1 the infrared image, both in [0, 1]; so is the output.
    """

    def __init__(self, config: SeAFusionConfig) -> None:
        super().__init__()
        self.config = config
        self.visible = Stream(config.encoder)
        self.infrared = Stream(config.encoder)
        widths = (2 * config.encoder[-1], *config.decoder, 1)
        self.decoder = nn.ModuleList(nn.Conv2d(*sizes, 3, padding=1) for sizes in pairwise(widths))

    def forward(self, pair: Tensor) -> Tensor:
        x = torch.cat([self.visible(pair[:, :1]), self.infrared(pair[:, 1:])], 1)
        *inner, last = self.decoder
        for layer in inner:
            x = leaky_relu(layer(x), INNER_SLOPE)
        return torch.tanh(last(x)) / 2 + 0.5
