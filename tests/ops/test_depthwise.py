"""The depthwise convolution's own gradient is the native one's."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d

from lkcfuse.ops.depthwise import DepthwiseConv2d


@pytest.mark.parametrize(
    ("count", "height", "width", "kernel"),
    [(2, 40, 33, 15), (1, 64, 48, 11), (3, 5, 7, 15), (1, 1, 1, 9), (2, 16, 16, 5)],
)
def test_gradients_agree_with_the_native_convolution(
    count: int, height: int, width: int, kernel: int
) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(6, kernel)
    x = torch.randn(count, 6, height, width, requires_grad=True)
    grad = torch.randn(count, 6, height, width)
    native = conv2d(x, layer.weight, padding=kernel // 2, groups=6)

    result = layer(x)

    torch.testing.assert_close(result, native, rtol=1e-5, atol=1e-5)
    ours = torch.autograd.grad(result, (x, layer.weight), grad)
    theirs = torch.autograd.grad(native, (x, layer.weight), grad)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-3)


def test_without_gradients_the_native_convolution_serves() -> None:
    layer = DepthwiseConv2d(4, 15).eval()
    x = torch.randn(1, 4, 20, 20)
    native = conv2d(x, layer.weight, padding=7, groups=4)
    with torch.no_grad():
        assert torch.equal(layer(x), native)
