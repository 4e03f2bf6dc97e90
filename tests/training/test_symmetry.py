"""Networks that mirror and turn with their sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lkcfuse.architectures.lkc_funet import LKCFUNet
from lkcfuse.models import load_network
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.loop import train
from lkcfuse.training.setup import gather
from lkcfuse.training.symmetry import (
    TURNS,
    Turn,
    make_gradients_symmetric,
    make_symmetric,
    symmetric_kernels,
    symmetric_part,
)


def test_the_eight_turns_are_eight_and_undo_themselves() -> None:
    image = torch.arange(12.0).reshape(3, 4)
    seen = {tuple(turn.apply(image).flatten().tolist()) for turn in TURNS}
    assert len(seen) == 8
    for turn in TURNS:
        assert torch.equal(turn.undo(turn.apply(image)), image)


def test_a_turn_by_hand() -> None:
    image = torch.tensor([[1, 2], [3, 4]])
    assert Turn(0, mirrored=True).apply(image).tolist() == [[2, 1], [4, 3]]
    assert Turn(1, mirrored=False).apply(image).tolist() == [[2, 4], [1, 3]]


def test_the_symmetric_part_is_a_projection_onto_what_does_not_change() -> None:
    kernels = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    part = symmetric_part(kernels)
    mean = torch.stack([turn.apply(kernels) for turn in TURNS]).mean(0)
    torch.testing.assert_close(part, mean)
    for turn in TURNS:
        assert torch.equal(turn.apply(part), part)
    assert torch.equal(symmetric_part(part), part)
    # What is taken away is orthogonal to what stays.
    assert ((kernels - part) * part).sum().abs().item() < 1e-4


def random_network(config: TrainingConfig) -> LKCFUNet:
    torch.manual_seed(3)
    network = LKCFUNet(config.network()).eval()
    nn.init.normal_(network.head.conv.weight, std=0.5)
    return network


def largest_difference(network: nn.Module, turn: Turn) -> float:
    pair = torch.rand(1, 2, 24, 32, generator=torch.Generator().manual_seed(4)) * 2 - 1
    with torch.no_grad():
        return (turn.undo(network(turn.apply(pair))) - network(pair)).abs().max().item()


@pytest.mark.parametrize("turn", TURNS[1:], ids=str)
def test_symmetric_kernels_make_the_network_equivariant(tiny: TrainingConfig, turn: Turn) -> None:
    network = random_network(tiny)
    assert largest_difference(network, turn) > 1e-3
    make_symmetric(network)
    assert largest_difference(network, turn) < 1e-5


def test_initial_weights_keep_their_size(tiny: TrainingConfig) -> None:
    network = random_network(tiny)
    before = [kernel.norm().item() for kernel, _ in symmetric_kernels(network)]
    make_symmetric(network, keep_size=True)
    after = [kernel.norm().item() for kernel, _ in symmetric_kernels(network)]
    assert after == pytest.approx(before, rel=1e-5)


def test_gradients_keep_only_what_a_symmetric_kernel_can_follow() -> None:
    layer = nn.Conv2d(1, 1, 3, padding=1)
    layer.weight.grad = torch.tensor([[[[8.0, 0, 0], [0, 5, 4], [0, 0, 0]]]])
    make_gradients_symmetric(layer)
    assert layer.weight.grad.tolist() == [[[[2, 1, 2], [1, 5, 1], [2, 1, 2]]]]
    halving = nn.Conv2d(1, 1, 3, stride=2, padding=1)
    halving.weight.grad = torch.tensor([[[[9.0, 9, 9], [9, 4, 0], [9, 0, 4]]]])
    make_gradients_symmetric(halving)
    assert halving.weight.grad.tolist() == [[[[0, 0, 0], [0, 2, 2], [0, 2, 2]]]]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_training_keeps_a_network_symmetric(
    pair_folder: Callable[..., Path], tiny: TrainingConfig, tmp_path: Path, optimizer: str
) -> None:
    config = replace(tiny, symmetric=True, optimizer=optimizer, learning_rate=1e-2, keep="last")
    output = tmp_path / "out.safetensors"
    train(config, gather(config, data=pair_folder()), output)
    network = load_network(output)
    for kernel, start in symmetric_kernels(network):
        square = kernel[..., start:, start:]
        assert torch.equal(symmetric_part(square), square)
    assert network.head.conv.weight.abs().max() > 0
    assert largest_difference(network, Turn(1, mirrored=True)) < 1e-5
