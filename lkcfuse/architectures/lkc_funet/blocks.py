"""The blocks LKC-FUNet is made of (He et al., arXiv 2411.10036).

All take and give tensors `(N, channels, H, W)`. Statistics of a normalisation are those of the
whole tensor, so an image has to go through in one piece; `lkcfuse.inference` has the way to run
one in tiles that gives the same numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lkcfuse.ops.depthwise import DepthwiseConv2d
from lkcfuse.ops.large_kernel import LargeKernelConv2d

LARGE_KERNEL_EXPANSION = 1.5
CHANNEL_REDUCTION = 8


def bias_of(layer: nn.Conv2d) -> Tensor:
    """The bias of a convolution that has one."""
    assert layer.bias is not None
    return layer.bias


class DropPath(nn.Module):
    """Stochastic depth: in training, drops a residual branch for whole samples."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        mask = torch.bernoulli(torch.full((x.shape[0], 1, 1, 1), keep, device=x.device))
        return x * (mask / keep).to(x.dtype)


class PreNormConv(nn.Module):
    """Group normalisation, ReLU, dropout, convolution."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, groups: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, inputs)
        self.dropout = nn.Dropout(dropout)
        self.conv = LargeKernelConv2d(inputs, outputs, kernel)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(self.dropout(torch.relu(self.norm(x))))
        return result


class ResidualBlock(nn.Module):
    """Two pre-normalised large-kernel convolutions beside a shortcut."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, groups: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.first = PreNormConv(inputs, outputs, kernel, groups=groups)
        self.second = PreNormConv(outputs, outputs, kernel, groups=groups, dropout=dropout)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(self.first(x)) + self.shortcut(x)
        return result


class LargeKernelBlock(nn.Module):
    """Depthwise large-kernel convolution between two pointwise ones (after RepLKNet)."""

    def __init__(self, channels: int, kernel: int, *, drop_path: float = 0.0) -> None:
        super().__init__()
        hidden = int(LARGE_KERNEL_EXPANSION * channels)
        self.norm = nn.GroupNorm(1, channels)
        self.expand = nn.Conv2d(channels, hidden, 1, bias=False)
        self.expand_norm = nn.GroupNorm(1, hidden)
        self.depthwise = DepthwiseConv2d(hidden, kernel)
        self.depthwise_norm = nn.GroupNorm(1, hidden)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)
        self.project_norm = nn.GroupNorm(1, channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.expand_norm(self.expand(self.norm(x))))
        y = torch.relu(self.depthwise_norm(self.depthwise(y)))
        result: Tensor = x + self.drop_path(self.project_norm(self.project(y)))
        return result


class MultipathAdaptiveFusion(nn.Module):
    """Weighs the decoder's features against the skip connection's; doubles the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = max(1, channels // CHANNEL_REDUCTION)
        self.channel_squeeze = nn.Conv2d(channels, reduced, 1)
        self.channel_excite = nn.Conv2d(reduced, channels, 1)
        self.spatial = nn.Conv2d(2, 1, 1)
        self.spatial_norm = nn.BatchNorm2d(1)
        self.path_norm = nn.BatchNorm2d(channels)
        self.select = nn.Conv2d(channels, 2, 1)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.mix_norm = nn.BatchNorm2d(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)

    def channel_path(self, mean: Tensor) -> Tensor:
        """Channel attention `(N, C, 1, 1)` from the decoder's spatial mean `(N, C, 1, 1)`."""
        result: Tensor = self.channel_excite(torch.relu(self.channel_squeeze(mean)))
        return result

    def forward(self, decoder: Tensor, skip: Tensor) -> Tensor:
        """Fuse two `(N, C, H, W)` into `(N, 2C, H, W)`."""
        return self.fuse(decoder, skip, self.channel_path(decoder.mean((2, 3), keepdim=True)))

    def fuse(self, decoder: Tensor, skip: Tensor, channel: Tensor) -> Tensor:
        """Fuse with a channel attention computed beforehand: all that is left is pointwise."""
        descriptors = torch.cat([skip.mean(1, keepdim=True), skip.amax(1, keepdim=True)], 1)
        spatial = self.spatial_norm(self.spatial(descriptors))
        weights = torch.softmax(self.select(self.path_norm(channel + spatial)), 1)
        x = decoder + weights[:, :1] * decoder
        s = skip + weights[:, 1:] * skip
        mixed = torch.sigmoid(s) * x + torch.sigmoid(x) * s
        gate = torch.sigmoid(self.mix_norm(self.mix(mixed)))
        result: Tensor = self.expand(gate * decoder)
        return result


class Downsample(nn.Module):
    """Halves height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        return result


class Upsample(nn.Module):
    """Doubles height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(nn.functional.interpolate(x, scale_factor=2, mode="nearest"))
        return result
