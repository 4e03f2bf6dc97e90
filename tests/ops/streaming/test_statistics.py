import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lkcfuse.ops.regions import Region, cut
from lkcfuse.ops.streaming.statistics import (
    JointRunningStatistics,
    RunningStatistics,
    batch_norm,
    concatenated,
)


def gather(values, sizes):
    running, top = RunningStatistics(), 0
    for part in values.split(sizes):
        running.add(Region(top, top + len(part), 0, 1), part[:, None])
        top += len(part)
    return running.statistics()


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    channels=st.integers(1, 9),
    offset=st.sampled_from([0.0, 100.0, -1e4]),
)
def test_the_parts_do_not_show_in_the_whole(seed, cuts, channels, offset):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(sum(cuts), channels, generator=generator) + offset
    statistics = gather(values, cuts)
    exact = values.double()
    assert statistics.count == len(values)
    torch.testing.assert_close(statistics.mean, exact.mean(0), rtol=1e-6, atol=1e-6)
    wanted = ((exact - exact.mean(0)) ** 2).sum(0)
    torch.testing.assert_close(
        statistics.deviations, wanted, rtol=1e-4, atol=1e-8 * offset**2 * len(values) + 1e-5
    )


@pytest.mark.parametrize("kind", [RunningStatistics, JointRunningStatistics])
def test_nothing_to_add_changes_nothing(kind):
    running = kind()
    running.add(Region(0, 3, 0, 1), torch.ones(3, 1, 2))
    running.add(Region(3, 3, 0, 4), torch.empty(0, 4, 2))
    assert running.statistics().count == 3


@pytest.mark.parametrize("kind", [RunningStatistics, JointRunningStatistics])
def test_what_is_added_afterwards_moves_the_mean_alone(kind):
    values, offset = torch.randn(30, 1, 3), torch.tensor([1.0, -2.0, 300.0])
    running = kind()
    running.add(Region(0, 30, 0, 1), values)
    before, after = running.statistics(), running.statistics(offset)
    torch.testing.assert_close(after.mean, before.mean + offset.double())
    assert torch.equal(after.deviations, before.deviations)


def test_the_order_of_the_parts_does_not_show():
    values = torch.randn(40, 3)
    results = []
    for order in (range(8), reversed(range(8))):
        running = RunningStatistics()
        for i in order:
            running.add(Region(5 * i, 5 * i + 5, 0, 1), values[5 * i : 5 * i + 5, None])
        results.append(running.statistics())
    assert torch.equal(results[0].mean, results[1].mean)
    assert torch.equal(results[0].deviations, results[1].deviations)


def test_group_norm_becomes_scale_and_shift():
    torch.manual_seed(0)
    norm = nn.GroupNorm(3, 12)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    image = torch.randn(1, 12, 15, 11) * torch.arange(1, 13)[:, None, None] + 3
    scale, shift = gather(image[0].permute(1, 2, 0).reshape(-1, 12), [50, 100, 15]).group_norm(norm)
    found = image * scale[:, None, None] + shift[:, None, None]
    torch.testing.assert_close(found, norm(image), rtol=1e-4, atol=1e-5)


def test_batch_norm_becomes_scale_and_shift():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(5)
    norm(torch.randn(4, 5, 9, 9) * 3 + 1)
    norm.eval()
    image = torch.randn(1, 5, 6, 7)
    scale, shift = batch_norm(norm)
    found = image * scale[:, None, None] + shift[:, None, None]
    torch.testing.assert_close(found, norm(image), rtol=1e-5, atol=1e-6)


def test_maps_side_by_side():
    values = torch.randn(40, 7)
    parts = concatenated(gather(values[:, :3], [40]), gather(values[:, 3:], [15, 25]))
    whole = gather(values, [40])
    assert parts.count == whole.count
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(parts.deviations, whole.deviations, rtol=1e-6, atol=0)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_joint_statistics_are_those_of_every_linear_map(offset):
    torch.manual_seed(0)
    values = torch.randn(40, 30, 6) * torch.arange(1, 7) + offset
    weight, bias = torch.randn(6, 9), torch.randn(9)
    running = JointRunningStatistics()
    for region in cut(40, 30, 7, 30):
        running.add(region, values[region.top : region.bottom])
    joint = running.statistics()
    found = joint.of_linear(weight, bias)
    channels = values.double().view(-1, 6)
    torch.testing.assert_close(joint.mean, channels.mean(0), rtol=1e-6, atol=1e-6)
    spread = ((channels - channels.mean(0)) ** 2).sum(0)
    torch.testing.assert_close(joint.deviations, spread, rtol=1e-5, atol=0)
    mapped = (values.double() @ weight.double() + bias.double()).view(-1, 9)
    torch.testing.assert_close(found.mean, mapped.mean(0), rtol=1e-6, atol=1e-4)
    deviations = ((mapped - mapped.mean(0)) ** 2).sum(0)
    torch.testing.assert_close(found.deviations, deviations, rtol=1e-5, atol=0)
    assert found.count == 1200
