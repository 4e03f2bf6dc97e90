"""Statistics of a feature map, gathered region by region.

Regions must cover the map once, without overlap. Each one's mean and sum of squared deviations
are merged in float64 by the pairwise update of Chan, Golub and LeVeque ("Updating formulae and a
pairwise algorithm for computing sample variances", 1979), which is exact in exact arithmetic and
does not cancel, so the order and the size of the regions do not show in the result.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lkcfuse.inference.regions import Region


class Part(NamedTuple):
    """Statistics of some of a map's pixels, otherwise as in `ChannelStatistics`."""

    pixels: int
    mean: Tensor
    deviations: Tensor


def measure(values: Tensor) -> Part:
    """Measure `(..., channels)` float32 values."""
    pixels = values.reshape(-1, values.shape[-1])
    count = pixels.shape[0]
    if count == 0:
        nothing = torch.zeros(values.shape[-1], dtype=torch.float64)
        return Part(0, nothing, nothing)
    # The same two-pass kernel that batch normalisation runs; `var_mean` over rows is some thirty
    # times slower on a CPU.
    mean, variance = torch.batch_norm_update_stats(pixels, None, None, 0.0)
    return Part(count, mean.double().cpu(), variance.double().cpu() * count)


class ChannelStatistics:
    """Count, mean and sum of squared deviations of every channel.

    Attributes:
        count: Pixels seen.
        mean: `(channels,)` float64.
        deviations: `(channels,)` float64, sum over pixels of (value - mean)^2.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self.deviations = torch.zeros(channels, dtype=torch.float64)

    def add(self, part: Part) -> None:
        """Take in pixels not seen before."""
        if part.pixels == 0:
            return
        total = self.count + part.pixels
        shift = part.mean - self.mean
        self.mean += shift * (part.pixels / total)
        self.deviations += part.deviations + shift**2 * (self.count * part.pixels / total)
        self.count = total

    def group_norm(self, norm: nn.GroupNorm) -> tuple[Tensor, Tensor]:
        """What a group normalisation does to this map, as `scale * x + shift`.

        Returns:
            Scale and shift, `(channels,)` float32.
        """
        groups = norm.num_groups
        mean = self.mean.view(groups, -1)
        group_mean = mean.mean(1, keepdim=True)
        variance = (self.deviations.view(groups, -1) / self.count + (mean - group_mean) ** 2).mean(
            1, keepdim=True
        )
        return _affine(group_mean.expand_as(mean), variance.expand_as(mean), norm)


class Gathering:
    """Takes measurements in any order, from any thread, and merges them in one order.

    So a result does not depend, in its last bit, on which thread was first.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Region, Part]] = []

    def add(self, region: Region, values: Tensor) -> None:
        """Measure the values of a region not seen before."""
        self._parts.append((region, measure(values)))

    def statistics(self, channels: int) -> ChannelStatistics:
        """Merge what was taken in."""
        result = ChannelStatistics(channels)
        for _, part in sorted(self._parts, key=lambda pair: pair[0]):
            result.add(part)
        return result


def batch_norm(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch normalisation does in evaluation mode, as `scale * x + shift`."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    return _affine(mean.double(), variance.double(), norm)


def _affine(
    mean: Tensor, variance: Tensor, norm: nn.GroupNorm | nn.BatchNorm2d
) -> tuple[Tensor, Tensor]:
    scale = norm.weight.double().cpu() / torch.sqrt(variance.cpu().reshape(-1) + norm.eps)
    shift = norm.bias.double().cpu() - scale * mean.cpu().reshape(-1)
    return scale.float(), shift.float()


def concatenated(*parts: ChannelStatistics) -> ChannelStatistics:
    """Statistics of maps put side by side along the channels."""
    result = ChannelStatistics(0)
    result.count = parts[0].count
    result.mean = torch.cat([part.mean for part in parts])
    result.deviations = torch.cat([part.deviations for part in parts])
    return result
