"""Multipath adaptive fusion, a band at a time and in place."""

from __future__ import annotations

import torch
from torch import Tensor

from lkcfuse.architectures.lkc_funet.blocks import MultipathAdaptiveFusion, bias_of
from lkcfuse.ops.parallel import for_each
from lkcfuse.ops.products import matmul
from lkcfuse.ops.regions import Region
from lkcfuse.ops.streaming.maps import MeasuredMap, bands_of
from lkcfuse.ops.streaming.statistics import ChannelStatistics, JointRunningStatistics, batch_norm
from lkcfuse.ops.workspace import workspace


def fuse(
    x: MeasuredMap,
    skip: MeasuredMap,
    fusion: MultipathAdaptiveFusion,
    expand: Tensor,
    bias: Tensor,
) -> ChannelStatistics:
    """Replace `x` by `gate * x`; return the statistics of what the expansion makes of it.

    Args:
        x: The decoder's features, C channels.
        skip: The encoder's, C channels.
        fusion: The module.
        expand: `(C, 2C)`, the weight of its last 1x1 convolution.
        bias: `(2C,)`, the bias of that.

    The selection sees `channel + spatial`, one number a channel plus one number a pixel,
    through a normalisation and a 1x1 convolution: that is `slope * spatial + intercept` for
    each of its two maps, and the softmax of two is the sigmoid of their difference.
    """
    channels = x.map.channels
    mean = x.statistics.mean.float()[None, :, None, None]
    scale, shift = batch_norm(fusion.path_norm)
    channel = fusion.channel_path(mean).flatten() * scale + shift
    select = fusion.select.weight[:, :, 0, 0]
    intercept = select @ channel + bias_of(fusion.select)
    slope = select @ scale
    spatial_scale, spatial_shift = batch_norm(fusion.spatial_norm)
    of_mean, of_max = (fusion.spatial.weight.flatten() * spatial_scale).tolist()
    spatial_bias = (bias_of(fusion.spatial) * spatial_scale + spatial_shift).item()
    slope_difference = (slope[0] - slope[1]).item()
    offset = (intercept[0] - intercept[1]).item() + slope_difference * spatial_bias

    mix_scale, mix_shift = batch_norm(fusion.mix_norm)
    mix = (fusion.mix.weight[:, :, 0, 0] * mix_scale[:, None]).T.contiguous()
    mix_bias = bias_of(fusion.mix) * mix_scale + mix_shift

    running = JointRunningStatistics()

    def gate(band: Region) -> None:
        decoder, encoder = x.map.read(band), skip.map.read(band)
        logit = encoder.mean(2).mul_(of_mean * slope_difference)
        logit.add_(encoder.amax(2), alpha=of_max * slope_difference).add_(offset)
        weight = torch.sigmoid(logit)[..., None]
        shape = (band.height, band.width, channels)
        a, b, mixed, gates = (
            workspace.take(f"fusion {part}", *shape) for part in ("a", "b", "mixed", "gates")
        )
        torch.mul(decoder, weight + 1, out=a)
        torch.mul(encoder, 2 - weight, out=b)
        torch.sigmoid(b, out=mixed).mul_(a)
        mixed.addcmul_(torch.sigmoid(a, out=gates), b)
        matmul(mixed.view(-1, channels), mix, gates.view(-1, channels)).add_(mix_bias)
        with x.map.writing(band) as target:
            torch.mul(gates.sigmoid_(), decoder, out=target)
            running.add(band, target)

    for_each(gate, bands_of(x.map, 2 * channels))
    return running.statistics().of_linear(expand, bias)
