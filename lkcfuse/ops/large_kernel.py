"""Dense large-kernel convolution, fast on a CPU.

`LargeKernelConv2d` is `torch.nn.Conv2d` with "same" zero padding and stride 1, differentiable in
input, weight and bias. On a CPU, large kernels go through `overlap_save` where its cost model
says that pays; small ones, and everything on other devices, through the native convolution. For
training on some processors there is a third way: see `use_mixed_precision`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from lkcfuse.ops.column_steps import Fill
from lkcfuse.ops.mixed_precision import bfloat16_conv2d, has_fast_bfloat16
from lkcfuse.ops.overlap_save import convolve, kernel_spectrum, weight_gradient
from lkcfuse.ops.products import single_threaded
from lkcfuse.ops.regions import Region, fill_region
from lkcfuse.ops.tiles import plan_tiles
from lkcfuse.ops.workspace import new_tensor


class LargeKernelConv2d(nn.Conv2d):
    """Convolution with an odd square kernel, stride 1, zero padding that keeps the size.

    Attributes:
        mixed_precision: Whether gradients on a CPU are computed with products in bfloat16.
    """

    mixed_precision = False

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return super().forward(x)  # exporters and compilers take operators they know
        if self.mixed_precision and torch.is_grad_enabled() and x.device.type == "cpu":
            return bfloat16_conv2d(x, self.weight, self.bias)
        return large_kernel_conv2d(x, self.weight, self.bias)


def use_mixed_precision(network: nn.Module) -> bool:
    """Have a network's large kernels learn in mixed precision on a CPU where that is faster.

    What is computed without gradients stays in float32.

    Returns:
        Whether this processor is such a one; else nothing is changed.
    """
    fast = has_fast_bfloat16()
    for module in network.modules():
        if isinstance(module, LargeKernelConv2d):
            module.mixed_precision = fast
    return fast


def large_kernel_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve as `conv2d(x, weight, bias, padding=kernel // 2)` does, by the fastest way.

    Args:
        x: `(N, inputs, H, W)`.
        weight: `(outputs, inputs, K, K)`, K odd.
        bias: `(outputs,)` or None.

    Returns:
        `(N, outputs, H, W)`, in channels-last order when it was computed by FFT.
    """
    kernel = weight.shape[-1]
    plan = None
    if x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and x.numel():
        plan = plan_tiles(x.shape[2], x.shape[3], kernel, x.shape[1], weight.shape[0], x.shape[0])
    if plan is None:
        return conv2d(x, weight, bias, padding=kernel // 2)
    return fft_conv2d(x, weight, bias)


def fft_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`conv2d(x, weight, bias, padding=K // 2)` by overlap-save, whatever the cost model says."""
    result: Tensor = _OverlapSaveConv2d.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return result


class _OverlapSaveConv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return _same(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_x = _same(grad, weight.flip(2, 3).transpose(0, 1), None)
        if ctx.needs_input_grad[1]:
            kernel = weight.shape[-1]
            plan = plan_tiles(
                *x.shape[2:], kernel, x.shape[1], weight.shape[0], x.shape[0], always=True
            )
            assert plan is not None
            fill, inputs = _zero_padded(x, kernel // 2), x.shape[1]
            with single_threaded():
                grad_weight = weight_gradient(fill, inputs, grad.permute(0, 2, 3, 1), plan)
        if ctx.has_bias and ctx.needs_input_grad[2]:
            grad_bias = grad.sum((0, 2, 3))
        return grad_x, grad_weight, grad_bias


def _same(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Overlap-save convolution of `(N, C, H, W)`, zero padded, without autograd."""
    plan = plan_tiles(
        *x.shape[2:], weight.shape[-1], x.shape[1], weight.shape[0], x.shape[0], always=True
    )
    assert plan is not None
    fill = _zero_padded(x.detach(), weight.shape[-1] // 2)
    weight, bias = weight.detach(), bias if bias is None else bias.detach()
    out = new_tensor(x.shape[0], x.shape[2], x.shape[3], weight.shape[0])

    def emit(image: int, region: Region, values: Tensor) -> None:
        target = out[image, region.top : region.bottom, region.left : region.right]
        if bias is None:
            target.copy_(values)
        else:
            torch.add(values, bias, out=target)

    with single_threaded():
        convolve(fill, kernel_spectrum(weight, plan), plan, emit, images=x.shape[0])
    return out.permute(0, 3, 1, 2)


def _zero_padded(x: Tensor, margin: int) -> Fill:
    """Give `(N, C, H, W)` with zeros around it, as `convolve` takes it."""
    pixels = x.permute(0, 2, 3, 1)
    bounds = Region(0, x.shape[2], 0, x.shape[3])

    def fill(image: int, region: Region, out: Tensor) -> None:
        def read(inner: Region, target: Tensor) -> None:
            target.copy_(pixels[image, inner.top : inner.bottom, inner.left : inner.right])

        fill_region(region.moved(-margin, -margin), bounds, out, read)

    return fill
