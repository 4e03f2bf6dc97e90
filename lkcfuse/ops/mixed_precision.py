"""Large-kernel convolution for training on processors that multiply bfloat16 in matrix units.

With Intel's AMX a 15x15 convolution of 32 channels takes half to a tenth of the time of the FFT in
float32, forwards and backwards. Products are of bfloat16, sums of float32; what surrounds the
convolution stays in float32. The rounding, 2^-9 of each factor, is what mixed precision on a GPU
has too: fit for gradients, not for results, so nothing but training comes here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d


@lru_cache(maxsize=1)
def has_fast_bfloat16() -> bool:
    """Whether this processor has matrix units for bfloat16 and torch reports and uses them."""
    # Older torch does not report what the processor can do; it then counts as unable.
    report: Any = getattr(torch.cpu, "get_capabilities", None)
    if report is None:
        return False
    return bool(report().get("amx_bf16")) and bool(torch._C._has_mkldnn)


def bfloat16_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`conv2d(x, weight, bias, padding=K // 2)` with its products in bfloat16, differentiable.

    Args:
        x: `(N, inputs, H, W)` float32.
        weight: `(outputs, inputs, K, K)` float32, K odd.
        bias: `(outputs,)` float32 or None.

    Returns:
        `(N, outputs, H, W)` float32.
    """
    result: Tensor = _Bfloat16Conv2d.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return result


class _Bfloat16Conv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, weight = _rounded(x), weight.to(torch.bfloat16)
        ctx.save_for_backward(x, weight)
        result = conv2d(x, weight, padding=weight.shape[-1] // 2).float()
        return result if bias is None else result.add_(bias[:, None, None])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        margin = weight.shape[-1] // 2
        wanted = ctx.needs_input_grad
        grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
            _rounded(grad),
            x,
            weight,
            bias_sizes=None,
            stride=(1, 1),
            padding=(margin, margin),
            dilation=(1, 1),
            transposed=False,
            output_padding=(0, 0),
            groups=1,
            output_mask=(wanted[0], wanted[1], False),
        )
        return (
            grad_x.float() if wanted[0] else None,
            grad_weight.float() if wanted[1] else None,
            grad.sum((0, 2, 3)) if wanted[2] else None,
        )


def _rounded(maps: Tensor) -> Tensor:
    return maps.to(torch.bfloat16, memory_format=torch.channels_last)
