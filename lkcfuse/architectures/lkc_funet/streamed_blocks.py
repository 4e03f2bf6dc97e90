"""The network's blocks, each run over a whole map before the next one starts.

Normalisations are folded into the reading of the layer that follows them, since by then the
statistics are known; blocks work in place wherever what they read is not needed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from lkcfuse.architectures.base import StreamingContext
from lkcfuse.architectures.lkc_funet.blocks import (
    LargeKernelBlock,
    MultipathAdaptiveFusion,
    ResidualBlock,
    bias_of,
)
from lkcfuse.architectures.lkc_funet.maps import Maps
from lkcfuse.architectures.lkc_funet.streamed_fusion import fuse
from lkcfuse.ops.parallel import for_each
from lkcfuse.ops.products import map_channels
from lkcfuse.ops.regions import Region
from lkcfuse.ops.streaming import layers
from lkcfuse.ops.streaming.features import Features, FirstMaps, Linear, Pointwise, Stored
from lkcfuse.ops.streaming.maps import MeasuredMap, bands_of
from lkcfuse.ops.streaming.statistics import (
    ChannelStatistics,
    JointRunningStatistics,
    JointStatistics,
    RunningStatistics,
)
from lkcfuse.ops.workspace import new_tensor, workspace


class Shortcut(Protocol):
    """What is added to the result of a convolution."""

    def add_to(self, region: Region, values: Tensor) -> None:
        """Add a region's values to others, `(height, width, channels)`."""
        ...


