"""Convolutions of a whole feature map, region by region, each by the fastest way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from lkcfuse.inference.features import Features
from lkcfuse.inference.regions import Region, cut
from lkcfuse.network.overlap_save import convolve as overlap_save
from lkcfuse.network.overlap_save import kernel_spectrum
from lkcfuse.network.tiles import CHUNK_FLOATS, TilePlan, plan_tiles
from lkcfuse.network.workspace import workspace

NATIVE_FLOATS = 8 * 1024 * 1024
"""Floats of a region that goes through a native convolution; its result stays below the size
(32 MB) from which the C library maps and zeroes memory anew at every allocation."""


class SpectrumCache:
    """Kernel spectra, kept from image to image within a memory budget.

    A spectrum that does not fit is computed into one buffer that all of them share.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._kept: dict[tuple[int, int, int], Tensor] = {}
        self._used = 0

    def get(self, weight: Tensor, plan: TilePlan) -> Tensor:
        """Return the spectrum of a weight for a plan; valid until the next call."""
        key = (id(weight), plan.size_y, plan.size_x)
        if key in self._kept:
            return self._kept[key]
        outputs, inputs = weight.shape[:2]
        floats = 2 * plan.frequencies_y * plan.size_x * inputs * outputs
        if self._used + 4 * floats > self.budget:
            return kernel_spectrum(weight, plan, workspace.take("spectrum", floats))
        self._used += 4 * floats
        self._kept[key] = kernel_spectrum(weight, plan)
        return self._kept[key]


def convolve(
    features: Features, conv: nn.Conv2d, spectra: SpectrumCache, tile: int | None = None
) -> Iterator[tuple[Region, Tensor]]:
    """Convolve a map, stride 1 and zero padding, without the bias.

    Args:
        features: What to read.
        conv: The layer, dense or depthwise.
        spectra: Where transformed kernels are kept.
        tile: Bound on the sides of a region, in pixels, or None for the fastest.

    Yields:
        Regions that cover the map once, with their values `(height, width, outputs)`, which are
        valid, and may be changed, until the next one is asked for.
    """
    plan = None
    if conv.groups == 1:
        plan = plan_tiles(
            features.height,
            features.width,
            conv.kernel_size[0],
            conv.in_channels,
            conv.out_channels,
        )
    if plan is None:
        yield from _native(features, conv, tile)
    else:
        yield from _fourier(features, conv, plan, spectra, tile)


def _fourier(
    features: Features, conv: nn.Conv2d, plan: TilePlan, spectra: SpectrumCache, tile: int | None
) -> Iterator[tuple[Region, Tensor]]:
    margin = conv.kernel_size[0] // 2
    spectrum = spectra.get(conv.weight, plan)
    largest = largest_region(plan, conv.in_channels, conv.out_channels, tile)
    rows = largest.rows * plan.step_y
    for region in cut(plan.height, plan.width, rows, largest.width):
        part = replace(
            plan,
            height=region.height,
            width=region.width,
            rows=math.ceil(region.height / plan.step_y),
            columns=math.ceil((region.width + 2 * margin) / plan.step_x),
        )
        padded = workspace.take(
            "padded", 1, part.padded_height, part.padded_width, conv.in_channels
        )
        _fill_padded(features, region, margin, padded[0])
        for _, top, bottom, values in overlap_save(padded, spectrum, part):
            yield (
                Region(region.top + top, region.top + bottom, region.left, region.right),
                values,
            )


