"""The gradient of a step: the same, however its crops are shared out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lkcfuse.architectures.lkc_funet import LKCFUNet
from lkcfuse.inference import use_threads
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.gradients import Gradient, gradient, gradient_of_batch
from lkcfuse.training.losses import LossWeights
from lkcfuse.training.symmetry import Turn, make_symmetric

WEIGHTS = LossWeights(consistency=1.0)
PART = (slice(12, 36), slice(0, 24))


def make_network(config: TrainingConfig, **chances: float) -> LKCFUNet:
    torch.manual_seed(0)
    network = LKCFUNet(config.network(), **chances).train()
    # From zero the head would pass no gradient on.
    nn.init.normal_(network.head.conv.weight, std=0.05)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return network


@pytest.fixture
def batch() -> Tensor:
    return torch.rand(3, 2, 48, 48, generator=torch.Generator().manual_seed(1))


def same(one: Gradient, other: Gradient) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.of, other.of, strict=True))


def test_crops_one_by_one_have_the_gradient_of_the_batch(
    tiny: TrainingConfig, batch: Tensor
) -> None:
    network = make_network(tiny)
    found = gradient(network, batch, WEIGHTS, PART)
    whole = gradient_of_batch(network, batch, WEIGHTS, PART)
    assert found.loss == pytest.approx(whole.loss, abs=1e-5)
    assert found.terms == pytest.approx(whole.terms, abs=1e-5)
    size = torch.cat([part.flatten() for part in whole.of]).norm()
    assert size > 1e-3
    off = torch.cat([(a - b).flatten() for a, b in zip(found.of, whole.of, strict=True)])
    # In noise, through a random network, the last digits count for up to half a percent.
    assert off.norm() < 2e-2 * size


def test_a_symmetric_network_has_nothing_to_mend_by_being_turned(
    tiny: TrainingConfig, batch: Tensor
) -> None:
    network = make_network(tiny)
    upright, turned = LossWeights(consistency=1.0), LossWeights(equivariance=1.0)
    part, turn = (slice(12, 36), slice(4, 28)), Turn(3, mirrored=True)

    def terms() -> tuple[float, float]:
        alone = gradient(network, batch, upright, part).terms["consistency"]
        return alone, gradient(network, batch, turned, part, turn).terms["equivariance"]

    alone, also_turned = terms()
    assert abs(alone - also_turned) > 1e-4
    make_symmetric(network)
    alone, also_turned = terms()
    assert also_turned == pytest.approx(alone, abs=1e-5)


def test_the_number_of_threads_changes_nothing(tiny: TrainingConfig, batch: Tensor) -> None:
    network = make_network(tiny)
    alone = gradient(network, batch, WEIGHTS, PART)
    for threads in (2, 3):
        with use_threads(threads):
            assert same(gradient(network, batch, WEIGHTS, PART), alone)


@pytest.mark.parametrize("chance", ["dropout", "drop_path"])
def test_chance_is_drawn_for_the_whole_batch_at_once(
    tiny: TrainingConfig, batch: Tensor, chance: str
) -> None:
    network = make_network(tiny, **{chance: 0.5})
    found = []
    for compute in (lambda: gradient(network, batch, WEIGHTS, PART),) * 2 + (
        lambda: gradient_of_batch(network, batch, WEIGHTS, PART),
    ):
        torch.manual_seed(7)
        found.append(compute())
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_statistics_are_learnt_from_the_whole_batch(tiny: TrainingConfig, batch: Tensor) -> None:
    network, other = make_network(tiny).train(), make_network(tiny).train()
    assert same(
        gradient(network, batch, WEIGHTS, PART), gradient_of_batch(other, batch, WEIGHTS, PART)
    )
    for ours, theirs in zip(network.buffers(), other.buffers(), strict=True):
        assert torch.equal(ours, theirs)