class Blocks:
    """Runs blocks.

    Args:
        maps: Makes the maps they need.
        context: Where spectra are, how regions are bounded, and what computes.
    """

    def __init__(self, maps: Maps, context: StreamingContext) -> None:
        self._maps = maps
        self._context = context

    def measure(self, features: FirstMaps) -> ChannelStatistics:
        """Statistics of the first maps, which are computed and not kept."""
        running = RunningStatistics()

        def work(band: Region) -> None:
            running.add(band, features.compute(band))

        for_each(work, bands_of(features, features.channels))
        return running.statistics()

    def convolve(
        self,
        features: Features,
        conv: nn.Conv2d,
        into: MeasuredMap,
        *shortcuts: Shortcut,
        bias: Tensor | None = None,
        joint: bool = False,
    ) -> None:
        """Convolve, add the shortcuts and biases, store and measure.

        Shortcuts may read the map that is written: a piece is read before it is replaced.

        Args:
            features: What to read.
            conv: The layer.
            into: Where the result goes.
            shortcuts: What is added to it.
            bias: `(channels,)`, that of the shortcuts.
            joint: Whether to measure covariances too, for a large-kernel block that comes next.
        """
        biases = [part for part in (conv.bias, bias) if part is not None]
        total = sum(biases[1:], biases[0]) if biases else None
        with self._storing(into, total, joint=joint) as store:

            def emit(region: Region, values: Tensor) -> None:
                for shortcut in shortcuts:
                    shortcut.add_to(region, values)
                store(region, values)

            layers.convolve(
                features,
                conv,
                self._context.spectra,
                emit,
                tile=self._context.tile,
                advance=self._context.advance,
                offload=self._context.offload,
            )

    def residual(self, x: MeasuredMap, block: ResidualBlock, level: int) -> None:
        """A residual block without a convolution on the shortcut, in place; measures jointly."""
        inner = self._maps.inner(level, x.map.channels)
        self.convolve(x.normalised(block.first.norm), block.first.conv, inner)
        self.convolve(inner.normalised(block.second.norm), block.second.conv, x, x, joint=True)
        inner.map.release()

    def large_kernel(
        self,
        x: MeasuredMap,
        block: LargeKernelBlock,
        into: MeasuredMap,
        level: int,
        *,
        joint: bool = False,
    ) -> None:
        """A large-kernel block from a map, measured jointly, into another or the same one."""
        scale, shift = x.statistics.group_norm(block.norm)
        expand = block.expand.weight[:, :, 0, 0]
        weight, bias = (expand * scale).T, expand @ shift
        channels = x.map.channels
        assert isinstance(x.statistics, JointStatistics)
        hidden_statistics = x.statistics.of_linear(weight, bias)
        scale, shift = hidden_statistics.group_norm(block.expand_norm)
        expanded = Pointwise(x.map, weight * scale, bias * scale + shift)

        hidden = self._maps.inner(level, expanded.channels)
        self.convolve(expanded, block.depthwise, hidden)
        activated = hidden.normalised(block.depthwise_norm)
        projected = MeasuredMap(hidden.map.narrowed(channels))
        weight = block.project.weight[:, :, 0, 0].T.contiguous()
        running = RunningStatistics()

        def project(band: Region) -> None:
            pixels = workspace.take("activated", band.height, band.width, activated.channels)
            activated.fill(band, pixels)
            result = workspace.take("projected", band.height, band.width, channels)
            map_channels(pixels, weight, result)
            running.add(band, result)
            with projected.map.writing(band) as target:
                target.copy_(result)

        for_each(project, bands_of(hidden.map, activated.channels))
        scale, shift = running.statistics().group_norm(block.project_norm)
        results = JointRunningStatistics() if joint else RunningStatistics()

        def add(band: Region) -> None:
            result = workspace.take("result", band.height, band.width, channels)
            torch.addcmul(shift, projected.map.read(band), scale, out=result)
            with into.map.writing(band) as target:
                torch.add(result, x.map.read(band), out=target)
                results.add(band, target)

        for_each(add, bands_of(x.map, channels))
        into.statistics = results.statistics()
        hidden.map.release()

    def fused_residual(
        self,
        x: MeasuredMap,
        skip: MeasuredMap,
        fusion: MultipathAdaptiveFusion,
        block: ResidualBlock,
        level: int,
    ) -> None:
        """A fusion module and the residual block after it, in place; measures jointly.

        The skip is released.

        Of the fusion module's result only `gate * x` is kept, with half its channels: the 1x1
        convolution that doubles them is folded with the normalisation that follows it, and on the
        shortcut with the 1x1 convolution there.
        """
        expand, bias = fusion.expand.weight[:, :, 0, 0], bias_of(fusion.expand)
        statistics = fuse(x, skip, fusion, expand.T.contiguous(), bias)
        skip.map.release()
        scale, shift = statistics.group_norm(block.first.norm)
        first = Pointwise(x.map, (expand.T * scale).contiguous(), bias * scale + shift)
        inner = self._maps.inner(level, x.map.channels)
        self.convolve(first, block.first.conv, inner)

        assert isinstance(block.shortcut, nn.Conv2d)
        shortcut, shortcut_bias = block.shortcut.weight[:, :, 0, 0], bias_of(block.shortcut)
        folded = Linear(x.map, (shortcut @ expand).T.contiguous())
        self.convolve(
            inner.normalised(block.second.norm),
            block.second.conv,
            x,
            folded,
            bias=shortcut @ bias + shortcut_bias,
            joint=True,
        )
        inner.map.release()

    def downsample(self, x: MeasuredMap, conv: nn.Conv2d, level: int) -> MeasuredMap:
        """A new map at half the resolution, that of `level`; `x` is kept, for the decoder."""
        half = self._maps.new(level, f"encoder {level}")
        with self._storing(half, conv.bias) as emit:
            layers.downsample(Stored(x.map), conv, emit, self._context.advance)
        return half

    def upsample(self, x: MeasuredMap, conv: nn.Conv2d, level: int) -> MeasuredMap:
        """A new map at twice the resolution, that of `level`; `x` is released."""
        double = self._maps.new(level, f"decoder {level}")
        with self._storing(double, conv.bias) as emit:
            layers.upsample(Stored(x.map), conv, emit, self._context.advance)
        x.map.release()
        return double

    @contextmanager
    def _storing(
        self, into: MeasuredMap, bias: Tensor | None, *, joint: bool = False
    ) -> Iterator[layers.Emit]:
        """Measure pieces of a result, and store them with a bias added on the way."""
        running = JointRunningStatistics() if joint else RunningStatistics()

        def store(region: Region, values: Tensor) -> None:
            running.add(region, values)
            with into.map.writing(region) as target:
                if bias is None:
                    target.copy_(values)
                else:
                    torch.add(values, bias, out=target)

        yield store
        into.statistics = running.statistics(bias)

    def last(self, x: MeasuredMap, norm: nn.GroupNorm, conv: nn.Conv2d) -> Tensor:
        """The last convolution, to one channel: `(H, W)`."""
        result = new_tensor(x.map.height, x.map.width)

        def emit(region: Region, values: Tensor) -> None:
            target = result[region.top : region.bottom, region.left : region.right]
            torch.add(values[..., 0], bias_of(conv), out=target)

        layers.to_one_channel(
            x.normalised(norm), conv, emit, tile=self._context.tile, advance=self._context.advance
        )
        return result
