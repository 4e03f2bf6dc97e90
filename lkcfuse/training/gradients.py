"""The gradient of one step, its crops shared out over threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lkcfuse.architectures.lkc_funet.blocks import DropPath
from lkcfuse.architectures.weight_map import WeightedMean
from lkcfuse.fusion.model import FusionModel
from lkcfuse.ops.parallel import for_each
from lkcfuse.training.config import PROCESSING
from lkcfuse.training.losses import LossWeights, Quarter, fusion_loss
from lkcfuse.training.symmetry import Turn

Part = tuple[slice, slice]
"""Rows and columns of a crop."""
UPRIGHT = Turn(0, False)


@dataclass(frozen=True)
class Gradient:
    """What a step computes.

    Attributes:
        loss: Mean over the crops.
        terms: Mean of each term before weighting, under the names of `LossWeights`.
        of: The gradient of each of the network's parameters, in their order.
    """

    loss: float
    terms: dict[str, float]
    of: list[Tensor]


def gradient(
    network: nn.Module,
    batch: Tensor,
    weights: LossWeights,
    part: Part,
    turn: Turn = UPRIGHT,
    *,
    mixed_precision: bool = True,
) -> Gradient:
    """Compute the gradient of the training loss.

    On a CPU every crop goes through by itself, on a thread of its own where there are several:
    nobody waits between operators, and what a crop works on stays in one core's cache. Which thread
    takes which crop, and which ends first, changes no bit of the result.

    Args:
        network: In training mode.
        batch: (N, 2, side, side) in 0..1, in the network's order of sources; or with their truth,
            as `sample_batch` gives it.
        weights: How the loss is balanced.
        part: The quarter of the crops that `consistency` and `equivariance` fuse by itself.
        turn: How the quarter is turned for `equivariance`.
        mixed_precision: Whether a GPU may run the network in bfloat16. On a CPU the network itself
            knows: see `use_mixed_precision`.
    """
    if not _crops_are_independent(network, batch):
        return gradient_of_batch(
            network, batch, weights, part, turn, mixed_precision=mixed_precision
        )
    found: list[Gradient | None] = [None] * len(batch)

    def work(index: int) -> None:
        with torch.enable_grad():
            found[index] = gradient_of_batch(network, batch[index : index + 1], weights, part, turn)

    crops = range(len(batch))
    _share_out(work, crops)
    return _mean([crop for crop in found if crop is not None])


def _crops_are_independent(network: nn.Module, batch: Tensor) -> bool:
    """Whether crops one by one give what they give together, on a CPU."""
    if batch.device.type != "cpu" or len(batch) == 1:
        return False
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.training:
            return False  # learns from all of them
        if isinstance(module, nn.Dropout) and module.p:
            return False  # draws from one source of chance, in the order of the crops
        if isinstance(module, DropPath) and module.probability:
            return False
    return True


def _share_out(work: Callable[[int], None], crops: range) -> None:
    # With many more threads than crops, operators shared out over all of them are faster.
    if 2 * len(crops) >= torch.get_num_threads():
        for_each(work, crops)
    else:
        for index in crops:
            work(index)


def _mean(crops: list[Gradient]) -> Gradient:
    share = 1 / len(crops)
    sums = [torch.stack(parts).sum(0) for parts in zip(*(crop.of for crop in crops), strict=True)]
    return Gradient(
        sum(crop.loss for crop in crops) * share,
        {name: sum(crop.terms[name] for crop in crops) * share for name in crops[0].terms},
        [total.mul_(share) for total in sums],
    )


def gradient_of_batch(
    network: nn.Module,
    batch: Tensor,
    weights: LossWeights,
    part: Part,
    turn: Turn = UPRIGHT,
    *,
    mixed_precision: bool = False,
) -> Gradient:
    """Compute the gradient as `gradient` does, all crops in one batch."""
    sources = batch[:, :2]
    weight = None
    if isinstance(network, WeightedMean):
        weight = network.map(PROCESSING.scaled(sources))
        fused = torch.lerp(sources[:, 1:], sources[:, :1], weight) * 255
    else:
        fused = _fuse(network, sources, mixed_precision)
    quarters: dict[str, Quarter] = {}
    for name, turned in (("consistency", UPRIGHT), ("equivariance", turn)):
        if getattr(weights, name):
            seen = turned.apply(sources[..., part[0], part[1]])
            quarters[name] = Quarter(turned.undo(_fuse(network, seen, mixed_precision)), *part)
    other, first = sources[:, :1] * 255, sources[:, 1:] * 255
    truth = (batch[:, 2:3] * 255, batch[:, 3:]) if batch.shape[1] > 2 else None
    loss, terms = fusion_loss(fused, first, other, weights, quarters, weight=weight, truth=truth)
    # A crop's own gradients, not summed up in the parameters: threads would meet there.
    found = torch.autograd.grad(loss, list(network.parameters()))
    return Gradient(loss.item(), terms, list(found))


def _fuse(network: nn.Module, batch: Tensor, mixed_precision: bool) -> Tensor:
    """Fuse sources in 0..1 to levels, 0..255."""
    kind = batch.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=mixed_precision and kind == "cuda"):
        fused = FusionModel(network, PROCESSING).luma(batch[:, 1:], batch[:, :1])
    return fused * 255
