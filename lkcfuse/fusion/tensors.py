"""`Fuser.fuse` on tensors: each pair by an inference session, so at any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lkcfuse.errors import InputError, WeightsError
from lkcfuse.fusion.colour import luma_of
from lkcfuse.fusion.model import FusionModel
from lkcfuse.images.image import FLOAT_TOLERANCE
from lkcfuse.inference import InferenceSession


def fuse_tensors(
    model: FusionModel,
    session: InferenceSession,
    first: Any,
    second: Any,
    *,
    invert_first: bool = False,
    progress: Callable[[float, float], None] | None = None,
) -> Tensor:
    """Fuse tensors; see `Fuser.fuse`.

    Args:
        model: What fuses.
        session: Of its network, or of its weight map if it has one.
        first: (C, H, W) or (N, C, H, W), uint8 or float in [0, 1].
        second: Likewise.
        invert_first: The first image is black-hot.
        progress: Called with (done, total) for each pair.

    Raises:
        InputError: They are not such tensors.
        WeightsError: The network gives values that are not numbers.
        ResourceError: Memory or scratch do not suffice.
    """
    sources = [
        _unit(name, tensor)
        for name, tensor in ((model.task.first, first), (model.task.second, second))
    ]
    single = second.ndim == 3
    try:
        model.check_shapes(*sources)
    except ValueError as error:
        raise InputError(str(error)) from None
    processing = model.processing
    weighs = model.weight_map is not None
    with torch.no_grad():
        lumas = [luma_of(source).cpu() for source in sources]
        if invert_first:
            lumas[0] = 1 - lumas[0]
        fused = torch.empty_like(lumas[1])
        for index, pair in enumerate(zip(*lumas, strict=True)):
            planes = processing.scaled(torch.cat(processing.ordered(*pair)))
            output = torch.from_numpy(session.run(planes.numpy(), progress=progress))
            if not output.isfinite().all():
                raise WeightsError(
                    "the weights give NaN or infinite values for these tensors: choose "
                    "other weights"
                )
            fused[index, 0] = output if weighs else processing.unit(output)
        sources = [source.to(second.device) for source in sources]
        if weighs and invert_first:
            sources[0] = 1 - sources[0]
        finish = model.mixed if weighs else model.finished
        pixels = finish(fused.clamp_(0, 1).to(second.device), *sources)
        dtype = torch.promote_types(first.dtype, second.dtype)
        result = pixels.to(dtype) if dtype.is_floating_point else (255 * pixels).round_().to(dtype)
    return result[0] if single else result


def _unit(modality: str, tensor: object) -> Tensor:
    """Return a tensor as (N, C, H, W) float32 in [0, 1]."""
    name = f"the {modality} tensor"
    if not isinstance(tensor, Tensor):
        raise InputError(
            f"the {modality} source is of type {type(tensor).__name__}, and the other source is a "
            "tensor: give both as tensors"
        )
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise InputError(f"{name} has type {tensor.dtype}: give uint8, or float between 0 and 1")
    if tensor.ndim not in (3, 4) or 0 in tensor.shape:
        raise InputError(
            f"{name} has shape {tuple(tensor.shape)}: give (C, H, W) or "
            "(N, C, H, W), C being 1 or 3"
        )
    batch = tensor.detach()[None] if tensor.ndim == 3 else tensor.detach()
    if tensor.dtype == torch.uint8:
        return batch.float() / 255
    unit = batch.float()
    lowest, highest = unit.min().item(), unit.max().item()
    if not (lowest >= -FLOAT_TOLERANCE and highest <= 1 + FLOAT_TOLERANCE):
        raise InputError(
            f"{name} has float values from {lowest:g} to {highest:g}: scale them to 0..1"
        )
    return unit.clamp(0, 1)
