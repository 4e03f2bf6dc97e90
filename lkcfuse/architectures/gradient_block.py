"""The residual gradient block of SeAFusion, which LTOFusion took over.

Source: L. Tang, J. Yuan and J. Ma, "Image fusion in the loop of high-level vision tasks: A
semantic-aware real-time infrared and visible image fusion network", Information Fusion 82 (2022).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

INNER_SLOPE, OUTER_SLOPE = 0.2, 0.1
"""Slopes of the leaky ReLUs below zero: inside the dense part, and at the end of a block."""

AUTHORS_NAMES = {
    "dense.conv1.conv": "first",
    "dense.conv2.conv": "second",
    "convdown.conv": "merge",
    "sobelconv.convx": "gradient_x",
    "sobelconv.convy": "gradient_y",
    "convup.conv": "expand",
}
"""The authors' names of a block's layers, and ours."""


class GradientBlock(nn.Module):
    """Two densely connected 3x3 convolutions, beside the size of the input's gradient.

    The gradient's kernels are tensors of the checkpoint; they start as Sobel's.

    Args:
        inputs: Channels of the input (C); each of the two convolutions gives as many.
        outputs: Channels of the result.

    Shape:
        `(N, inputs, H, W)` to `(N, outputs, H, W)`.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.second = nn.Conv2d(2 * inputs, inputs, 3, padding=1)
        self.merge = nn.Conv2d(3 * inputs, outputs, 1)
        self.gradient_x = _depthwise(inputs)
        self.gradient_y = _depthwise(inputs)
        self.expand = nn.Conv2d(inputs, outputs, 1)
        sobel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        with torch.no_grad():
            self.gradient_x.weight.copy_(sobel.expand_as(self.gradient_x.weight))
            self.gradient_y.weight.copy_(sobel.T.expand_as(self.gradient_y.weight))

    def forward(self, x: Tensor) -> Tensor:
        """Run the block."""
        dense = torch.cat([x, leaky_relu(self.first(x), INNER_SLOPE)], 1)
        dense = torch.cat([dense, leaky_relu(self.second(dense), INNER_SLOPE)], 1)
        gradient = self.gradient_x(x).abs() + self.gradient_y(x).abs()
        return leaky_relu(self.merge(dense) + self.expand(gradient), OUTER_SLOPE)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
