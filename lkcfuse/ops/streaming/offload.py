"""A GPU that computes the convolutions of a run whose maps stay in the host's memory."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

Convolve = Callable[[Tensor], Tensor]
"""Takes `(1, inputs, H, W)` and gives `(1, outputs, H - K + 1, W - K + 1)`, float32 on the host."""


class GpuOffload:
    """A GPU for images that it has no room for in one piece.

    The large convolutions are nine tenths of the arithmetic, and they alone are computed here: a
    region is sent up, convolved and taken down again. Maps, their statistics and what is pointwise
    stay on the host, as in a run on the CPU. So the GPU needs room for a region, whatever the size
    of the image, and nothing but a convolution ever meets a tensor of another device.

    Args:
        device: The GPU.
        dtype: What it multiplies; sums of it come back as float32.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self._device = device
        self._dtype = dtype
        # One region at a time: that bounds the memory, and Metal's streams are not made for
        # several threads. The others make regions ready and store results meanwhile.
        self._turn = Lock()

    def convolution(self, conv: nn.Conv2d) -> Convolve:
        """Send a layer's weight up, and return what convolves with it, without padding and bias.

        Raises:
            RuntimeError: The GPU is out of memory; what is returned raises it too.
        """
        weight = self._send(conv.weight.detach())

        def convolve(padded: Tensor) -> Tensor:
            with self._turn:
                result = conv2d(self._send(padded), weight, groups=conv.groups).float().cpu()
            return result.contiguous(memory_format=torch.channels_last)

        return convolve

    def _send(self, values: Tensor) -> Tensor:
        return values.to(self._device, self._dtype, memory_format=fast_format(self._device))


def fast_format(device: torch.device) -> torch.memory_format:
    """The order of a tensor's values that convolutions on a device are fast and right with.

    On MPS several versions of torch convolve channels-last tensors wrongly, without an error.
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last
