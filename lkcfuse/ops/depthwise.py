"""Depthwise large-kernel convolution with a fast gradient on a CPU.

The native depthwise convolution is fast forwards and in its input's gradient, in channels-last
order, but its weight's gradient is not: at 15x15 it takes some thirty times as long. That gradient
is the correlation of input and output gradient, channel by channel, and goes by FFT here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

FFT_FROM = 9


class DepthwiseConv2d(nn.Conv2d):
    """One odd square kernel a channel, stride 1, zero padding that keeps the size, no bias."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(
            channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W), keeping the size."""
        if torch.compiler.is_compiling():
            return super().forward(x)  # exporters and compilers take operators they know
        learning = torch.is_grad_enabled() and self.weight.requires_grad
        if learning and x.device.type == "cpu" and self.kernel_size[0] >= FFT_FROM:
            result: Tensor = _Depthwise.apply(x, self.weight)  # type: ignore[no-untyped-call]
            return result
        return super().forward(x)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, weight)
        return conv2d(x, weight, padding=weight.shape[-1] // 2, groups=weight.shape[0])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        kernel = weight.shape[-1]
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad = grad.contiguous(memory_format=torch.channels_last)
            turned = weight.flip(2, 3)
            grad_x = conv2d(grad, turned, padding=kernel // 2, groups=weight.shape[0])
        if ctx.needs_input_grad[1]:
            grad_weight = depthwise_weight_gradient(x, grad, kernel)
        return grad_x, grad_weight


def depthwise_weight_gradient(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """Return the gradient of a "same" depthwise convolution in its weight, (C, 1, K, K).

    Args:
        x: Its input, (N, C, H, W).
        grad: The gradient in its output, the same shape.
        kernel: K, odd.
    """
    margin = kernel // 2
    height, width = (_fast_length(max(size + margin, kernel)) for size in x.shape[2:])
    spectrum = torch.zeros(x.shape[1], height, width // 2 + 1, dtype=torch.complex64)
    for image, image_grad in zip(x, grad, strict=True):
        there = torch.fft.rfft2(image.contiguous(), s=(height, width))
        back = torch.fft.rfft2(image_grad.contiguous(), s=(height, width))
        spectrum += there * back.conj()
    # Shifts of -margin..margin; what would wrap around falls on the padding.
    full = torch.fft.irfft2(spectrum, s=(height, width))
    rolled: Tensor = full.roll((margin, margin), (1, 2))
    return rolled[:, None, :kernel, :kernel].contiguous()


def _fast_length(length: int) -> int:
    """Return the smallest even length from `length` on whose only prime factors are 2, 3 and 5."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1 and length % 2 == 0:
            return length
        length += 1