def largest_region(plan: TilePlan, inputs: int, outputs: int, tile: int | None) -> TilePlan:
    """The tiles of a region that is worked on at a time; those at the edges may be smaller.

    A region is some whole rows of tiles, as many as are transformed together. Where one row alone
    is too much, or a region's size is bound, it is cut across too: then it ends with the pixels
    that its last tile cannot give, so its width is a whole number of steps less K - 1.
    """
    margin = plan.kernel // 2
    floats_per_tile = 2 * plan.frequencies_y * plan.step_x * (inputs + outputs)
    across = min(plan.columns, CHUNK_FLOATS // floats_per_tile)
    down = plan.rows
    if tile is not None:
        across = min(across, math.ceil((tile + 2 * margin) / plan.step_x))
        down = max(1, tile // plan.step_y)
    across = max(across, math.ceil((2 * margin + 1) / plan.step_x))
    part = replace(plan, columns=across, width=min(plan.width, across * plan.step_x - 2 * margin))
    down = min(down, part.lines_at_once(inputs, outputs, plan.rows))
    return replace(part, rows=down, height=min(plan.height, down * plan.step_y))


def _native(
    features: Features, conv: nn.Conv2d, tile: int | None
) -> Iterator[tuple[Region, Tensor]]:
    margin = conv.kernel_size[0] // 2
    pixels = NATIVE_FLOATS // max(conv.in_channels, conv.out_channels)
    rows, columns = native_region(features.height, features.width, pixels, margin, tile)
    for region in cut(features.height, features.width, rows, columns):
        padded = workspace.take(
            "padded", 1, region.height + 2 * margin, region.width + 2 * margin, conv.in_channels
        )
        _fill_padded(features, region, margin, padded[0])
        result = conv2d(padded.permute(0, 3, 1, 2), conv.weight, groups=conv.groups)
        yield region, result[0].permute(1, 2, 0)


def native_region(
    height: int, width: int, pixels: int, margin: int, tile: int | None
) -> tuple[int, int]:
    """Rows and columns of the regions that a native convolution goes through.

    Whole rows lie in one piece in memory, so regions are as wide as the image where that leaves
    them high enough for their margins not to cost much; else they are square.
    """
    rows = pixels // (width + 2 * margin) - 2 * margin
    columns = width
    if rows < min(height, 4 * margin):
        rows = columns = max(8, math.isqrt(pixels) - 2 * margin)
    if tile is not None:
        rows, columns = min(rows, tile), min(columns, tile)
    # Equal regions rather than a thin rest at the end.
    return (
        math.ceil(height / math.ceil(height / rows)),
        math.ceil(width / math.ceil(width / columns)),
    )


def _fill_padded(features: Features, region: Region, margin: int, padded: Tensor) -> None:
    """Write a region and its margin into a buffer, zeros where the image has no pixels."""
    inner = region.grown(margin, features.height, features.width)
    top, left = inner.top - (region.top - margin), inner.left - (region.left - margin)
    bottom, right = top + inner.height, left + inner.width
    padded[:top].zero_()
    padded[bottom:].zero_()
    padded[top:bottom, :left].zero_()
    padded[top:bottom, right:].zero_()
    features.fill(inner, padded[top:bottom, left:right])


def downsample(source: Features, conv: nn.Conv2d) -> Iterator[tuple[Region, Tensor]]:
    """The 3x3 convolution of stride 2 that halves a map; yields as `convolve` does."""
    height, width = source.height // 2, source.width // 2
    rows, columns = native_region(height, width, NATIVE_FLOATS // (4 * conv.in_channels), 1, None)
    for region in cut(height, width, rows, columns):
        above = Region(2 * region.top, 2 * region.bottom, 2 * region.left, 2 * region.right)
        padded = workspace.take("padded", 1, above.height + 2, above.width + 2, conv.in_channels)
        _fill_padded(source, above, 1, padded[0])
        # The last row and column of the margin are beyond what stride 2 reads.
        result = conv2d(padded.permute(0, 3, 1, 2), conv.weight, stride=2)
        yield region, result[0, :, : region.height, : region.width].permute(1, 2, 0)


def upsample(source: Features, conv: nn.Conv2d) -> Iterator[tuple[Region, Tensor]]:
    """Doubling by repetition, then a 3x3 convolution; yields as `convolve` does.

    Each of the four pixels that one becomes sees only 2 x 2 pixels of the source, so four 2x2
    convolutions at the lower resolution do it, with four ninths of the operations.
    """
    channels = conv.in_channels
    rows, columns = native_region(
        source.height, source.width, NATIVE_FLOATS // (4 * channels), 1, None
    )
    phases = {(a, b): _phase_weight(conv.weight, a, b) for a in (0, 1) for b in (0, 1)}
    for region in cut(source.height, source.width, rows, columns):
        padded = workspace.take("padded", 1, region.height + 2, region.width + 2, channels)
        _fill_padded(source, region, 1, padded[0])
        result = workspace.take("upsampled", region.height, 2, region.width, 2, conv.out_channels)
        for (a, b), weight in phases.items():
            # All windows of the padded region are computed, and those of the phase taken: a part
            # of the region would have to be copied first.
            values = conv2d(padded.permute(0, 3, 1, 2), weight)[0].permute(1, 2, 0)
            result[:, a, :, b] = values[a : a + region.height, b : b + region.width]
        doubled = Region(2 * region.top, 2 * region.bottom, 2 * region.left, 2 * region.right)
        yield doubled, result.view(doubled.height, doubled.width, conv.out_channels)


def _phase_weight(weight: Tensor, a: int, b: int) -> Tensor:
    """The 2x2 kernel that gives the pixels in row `a` and column `b` of every doubled pixel."""
    # Of the three taps, two fall on the same source pixel: the last two for the first of a pair,
    # the first two for the second.
    rows = [weight[:, :, 0], weight[:, :, 1] + weight[:, :, 2]]
    if a:
        rows = [weight[:, :, 0] + weight[:, :, 1], weight[:, :, 2]]
    taps = torch.stack(rows, 2)
    columns = [taps[..., 0], taps[..., 1] + taps[..., 2]]
    if b:
        columns = [taps[..., 0] + taps[..., 1], taps[..., 2]]
    return torch.stack(columns, 3)
