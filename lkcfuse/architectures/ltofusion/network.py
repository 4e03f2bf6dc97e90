"""LTOFusion, wired.

Source: He et al., "LTOFusion: a learning-to-optimize framework with flow matching for unsupervised
image fusion", IEEE Transactions on Image Processing 35 (2026) 2857-2872.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from lkcfuse.architectures.gradient_block import GradientBlock
from lkcfuse.ops.padding import cropped, pad_to_multiple

SIZE_MULTIPLE = 8
STEP = 0.1
"""The most that one step changes a value by."""


@dataclass(frozen=True)
class LTOFusionConfig:
    """What distinguishes one LTOFusion from another; read off the tensors.

    Attributes:
        widths: Channels at full, half, quarter and eighth resolution.
    """

    widths: tuple[int, int, int, int] = (16, 32, 64, 64)


class ConvBlock(nn.Module):
    """3x3 convolution, batch normalisation and PReLU; beside the input, if it is residual."""

    def __init__(self, inputs: int, outputs: int, *, residual: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.PReLU()
        self.residual = residual
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.activation(self.norm(self.conv(x)))
        return result + self.shortcut(x) if self.residual else result


class UpBlock(nn.Module):
    """Doubles height and width, then a `ConvBlock`, added to the encoder's map of that level."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, inputs, 4, stride=2, padding=1)
        self.block = ConvBlock(inputs, outputs)
        self.skip = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.block(self.up(x)) + self.skip(skip)
        return result


class Policy(nn.Module):
    """The encoder: what the state of the fusion looks like, at four resolutions."""

    def __init__(self, config: LTOFusionConfig) -> None:
        super().__init__()
        full, half, quarter, eighth = config.widths
        self.state = nn.ModuleList(
            [ConvBlock(3, full), ConvBlock(2 * full, half), ConvBlock(2 * half, quarter)]
        )
        self.guide = nn.ModuleList(
            [GradientBlock(1, full), GradientBlock(full, half), GradientBlock(half, quarter)]
        )
        self.bottom = ConvBlock(2 * quarter, eighth)

    def forward(self, a: Tensor, b: Tensor, fused: Tensor) -> list[Tensor]:
        """Return the state's features from full to eighth resolution."""
        state, guide = torch.cat([a, b, fused], 1), a
        found = []
        for of_state, of_guide in zip(self.state, self.guide, strict=True):
            state, guide = of_state(state), of_guide(guide)
            found.append(state)
            guide = max_pool2d(guide, 2)
            state = torch.cat([guide, max_pool2d(state, 2)], 1)
        return [*found, self.bottom(state)]


class Action(nn.Module):
    """The decoder: what to add to the fused image."""

    def __init__(self, config: LTOFusionConfig) -> None:
        super().__init__()
        full, half, quarter, eighth = config.widths
        self.levels = nn.ModuleList(
            [UpBlock(eighth, quarter), UpBlock(quarter, half), UpBlock(half, full)]
        )
        self.refine = ConvBlock(full, full, residual=False)
        self.last = nn.Conv2d(full, 1, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        *skips, x = features
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            x = level(x, skip)
        return STEP * torch.tanh(self.last(self.refine(x)))


class LTOFusion(nn.Module):
    """Starts from the pixelwise maximum and improves it in learned steps.

    Args:
        config: The widths.
        steps: How many; the authors take one for infrared and visible images, five for medical
            ones.

    Shape:
        `(N, 2, H, W)` to `(N, 1, H, W)` for any H, W >= 1. Channel 0 is the luma of the visible
        image or of the MRI slice, channel 1 that of the other source, both in [0, 1]; so is the
        output.
    """

    def __init__(self, config: LTOFusionConfig, *, steps: int = 1) -> None:
        super().__init__()
        self.config = config
        self.steps = steps
        self.policy = Policy(config)
        self.action = Action(config)

    def forward(self, pair: Tensor) -> Tensor:
        height, width = pair.shape[2:]
        padded = pad_to_multiple(pair, SIZE_MULTIPLE)
        a, b = padded[:, :1], padded[:, 1:]
        fused = torch.maximum(a, b)
        for _ in range(self.steps):
            fused = (fused + self.action(self.policy(a, b, fused))).clamp(0, 1)
        return cropped(fused, height, width)
