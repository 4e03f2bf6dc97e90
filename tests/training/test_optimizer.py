"""Steps along gradients: what Muon takes, and what it leaves to AdamW."""

from __future__ import annotations

import copy

import pytest
import torch

from lkcfuse.architectures.lkc_funet import LKCFUNet
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.muon import LENGTH, Muon, orthogonal
from lkcfuse.training.optimizer import Optimizer

RATE = 1e-3
NAMES = ["adamw", "muon"]


def stepped(
    config: TrainingConfig, name: str
) -> tuple[LKCFUNet, Optimizer, dict[str, torch.Tensor]]:
    """Return a network after one step along random gradients, and by how much it moved."""
    torch.manual_seed(0)
    network = LKCFUNet(config.network())
    before = {key: value.detach().clone() for key, value in network.named_parameters()}
    optimizer = Optimizer(network, name, weight_decay=0.0)
    draw_gradients(network, seed=1)
    optimizer.step(RATE)
    moved = {key: value.detach() - before[key] for key, value in network.named_parameters()}
    return network, optimizer, moved


def draw_gradients(network: LKCFUNet, *, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_muon_moves_kernels_equally_far_in_all_directions(tiny: TrainingConfig) -> None:
    _, _, moved = stepped(tiny, "muon")
    step = moved["encoder.0.residual.first.conv.weight"].flatten(1)
    lengths = torch.linalg.svdvals(step)
    # Random gradients have singular values up to several times the smallest; five iterations
    # bring them between about .7 and 1.2 of the mean.
    assert lengths.max() < 2 * lengths.min()
    # And as far in a small kernel as in a large one.
    small = moved["decoder.0.residual.shortcut.weight"].flatten(1)
    for longest in (lengths.max(), torch.linalg.svdvals(small).max()):
        assert longest == pytest.approx(LENGTH * RATE, rel=0.25)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (5, 5)])
def test_an_orthogonal_matrix_keeps_the_directions_of_its_gradient(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator, dtype=torch.float64)
    left, lengths, right = torch.linalg.svd(matrix, full_matrices=False)
    ours = orthogonal(matrix)
    assert ours.shape == shape
    # In the gradient's own directions it is diagonal, and each of them about as long as another.
    inner = left.T @ ours @ right.T
    assert (inner - inner.diag().diag()).abs().max() < 1e-6
    kept = inner.diag()[lengths > 0.1 * lengths.max()]
    assert kept.min() > 0.6
    assert kept.max() < 1.3


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="a torch of before 2.9")
def test_muon_steps_as_torchs_own_does() -> None:
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(8, 60, generator=generator)
    ours, theirs = start.clone(), torch.nn.Parameter(start.clone())
    own = Muon([ours], weight_decay=0.0)
    reference = torch.optim.Muon([theirs], weight_decay=0.0)
    for _ in range(3):
        gradient = torch.randn(8, 60, generator=generator)
        ours.grad, theirs.grad = gradient, gradient.clone()
        for optimizer, rate in ((own, 0.01), (reference, 0.01 * LENGTH)):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
    # Its products are in bfloat16, which has three digits.
    moved = theirs.detach() - start
    assert (ours - theirs.detach()).abs().max() < 0.03 * moved.abs().max()


def test_muon_leaves_the_rest_to_adamw(tiny: TrainingConfig) -> None:
    _, _, moved = stepped(tiny, "muon")
    _, _, plain = stepped(tiny, "adamw")
    same = {key for key in moved if torch.equal(moved[key], plain[key])}
    assert {"head.conv.weight", "stem.norm.weight", "stem.expand.bias"} <= same
    assert {key for key in moved if "depthwise.weight" in key} <= same
    assert not {key for key in same if key.endswith("first.conv.weight")}
    # A first step of AdamW is as long as the rate, whatever the gradient.
    assert plain["stem.expand.weight"].abs().max() == pytest.approx(RATE, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_goes_on_from_its_state(tiny: TrainingConfig, name: str) -> None:
    network, optimizer, _ = stepped(tiny, name)
    twin = LKCFUNet(tiny.network())
    twin.load_state_dict(network.state_dict())
    other = Optimizer(twin, name, weight_decay=0.0)
    # As from a file: torch would have the two share their tensors.
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for who, its in ((network, optimizer), (twin, other)):
        draw_gradients(who, seed=2)
        its.step(RATE)
    ours, theirs = network.state_dict(), twin.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", NAMES)
def test_weights_decay_but_biases_do_not(tiny: TrainingConfig, name: str) -> None:
    network = LKCFUNet(tiny.network())
    for parameter in network.parameters():
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    Optimizer(network, name, weight_decay=0.1).step(1.0)
    for key, parameter in network.named_parameters():
        expected = 0.9 if parameter.ndim > 1 else 1.0
        assert parameter.flatten()[0].item() == pytest.approx(expected), key
