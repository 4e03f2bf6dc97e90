"""The network run region by region, exactly.

Ordinary tiling runs the whole network on every tile, and each tile then normalises by statistics of
its own: tones jump from tile to tile. Here it is the layers that are run one after the other, each
over all regions, with the statistics of its result gathered on the way; the next layer starts when
they are complete. So the result is that of the whole image at any size of region, and what has to
be kept is a few feature maps, in memory or on disk.

The order of work also makes this the fastest way on a CPU, whatever the size: normalisations are
folded into the reading of the next layer, two of the three steps of a fusion module collapse (see
`_fuse`), and nothing is allocated twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from lkcfuse.inference import layers
from lkcfuse.inference.features import (
    Concatenated,
    Features,
    FirstMaps,
    Normalised,
    Pointwise,
    Stored,
    row_bands,
)
from lkcfuse.inference.layers import SpectrumCache
from lkcfuse.inference.regions import Region
from lkcfuse.inference.statistics import (
    ChannelStatistics,
    Gathering,
    batch_norm,
    concatenated,
)
from lkcfuse.inference.storage import FeatureMap
from lkcfuse.network.blocks import (
    LARGE_KERNEL_EXPANSION,
    LargeKernelBlock,
    MultipathAdaptiveFusion,
    ResidualBlock,
    bias_of,
)
from lkcfuse.network.config import LEVELS
from lkcfuse.network.lkcfunet import LKCFUNet
from lkcfuse.network.parallel import for_each
from lkcfuse.network.workspace import workspace


class NewMap(Protocol):
    """Makes feature maps."""

    def __call__(self, level: int, shape: tuple[int, int, int], name: str, room: int) -> FeatureMap:
        """Make one.

        Args:
            level: 0 for full resolution, 1 for half, 2 for a quarter.
            shape: Height, width, channels.
            name: Unique among the maps that are alive.
            room: Channels that a later map in the same memory may have.
        """
        ...


class Shortcut(Protocol):
    """What is added to the result of a convolution."""

    def compute(self, band: Region) -> Tensor:
        """Values of a band, `(height, width, channels)`, valid until the next call."""
        ...


class Measured:
    """A feature map with the statistics of its channels."""

    def __init__(self, values: FeatureMap) -> None:
        self.map = values
        self.statistics = ChannelStatistics(values.channels)

    def normalised(self, norm: nn.GroupNorm) -> Normalised:
        """The map after a group normalisation and a ReLU."""
        return Normalised(self.map, *self.statistics.group_norm(norm))

    def compute(self, band: Region) -> Tensor:
        """The map's own values, for use as a shortcut."""
        return self.map.read(band)


