"""The network run region by region, exactly.

Ordinary tiling runs the whole network on every tile, and each tile then normalises by statistics of
its own: tones jump from tile to tile. Here it is the layers that are run one after the other, each
over all regions, with the statistics of its result gathered on the way; the next layer starts when
they are complete. So the result is that of the whole image at any size of region, and what has to
be kept is a few feature maps, in memory or on disk.

The order of work also makes this the fastest way on a CPU, whatever the size: normalisations are
folded into the reading of the next layer, most of a fusion module collapses (see
`fusion`), and nothing is allocated twice.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lkcfuse.inference.blocks import Blocks
from lkcfuse.inference.card import Card
from lkcfuse.inference.features import Concatenated, FirstMaps, Linear, Normalised
from lkcfuse.inference.layers import SpectrumCache
from lkcfuse.inference.maps import Maps, Measured, NewMap
from lkcfuse.inference.statistics import ChannelStatistics, batch_norm, concatenated
from lkcfuse.network.blocks import bias_of
from lkcfuse.network.config import LEVELS
from lkcfuse.network.lkcfunet import LKCFUNet


class StreamingRun:
    """One image on its way through a network.

    Args:
        network: In evaluation mode, float32, on the CPU.
        spectra: Transformed kernels.
        new_map: Makes feature maps.
        tile: Bound on the sides of a region, in pixels; None for what is fastest.
        advance: Called with the number of multiplications (of direct convolution) just done.
        card: The GPU that computes the large convolutions; None for the CPU.
    """

    def __init__(
        self,
        network: LKCFUNet,
        spectra: SpectrumCache,
        new_map: NewMap,
        *,
        tile: int | None = None,
        advance: Callable[[float], None] = lambda _: None,
        card: Card | None = None,
    ) -> None:
        self._network = network
        self._spectra = spectra
        self._new_map = new_map
        self._tile = tile
        self._advance = advance
        self._card = card

    def run(self, pair: Tensor) -> Tensor:
        """Run the network.

        Args:
            pair: `(2, H, W)` float32, H and W multiples of 4.

        Returns:
            `(H, W)` float32, before the base is added.
        """
        network = self._network
        height, width = pair.shape[1:]
        maps = Maps(self._new_map, height, width, network.config.channels)
        blocks = Blocks(maps, self._spectra, self._tile, self._advance, self._card)
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
        x: Measured,
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
