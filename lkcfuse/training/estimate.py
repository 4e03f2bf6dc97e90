"""How long a run will take on this machine, by a trial of one step."""

from __future__ import annotations

import math
import time

import torch

from lkcfuse.ops.large_kernel import use_mixed_precision
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.gradients import gradient
from lkcfuse.training.networks import new_network
from lkcfuse.training.sampling import sample_quarter


def estimate_seconds(config: TrainingConfig, *, device: torch.device) -> float:
    """Return about how long the steps of a run will take; validations come on top.

    The smallest crop is tried. The others are taken to cost by their pixels, and on a CPU by how
    many of them a thread gets.

    Args:
        config: The run's settings.
        device: Where it will train.
    """
    side, count = min(config.crops, key=lambda crop: _cost(crop, device))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = new_network(config).to(device).train()
        if config.mixed_precision:
            use_mixed_precision(network)
        batch = torch.rand(count, 2, side, side).to(device)
        part = sample_quarter(0, 0, side)
        for _ in range(2):  # the first one also loads libraries
            started = time.perf_counter()
            gradient(network, batch, config.loss, part, mixed_precision=config.mixed_precision)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - started
    by_cost = seconds / _cost((side, count), device)
    mean = sum(_cost(crop, device) for crop in config.crops) / len(config.crops)
    return by_cost * mean * config.steps


def _cost(crop: tuple[int, int], device: torch.device) -> float:
    side, count = crop
    rounds = math.ceil(count / torch.get_num_threads()) if device.type == "cpu" else count
    return float(rounds * side * side)