class StreamingRun:
    """One image on its way through a network.

    Args:
        network: In evaluation mode, float32, on the CPU.
        spectra: Transformed kernels.
        new_map: Makes feature maps.
        tile: Bound on the sides of a region, in pixels; None for what is fastest.
        advance: Called with the number of multiplications (of direct convolution) just done.
    """

    def __init__(
        self,
        network: LKCFUNet,
        spectra: SpectrumCache,
        new_map: NewMap,
        *,
        tile: int | None = None,
        advance: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._network = network
        self._spectra = spectra
        self._new_map = new_map
        self._tile = tile
        self._advance = advance

    def run(self, pair: Tensor) -> Tensor:
        """Run the network.

        Args:
            pair: `(2, H, W)` float32, H and W multiples of 4.

        Returns:
            `(H, W)` float32, before the base is added.
        """
        network = self._network
        self._height, self._width = pair.shape[1:]
        first = FirstMaps(pair, network.stem.conv.weight, bias_of(network.stem.conv))
        first_statistics = self._measure(first)
        stem_norm = network.stem.norm
        if isinstance(stem_norm, nn.BatchNorm2d):
            affine = batch_norm(stem_norm)
        else:
            assert isinstance(stem_norm, nn.GroupNorm)
            affine = first_statistics.group_norm(stem_norm)
        x = self._new(0, "encoder 0")
        self._convolve(first.folded(*affine), network.stem.expand, x)

        skips = []
        for level in range(LEVELS):
            if level:
                x = self._downsample(x, network.downsample[level - 1].conv, level)
            encoder = network.encoder[level]
            self._residual(x, encoder.residual, level)
            self._large_kernel(x, encoder.large_kernel, x, level)
            skips.append(x)

        # The coarsest features are needed once more as they are, so the first block in the middle
        # writes to a map of its own; the blocks after it work in place.
        coarsest = LEVELS - 1
        x = self._new(coarsest, "middle")
        self._large_kernel(skips[-1], network.middle[0], x, coarsest)
        self._large_kernel(x, network.middle[1], x, coarsest)
        for level in reversed(range(LEVELS)):
            decoder = network.decoder[level]
            self._fused_residual(x, skips.pop(), decoder.fusion, decoder.residual, level)
            for block in decoder.large_kernels:
                self._large_kernel(x, block, x, level)
            if level:
                x = self._upsample(x, network.upsample[level - 1].conv, level - 1)
        return self._finish(x, first, first_statistics)

    def _new(self, level: int, name: str) -> Measured:
        """A map of C channels."""
        return Measured(self._make(level, self._network.config.channels, name))

    def _inner(self, level: int, channels: int) -> Measured:
        """The map inside a block, which is one at a time: they can all share one memory."""
        return Measured(self._make(level, channels, "inner"))

    def _make(self, level: int, channels: int, name: str) -> FeatureMap:
        shape = (self._height >> level, self._width >> level, channels)
        widest = int(LARGE_KERNEL_EXPANSION * self._network.config.channels)
        return self._new_map(level, shape, name, widest if name == "inner" else channels)

    def _bands(self, values: FeatureMap | Features, channels: int) -> Iterator[Region]:
        return row_bands(Region(0, values.height, 0, values.width), channels)

    def _measure(self, features: Pointwise | FirstMaps) -> ChannelStatistics:
        """Statistics of features that are computed and not kept."""
        gathering = Gathering()

        def work(band: Region) -> None:
            gathering.add(band, features.compute(band))

        for_each(work, self._bands(features, features.channels))
        return gathering.statistics(features.channels)

    def _convolve(
        self, features: Features, conv: nn.Conv2d, into: Measured, *shortcuts: Shortcut
    ) -> None:
        """Convolve, add the shortcuts, store and measure.

        Shortcuts may read the map that is written: a piece is read before it is replaced.
        """
        gathering = Gathering()

        def emit(region: Region, values: Tensor) -> None:
            # In one piece, whatever they are a part of, for measuring to be fast.
            result = workspace.take("result", *values.shape)
            if shortcuts:
                torch.add(values, shortcuts[0].compute(region), out=result)
                for shortcut in shortcuts[1:]:
                    result.add_(shortcut.compute(region))
            else:
                result.copy_(values)
            if conv.bias is not None:
                result.add_(conv.bias)
            gathering.add(region, result)
            into.map.write(region, result)

        layers.convolve(features, conv, self._spectra, emit, tile=self._tile, advance=self._advance)
        into.statistics = gathering.statistics(into.map.channels)

    def _residual(self, x: Measured, block: ResidualBlock, level: int) -> None:
        """A residual block without a convolution on the shortcut, in place."""
        inner = self._inner(level, x.map.channels)
        self._convolve(x.normalised(block.first.norm), block.first.conv, inner)
        self._convolve(inner.normalised(block.second.norm), block.second.conv, x, x)
        inner.map.release()

    def _large_kernel(
        self, x: Measured, block: LargeKernelBlock, into: Measured, level: int
    ) -> None:
        """A large-kernel block from a map into another, or the same one."""
        scale, shift = x.statistics.group_norm(block.norm)
        expand = block.expand.weight[:, :, 0, 0]
        weight, bias = (expand * scale).T, expand @ shift
        statistics = self._measure(Pointwise(x.map, weight, bias, relu=False))
        scale, shift = statistics.group_norm(block.expand_norm)
        expanded = Pointwise(x.map, weight * scale, bias * scale + shift)

        hidden = self._inner(level, expanded.channels)
        self._convolve(expanded, block.depthwise, hidden)
        activated = hidden.normalised(block.depthwise_norm)
        project = block.project.weight[:, :, 0, 0].T.contiguous()
        gathering = Gathering()
        channels, hidden_channels = x.map.channels, hidden.map.channels

        def activate(band: Region) -> Tensor:
            pixels = workspace.take("activated", band.height, band.width, hidden_channels)
            activated.fill(band, pixels)
            return pixels.view(-1, hidden_channels)

        def measure_projected(band: Region) -> None:
            projected = workspace.take("projected", band.height * band.width, channels)
            gathering.add(band, torch.mm(activate(band), project, out=projected))

        for_each(measure_projected, self._bands(hidden.map, hidden_channels))
        scale, shift = gathering.statistics(channels).group_norm(block.project_norm)
        scaled = project * scale
        gathering = Gathering()

        def add_projected(band: Region) -> None:
            result = workspace.take("projected", band.height, band.width, channels)
            torch.add(x.map.read(band), shift, out=result)
            result.view(-1, channels).addmm_(activate(band), scaled)
            gathering.add(band, result)
            into.map.write(band, result)

        for_each(add_projected, self._bands(hidden.map, hidden_channels))
        into.statistics = gathering.statistics(channels)
        hidden.map.release()

    def _fused_residual(
        self,
        x: Measured,
        skip: Measured,
        fusion: MultipathAdaptiveFusion,
        block: ResidualBlock,
        level: int,
    ) -> None:
        """A fusion module and the residual block after it, in place; the skip is released.

        Of the fusion module's result only `gate * x` is kept, with half its channels: the 1x1
        convolution that doubles them is folded with the normalisation that follows it, and on the
        shortcut with the 1x1 convolution there.
        """
        expand, bias = fusion.expand.weight[:, :, 0, 0], bias_of(fusion.expand)
        statistics = self._fuse(x, skip, fusion, expand.T.contiguous(), bias)
        skip.map.release()
        scale, shift = statistics.group_norm(block.first.norm)
        first = Pointwise(x.map, (expand.T * scale).contiguous(), bias * scale + shift)
        inner = self._inner(level, x.map.channels)
        self._convolve(first, block.first.conv, inner)

        assert isinstance(block.shortcut, nn.Conv2d)
        shortcut, shortcut_bias = block.shortcut.weight[:, :, 0, 0], bias_of(block.shortcut)
        folded = Pointwise(
            x.map, (shortcut @ expand).T.contiguous(), shortcut @ bias + shortcut_bias
        )
        self._convolve(inner.normalised(block.second.norm), block.second.conv, x, folded)
        inner.map.release()

    def _fuse(
        self,
        x: Measured,
        skip: Measured,
        fusion: MultipathAdaptiveFusion,
        expand: Tensor,
        bias: Tensor,
    ) -> ChannelStatistics:
        """Replace `x` by `gate * x`; return the statistics of what the expansion makes of it.

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

        gathering = Gathering()

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
            torch.addmm(mix_bias, mixed.view(-1, channels), mix, out=gates.view(-1, channels))
            torch.mul(gates.sigmoid_(), decoder, out=a)
            expanded = workspace.take("fusion expanded", band.height * band.width, 2 * channels)
            torch.addmm(bias, a.view(-1, channels), expand, out=expanded)
            gathering.add(band, expanded)
            x.map.write(band, a)

        for_each(gate, self._bands(x.map, 2 * channels))
        return gathering.statistics(2 * channels)

    def _downsample(self, x: Measured, conv: nn.Conv2d, level: int) -> Measured:
        half = self._new(level, f"encoder {level}")
        with self._storing(conv, half) as emit:
            layers.downsample(Stored(x.map), conv, emit, self._advance)
        return half

    def _upsample(self, x: Measured, conv: nn.Conv2d, level: int) -> Measured:
        double = self._new(level, f"decoder {level}")
        with self._storing(conv, double) as emit:
            layers.upsample(Stored(x.map), conv, emit, self._advance)
        x.map.release()
        return double

    @contextmanager
    def _storing(self, conv: nn.Conv2d, into: Measured) -> Iterator[layers.Emit]:
        """Add a bias to pieces of a result, store and measure them."""
        gathering, bias = Gathering(), bias_of(conv)

        def emit(region: Region, values: Tensor) -> None:
            result = torch.add(values, bias, out=workspace.take("result", *values.shape))
            gathering.add(region, result)
            into.map.write(region, result)

        yield emit
        into.statistics = gathering.statistics(into.map.channels)

    def _finish(self, x: Measured, first: FirstMaps, first_statistics: ChannelStatistics) -> Tensor:
        """The last residual block, of the decoder's result beside the first maps, and the head."""
        block, head = self._network.refine, self._network.head
        channels = x.map.channels
        scale, shift = concatenated(x.statistics, first_statistics).group_norm(block.first.norm)
        inner = self._inner(0, channels)
        features = Concatenated(
            [
                Normalised(x.map, scale[:channels], shift[:channels]),
                first.folded(scale[channels:], shift[channels:]),
            ]
        )
        self._convolve(features, block.first.conv, inner)

        # On the shortcut, a 1x1 convolution of the first maps is a 3x3 one of the sources.
        assert isinstance(block.shortcut, nn.Conv2d)
        shortcut, bias = block.shortcut.weight[:, :, 0, 0], bias_of(block.shortcut)
        of_x, of_first = shortcut[:, :channels], shortcut[:, channels:]
        direct = FirstMaps(
            first.pair,
            torch.einsum("of,fiyx->oiyx", of_first, first.weight),
            of_first @ first.bias,
        )
        pointwise = Pointwise(x.map, of_x.T.contiguous(), bias)
        normalised = inner.normalised(block.second.norm)
        self._convolve(normalised, block.second.conv, x, pointwise, direct)
        inner.map.release()

        with torch.inference_mode(False):  # written by other threads
            result = torch.empty(x.map.height, x.map.width)

        def emit(region: Region, values: Tensor) -> None:
            target = result[region.top : region.bottom, region.left : region.right]
            torch.add(values[..., 0], bias_of(head.conv), out=target)

        layers.convolve(
            x.normalised(head.norm),
            head.conv,
            self._spectra,
            emit,
            tile=self._tile,
            advance=self._advance,
        )
        x.map.release()
        return result
