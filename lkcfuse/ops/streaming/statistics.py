"""Statistics of a feature map, gathered region by region.

Regions must cover the map once, without overlap. Their means and variances are merged in float64
by the formula of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for computing
sample variances", 1979), for all regions at once: the spread within the regions plus that of their
means. It is exact in exact arithmetic and does not cancel, so the order and the size of the regions
do not show in the result. Everything here is on the host, where MPS has no float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lkcfuse.ops.products import matmul
from lkcfuse.ops.regions import Region
from lkcfuse.ops.workspace import new_tensor, workspace


@dataclass(frozen=True)
class ChannelStatistics:
    """Count, mean and sum of squared deviations of every channel.

    Attributes:
        count: Pixels seen.
        mean: `(channels,)` float64.
        deviations: `(channels,)` float64, sum over pixels of (value - mean)^2.
    """

    count: int
    mean: Tensor
    deviations: Tensor

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


@dataclass(frozen=True)
class JointStatistics(ChannelStatistics):
    """Statistics of channels and of every linear map of them.

    Attributes:
        products: `(channels, channels)` float64, sum over pixels of the products of deviations.
    """

    products: Tensor

    def of_linear(self, weight: Tensor, bias: Tensor) -> ChannelStatistics:
        """Statistics of `pixels @ weight + bias`, which need not be computed for it.

        Args:
            weight: `(channels, results)`.
            bias: `(results,)`.
        """
        weight, bias = weight.double(), bias.double()
        deviations = ((self.products @ weight) * weight).sum(0).clamp_min(0)
        return ChannelStatistics(self.count, self.mean @ weight + bias, deviations)


class RunningStatistics:
    """Takes measurements in any order, from any thread, and merges them in one order.

    So a result does not depend, in its last bit, on which thread was first.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Region, int, Tensor, Tensor]] = []

    def add(self, region: Region, values: Tensor) -> None:
        """Measure the `(..., channels)` float32 values of a region not seen before."""
        pixels = values.reshape(-1, values.shape[-1])
        if pixels.shape[0] == 0:
            return
        # The same two-pass kernel that batch normalisation runs; `var_mean` over rows is some
        # thirty times slower on a CPU.
        mean, variance = torch.batch_norm_update_stats(pixels, None, None, 0.0)
        self._parts.append((region, pixels.shape[0], mean, variance))

    def statistics(self, offset: Tensor | None = None) -> ChannelStatistics:
        """Merge what was taken in, at least a pixel.

        Args:
            offset: `(channels,)`, what has been added to every pixel since it was measured.
        """
        parts = sorted(self._parts, key=lambda part: part[0])
        pixels = torch.tensor([count for _, count, _, _ in parts], dtype=torch.float64)[:, None]
        means = torch.stack([mean for _, _, mean, _ in parts]).double()
        variances = torch.stack([variance for _, _, _, variance in parts]).double()
        count = sum(count for _, count, _, _ in parts)
        mean = (pixels * means).sum(0) / count
        deviations = (pixels * (variances + (means - mean) ** 2)).sum(0)
        if offset is not None:
            mean = mean + offset.double()
        return ChannelStatistics(count, mean, deviations)


class JointRunningStatistics:
    """Takes measurements as `RunningStatistics` does, with the covariances between the channels."""

    def __init__(self) -> None:
        self._parts: list[tuple[Region, int, Tensor, Tensor]] = []

    def add(self, region: Region, values: Tensor) -> None:
        """Measure the `(..., channels)` float32 values of a region not seen before."""
        pixels = values.reshape(-1, values.shape[-1])
        count, channels = pixels.shape
        if count == 0:
            return
        mean = pixels.mean(0)
        # Deviations from the mean, not the squares less the mean's: those cancel.
        centred = torch.sub(pixels, mean, out=workspace.take("centred", count, channels))
        products = matmul(centred.T, centred, new_tensor(channels, channels))
        self._parts.append((region, count, mean, products))

    def statistics(self, offset: Tensor | None = None) -> JointStatistics:
        """See `RunningStatistics.statistics`."""
        parts = sorted(self._parts, key=lambda part: part[0])
        pixels = torch.tensor([count for _, count, _, _ in parts], dtype=torch.float64)
        means = torch.stack([mean for _, _, mean, _ in parts]).double()
        count = sum(count for _, count, _, _ in parts)
        mean = pixels @ means / count
        apart = means - mean
        products = (apart.T * pixels) @ apart
        for _, _, _, part in parts:
            products += part
        if offset is not None:
            mean = mean + offset.double()
        return JointStatistics(count, mean, products.diagonal(), products)


def batch_norm(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch normalisation does in evaluation mode, as `scale * x + shift`."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    return _affine(mean.double(), variance.double(), norm)


def _affine(
    mean: Tensor, variance: Tensor, norm: nn.GroupNorm | nn.BatchNorm2d
) -> tuple[Tensor, Tensor]:
    scale = norm.weight.double() / torch.sqrt(variance.reshape(-1) + norm.eps)
    shift = norm.bias.double() - scale * mean.reshape(-1)
    return scale.float(), shift.float()


def concatenated(*parts: ChannelStatistics) -> ChannelStatistics:
    """Statistics of maps put side by side along the channels."""
    return ChannelStatistics(
        parts[0].count,
        torch.cat([part.mean for part in parts]),
        torch.cat([part.deviations for part in parts]),
    )
