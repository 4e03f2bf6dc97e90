"""Learning rate and moving average over the course of a run."""

from __future__ import annotations

import math

import torch
from torch import nn

LOWEST_SHARE = 0.01


def one_cycle(share: float, *, peak: float, warmup: float) -> float:
    """Return the learning rate when `share` of a run is done: a linear rise, then half a cosine.

    Args:
        share: 0 at the start, 1 at the end.
        peak: The highest rate, reached at `warmup`; the last is a hundredth of it.
        warmup: Share of the run the rise takes.

    Example:
        >>> [round(one_cycle(s, peak=1.0, warmup=0.1), 2) for s in (0, 0.05, 0.1, 0.55, 1)]
        [0.05, 0.53, 1.0, 0.5, 0.01]
    """
    share = min(max(share, 0.0), 1.0)
    if share < warmup:
        return peak * (0.05 + 0.95 * share / warmup)
    fall = (share - warmup) / max(1 - warmup, 1e-9)
    return peak * (LOWEST_SHARE + (1 - LOWEST_SHARE) * 0.5 * (1 + math.cos(math.pi * fall)))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, updates: int, decay: float) -> None:
    """Move the averaged weights towards the network's by 1 - decay, faster in the first steps.

    Running statistics are averaged like the weights; counters are copied.
    """
    decay = min(decay, (1 + updates) / (10 + updates))
    theirs = dict(network.state_dict())
    for name, tensor in average.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(theirs[name], 1 - decay)
        else:
            tensor.copy_(theirs[name])
