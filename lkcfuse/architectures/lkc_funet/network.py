"""LKC-FUNet, wired (He et al., arXiv 2411.10036)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from lkcfuse.architectures.lkc_funet.blocks import (
    Downsample,
    LargeKernelBlock,
    MultipathAdaptiveFusion,
    PreNormConv,
    ResidualBlock,
    Upsample,
    bias_of,
)
from lkcfuse.architectures.lkc_funet.config import LEVELS, SIZE_MULTIPLE, NetworkConfig
from lkcfuse.ops.large_kernel import LargeKernelConv2d
from lkcfuse.ops.padding import cropped, pad_to_multiple

Block = TypeVar("Block", bound=nn.Module)


def _typed(blocks: Iterable[Block]) -> Sequence[Block]:
    """A module list that type checkers know the elements of."""
    return cast("Sequence[Block]", nn.ModuleList(blocks))


class Stem(nn.Module):
    """From the two sources to the features of the first level, keeping the first maps aside."""

    def __init__(self, config: NetworkConfig, dropout: float) -> None:
        super().__init__()
        inner = config.inner
        self.conv = nn.Conv2d(2, inner, 3, padding=1)
        # One group a channel is instance normalisation, and works on a single pixel too.
        self.norm: nn.Module = (
            nn.BatchNorm2d(inner) if config.stem_norm == "batch" else nn.GroupNorm(inner, inner)
        )
        self.dropout = nn.Dropout(dropout)
        self.expand = LargeKernelConv2d(inner, config.channels, config.kernels[0])

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        first: Tensor = self.conv(pair)
        return self.expand(self.dropout(torch.relu(self.norm(first)))), first


class EncoderLevel(nn.Module):
    """The features of one resolution."""

    def __init__(self, config: NetworkConfig, level: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        channels, kernel = config.channels, config.kernels[level]
        self.residual = ResidualBlock(
            channels, channels, kernel, groups=config.groups, dropout=dropout
        )
        self.large_kernel = LargeKernelBlock(channels, kernel, drop_path=drop_path)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.large_kernel(self.residual(x))
        return result


class DecoderLevel(nn.Module):
    """Fuses the coarser features with the encoder's of the same resolution."""

    def __init__(self, config: NetworkConfig, level: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        channels, kernel = config.channels, config.kernels[level]
        self.fusion = MultipathAdaptiveFusion(channels)
        self.residual = ResidualBlock(
            2 * channels, channels, kernel, groups=config.groups, dropout=dropout
        )
        # The full-resolution level has one large-kernel block where the others have two.
        self.large_kernels = _typed(
            LargeKernelBlock(channels, kernel, drop_path=drop_path)
            for _ in range(1 if level == 0 else 2)
        )

    def forward(self, decoder: Tensor, skip: Tensor) -> Tensor:
        x: Tensor = self.residual(self.fusion(decoder, skip))
        for block in self.large_kernels:
            x = block(x)
        return x


class LKCFUNet(nn.Module):
    """Large-kernel convolution fusion UNet.

    Args:
        config: Width, kernels, stem normalisation and base.
        dropout: Probability of the dropouts, in training (0.2 in the paper).
        drop_path: Probability of dropping a large-kernel branch, in training (0.2 in the paper).

    Shape:
        `(N, 2, H, W)` to `(N, 1, H, W)` for any H, W >= 1. Channel 0 is the luma of the visible,
        CT, PET or SPECT image, channel 1 the infrared or MRI image, in the range of values the
        weights were trained for. The output is not clipped.
    """

    def __init__(
        self, config: NetworkConfig, *, dropout: float = 0.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.stem = Stem(config, dropout)
        self.encoder = _typed(
            EncoderLevel(config, level, dropout, drop_path) for level in range(LEVELS)
        )
        self.downsample = _typed(Downsample(channels) for _ in range(LEVELS - 1))
        self.middle = _typed(
            LargeKernelBlock(channels, config.kernels[-1], drop_path=drop_path) for _ in range(2)
        )
        self.decoder = _typed(
            DecoderLevel(config, level, dropout, drop_path) for level in range(LEVELS)
        )
        self.upsample = _typed(Upsample(channels) for _ in range(LEVELS - 1))
        self.refine = ResidualBlock(
            channels + config.inner,
            channels,
            config.kernels[0],
            groups=config.groups,
            dropout=dropout,
        )
        self.head = PreNormConv(channels, 1, 3, groups=config.groups)
        if config.base == "max":
            # Training then starts at the maximum itself; a checkpoint overwrites this.
            nn.init.zeros_(self.head.conv.weight)
            nn.init.zeros_(bias_of(self.head.conv))

    def forward(self, pair: Tensor) -> Tensor:
        if pair.ndim != 4 or pair.shape[1] != 2 or min(pair.shape[2:]) < 1:
            raise ValueError(f"the network takes (N, 2, H, W), not {tuple(pair.shape)}")
        height, width = pair.shape[2:]
        result = cropped(self._features(pad_to_multiple(pair, SIZE_MULTIPLE)), height, width)
        if self.config.base == "max":
            result = result + pair.amax(1, keepdim=True)
        return result

    def _features(self, pair: Tensor) -> Tensor:
        x, first = self.stem(pair)
        skips = []
        for level in range(LEVELS):
            if level:
                x = self.downsample[level - 1](x)
            x = self.encoder[level](x)
            skips.append(x)
        for block in self.middle:
            x = block(x)
        for level in reversed(range(LEVELS)):
            x = self.decoder[level](x, skips[level])
            if level:
                x = self.upsample[level - 1](x)
        result: Tensor = self.head(self.refine(torch.cat([x, first], 1)))
        return result
