"""The network run region by region, exactly.

Ordinary tiling runs the whole network on every tile, and each tile then normalises by statistics of
its own: tones jump from tile to tile. Here it is the layers that are run one after the other, each
over all regions, with the statistics of its result gathered on the way; the next layer starts when
they are complete. So the result is that of the whole image at any size of region, and what has to
be kept is a few feature maps, in memory or on disk.

The order of work also makes this the fastest way on a CPU, whatever the size: normalisations are
folded into the reading of the next layer, most of a fusion module collapses (see
`streamed_fusion`), and nothing is allocated twice.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lkcfuse.architectures.base import MapMemory, Streaming, StreamingContext
from lkcfuse.architectures.lkc_funet.blocks import bias_of
from lkcfuse.architectures.lkc_funet.config import LEVELS, NetworkConfig
from lkcfuse.architectures.lkc_funet.maps import Maps
from lkcfuse.architectures.lkc_funet.memory import map_memory
from lkcfuse.architectures.lkc_funet.network import LKCFUNet
from lkcfuse.architectures.lkc_funet.streamed_blocks import Blocks
from lkcfuse.ops.padding import pad_to_multiple
from lkcfuse.ops.streaming.features import Concatenated, FirstMaps, Linear, Normalised
from lkcfuse.ops.streaming.maps import MeasuredMap
from lkcfuse.ops.streaming.statistics import ChannelStatistics, batch_norm, concatenated


class LkcFunetStreaming(Streaming):
    """How any LKC-FUNet is streamed; see `Streaming`."""

    def memory(self, config: NetworkConfig) -> MapMemory:
        """Return what the feature maps of a network take."""
        return map_memory(config)

    def multiplications(self, network: nn.Module, height: int, width: int) -> float:
        """Return the multiplications that direct convolution would take, padding included."""
        # The first convolution, of the two sources, is computed anew wherever it is needed.
        network = cast("LKCFUNet", network)
        multiple = self.memory(network.config).size_multiple
        pixels = (height + -height % multiple) * (width + -width % multiple)
        total: float = _weights(network.stem.expand, network.refine, network.head) * pixels
        total += _weights(*network.middle) * pixels / 4 ** (LEVELS - 1)
        for level in range(LEVELS):
            of_level = _weights(network.encoder[level], network.decoder[level])
            if level:
                of_level += _weights(network.downsample[level - 1])
            if level < LEVELS - 1:
                of_level += _weights(network.upsample[level])
            total += of_level * pixels / 4**level
        return total

    def run(self, network: nn.Module, pair: Tensor, context: StreamingContext) -> Tensor:
        """Run a network on `(2, H, W)`; see `Streaming.run`."""
        network = cast("LKCFUNet", network)
        height, width = pair.shape[1:]
        padded = pad_to_multiple(pair[None], self.memory(network.config).size_multiple)[0]
        result = StreamingRun(network, context).run(padded)[:height, :width]
        if network.config.base == "max":
            for row, first, second in zip(result, pair[0], pair[1], strict=True):
                row.add_(torch.maximum(first, second))
        return result.contiguous()


def _weights(*modules: nn.Module) -> float:
    """Numbers in the kernels larger than one pixel."""
    return sum(
        part.weight.numel()
        for module in modules
        for part in module.modules()
        if isinstance(part, nn.Conv2d) and part.kernel_size[0] > 1
    )


class StreamingRun:
    """One image on its way through a network.

    Args:
        network: In evaluation mode, float32, on the CPU.
        context: Where maps and spectra are.
    """

    def __init__(self, network: LKCFUNet, context: StreamingContext) -> None:
        self._network = network
        self._context = context

    def run(self, pair: Tensor) -> Tensor:
        """Run the network.

        Args:
            pair: `(2, H, W)` float32, H and W multiples of 4.

        Returns:
            `(H, W)` float32, before the base is added.
        """
        network = self._network
        height, width = pair.shape[1:]
        maps = Maps(self._context.new_map, height, width, network.config.channels)
        blocks = Blocks(maps, self._context)
        first = FirstMaps(pair, network.stem.conv.weight, bias_of(network.stem.conv))
        first_statistics = blocks.measure(first)
        stem_norm = network.stem.norm
        if isinstance(stem_norm, nn.BatchNorm2d):
            affine = batch_norm(stem_norm)
        else:
            assert isinstance(stem_norm, nn.GroupNorm)
            affine = first_statistics.group_norm(stem_norm)
        x = maps.new(0, "encoder 0")
        blocks.convolve(first.folded(*affine), network.stem.expand, x)

        skips = []
        for level in range(LEVELS):
            if level:
                x = blocks.downsample(x, network.downsample[level - 1].conv, level)
            encoder = network.encoder[level]
            blocks.residual(x, encoder.residual, level)
            # The coarsest features go into another large-kernel block.
            blocks.large_kernel(x, encoder.large_kernel, x, level, joint=level == LEVELS - 1)
            skips.append(x)

        # The coarsest features are needed once more as they are, so the first block in the middle
        # writes to a map of its own; the blocks after it work in place.
        coarsest = LEVELS - 1
        x = maps.new(coarsest, "middle")
        blocks.large_kernel(skips[-1], network.middle[0], x, coarsest, joint=True)
        blocks.large_kernel(x, network.middle[1], x, coarsest)
        for level in reversed(range(LEVELS)):
            decoder = network.decoder[level]
            blocks.fused_residual(x, skips.pop(), decoder.fusion, decoder.residual, level)
            for count, block in enumerate(decoder.large_kernels, 1):
                another = count < len(decoder.large_kernels)
                blocks.large_kernel(x, block, x, level, joint=another)
            if level:
                x = blocks.upsample(x, network.upsample[level - 1].conv, level - 1)
        self._refine(blocks, maps, x, first, first_statistics)
        result = blocks.last(x, network.head.norm, network.head.conv)
        x.map.release()
        return result

    def _refine(
        self,
        blocks: Blocks,
        maps: Maps,
        x: MeasuredMap,
        first: FirstMaps,
        first_statistics: ChannelStatistics,
    ) -> None:
        """The last residual block, of the decoder's result beside the first maps, in place."""
        block = self._network.refine
        channels = x.map.channels
        scale, shift = concatenated(x.statistics, first_statistics).group_norm(block.first.norm)
        inner = maps.inner(0, channels)
        features = Concatenated(
            [
                Normalised(x.map, scale[:channels], shift[:channels]),
                first.folded(scale[channels:], shift[channels:]),
            ]
        )
        blocks.convolve(features, block.first.conv, inner)

        # On the shortcut, a 1x1 convolution of the first maps is a 3x3 one of the sources.
        assert isinstance(block.shortcut, nn.Conv2d)
        shortcut, bias = block.shortcut.weight[:, :, 0, 0], bias_of(block.shortcut)
        of_x, of_first = shortcut[:, :channels], shortcut[:, channels:]
        direct = FirstMaps(
            first.pair,
            torch.einsum("of,fiyx->oiyx", of_first, first.weight),
            of_first @ first.bias,
        )
        pointwise = Linear(x.map, of_x.T.contiguous())
        normalised = inner.normalised(block.second.norm)
        blocks.convolve(normalised, block.second.conv, x, pointwise, direct, bias=bias)
        inner.map.release()
