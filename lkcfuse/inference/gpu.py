"""A whole image on a GPU, and what to know before and after it is tried."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from itertools import chain

import torch
from torch import Tensor, nn

from lkcfuse.inference.options import Precision
from lkcfuse.ops.streaming.offload import fast_format

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Precisions in which convolutions multiply shorter numbers than float32."""


def run_whole(
    network: nn.Module, pair: Tensor, device: torch.device, precision: Precision
) -> Tensor:
    """Run a network on `(2, H, W)` in one piece; it is left on the device, for the next image.

    Returns:
        `(H, W)` float32 on the CPU.

    Raises:
        RuntimeError: The device is out of memory, among other things.
    """
    layout = fast_format(device)
    half: AbstractContextManager[None] = nullcontext()
    if precision in HALVES:
        # Normalisations stay in float32.
        half = torch.autocast(device.type, dtype=HALVES[precision])
    # What inference mode makes, a network cannot be trained with.
    with torch.inference_mode(False):
        network = network.to(device)
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=layout)
    with tensor_cores(precision), half:
        result: Tensor = network(pair[None].to(device).contiguous(memory_format=layout))
    return result[0, 0].float().cpu()


def fits(floats: float, pixels: int, device: torch.device) -> bool:
    """Whether the whole image should fit in the device's memory.

    Args:
        floats: Numbers a pixel that a run takes at its worst moment.
        pixels: Of the image.
        device: The device.
    """
    if device.type != "cuda":
        return True  # no way to know beforehand: try
    free, _ = torch.cuda.mem_get_info(device)
    # The driver counts as used what torch holds back of earlier images for this one.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return 4 * floats * pixels < free


def none_when_out_of_memory(run: Callable[[], Tensor], device: torch.device) -> Tensor | None:
    """Call a function; None where the device's memory did not suffice for it."""
    try:
        return run()
    except RuntimeError as error:
        # CUDA has a class of its own for it; MPS and CUDA's libraries say it in the message alone.
        message = str(error)
        if not (
            isinstance(error, torch.OutOfMemoryError)
            or "out of memory" in message
            or "STATUS_ALLOC_FAILED" in message
        ):
            raise
    # The tensors of the frames that the error went through are freed only now that it is gone, and
    # where it came from a thread it is in a cycle with what waited for the thread.
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    return None


def on_host(network: nn.Module) -> nn.Module:
    """The network if it is on the CPU, else a copy there: its owner may count on where it is."""
    tensors = list(chain(network.parameters(), network.buffers()))
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return network
    copies: dict[int, object] = {}
    for tensor in tensors:
        copied = tensor.detach().cpu()
        is_parameter = isinstance(tensor, nn.Parameter)
        copies[id(tensor)] = nn.Parameter(copied, requires_grad=False) if is_parameter else copied
    return deepcopy(network, copies)


@contextmanager
def tensor_cores(precision: Precision) -> Iterator[None]:
    """Let CUDA round the factors of products to 10 bits where the precision allows it."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
