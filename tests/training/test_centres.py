"""Large kernels that learn beside a small one at their centre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lkcfuse.architectures.lkc_funet import LKCFUNet
from lkcfuse.models import load_checkpoint
from lkcfuse.training import loop
from lkcfuse.training.centres import add_initial_centres, centre_of, large_kernels
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.loop import Progress, train
from lkcfuse.training.optimizer import Optimizer
from lkcfuse.training.setup import gather

RATE = 1e-3


@pytest.fixture
def large(tiny: TrainingConfig) -> TrainingConfig:
    return replace(tiny, kernels=(9, 7, 3), optimizer="muon", centres=True)


def test_the_centre_is_the_middle_of_the_same_memory() -> None:
    kernel = torch.arange(49.0).reshape(1, 1, 7, 7)
    assert centre_of(kernel)[0, 0].tolist() == [[16, 17, 18], [23, 24, 25], [30, 31, 32]]
    centre_of(kernel).zero_()
    assert kernel[0, 0, 3, 3] == 0


def test_fresh_kernels_are_sharper_and_no_larger() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 32, 15, padding=7)
    small = nn.Conv2d(32, 32, 3, padding=1)
    before = layer.weight.norm().item()
    add_initial_centres(nn.Sequential(layer, small))
    assert [kernel.shape[-1] for kernel in large_kernels(nn.Sequential(layer, small))] == [15]
    share = (centre_of(layer.weight).norm() / layer.weight.norm()).item() ** 2
    # Half of the variance lies in 9 of the 225 taps, beside their share of the other half.
    assert share == pytest.approx(0.5 + 0.5 * 9 / 225, abs=0.03)
    assert layer.weight.norm().item() == pytest.approx(before, rel=0.05)


def moved(config: TrainingConfig, *, centres: bool) -> dict[str, Tensor]:
    torch.manual_seed(0)
    network = LKCFUNet(config.network())
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimizer = Optimizer(network, config.optimizer, weight_decay=0.0, centres=centres)
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        for parameter in network.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step(RATE)
    return {name: value.detach() - before[name] for name, value in network.named_parameters()}


def test_centres_make_steps_of_their_own(large: TrainingConfig) -> None:
    plain, also = (moved(large, centres=centres) for centres in (False, True))
    different = {name for name in plain if not torch.equal(plain[name], also[name])}
    assert "stem.expand.weight" in different
    assert not [name for name in different if "depthwise" in name or "shortcut" in name]
    extra = also["stem.expand.weight"] - plain["stem.expand.weight"]
    assert centre_of(extra).abs().min() > 0
    centre_of(extra).zero_()
    assert extra.abs().max() == 0


def test_a_run_with_centres_goes_on_as_if_never_stopped(
    pair_folder: Callable[..., Path], large: TrainingConfig, tmp_path: Path
) -> None:
    data = gather(large, data=pair_folder())
    whole, stopped = tmp_path / "whole.safetensors", tmp_path / "stopped.safetensors"
    train(large, data, whole)

    def stop(progress: Progress) -> None:
        if progress.step == 4:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SAVE_SECONDS", -1.0)
        with pytest.raises(KeyboardInterrupt):
            train(large, data, stopped, on_progress=stop)
    train(large, data, stopped, resume=True)
    ours, theirs = (load_checkpoint(path).state_dict for path in (whole, stopped))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
