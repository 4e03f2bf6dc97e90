"""Convolutions of a whole feature map, region by region, each by the fastest way."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torch.utils.weak import WeakIdKeyDictionary

from lkcfuse.ops.overlap_save import convolve as overlap_save
from lkcfuse.ops.overlap_save import kernel_spectrum, spectrum_floats
from lkcfuse.ops.parallel import for_each, worker_count
from lkcfuse.ops.regions import Region, cut, fill_region
from lkcfuse.ops.streaming.features import EVEN_SHARES, Features
from lkcfuse.ops.streaming.offload import Convolve, GpuOffload
from lkcfuse.ops.tiles import CHUNK_FLOATS, TilePlan, plan_tiles
from lkcfuse.ops.workspace import workspace

NATIVE_FLOATS = 2 * 1024 * 1024
"""Floats of a region that goes through a native convolution: enough for its margins not to cost
much, and below the size (32 MB) from which the C library maps and zeroes memory anew at every
allocation."""


class SpectrumCache:
    """Kernel spectra, kept from image to image within a memory budget.

    Of every kernel the spectrum for the last size of tile is kept, from the second time on that it
    is asked for: images of one size share it, and images of many sizes do not pile theirs up. For
    one image alone it would not pay, since having so much memory from the system can take several
    times as long as the transform. What is not kept is computed into a buffer that all share.
    Weights that were changed since, as by training, are transformed anew.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._kept: MutableMapping[Tensor, tuple[tuple[int, ...], Tensor | None]]
        self._kept = WeakIdKeyDictionary()

    @property
    def nbytes(self) -> int:
        """Bytes of the spectra that are kept."""
        return sum(spectrum.nbytes for _, spectrum in self._kept.values() if spectrum is not None)

    def clear(self) -> None:
        """Return the memory to the system."""
        self._kept.clear()

    def get(self, weight: Tensor, plan: TilePlan) -> Tensor:
        """Return the spectrum of a weight for a plan; valid until the next call."""
        # Inference tensors cannot be changed in place by training, and count no changes.
        version = 0 if weight.is_inference() else weight._version
        wanted = (plan.size_y, plan.size_x, version)
        last, kept = self._kept.pop(weight, ((), None))
        if kept is not None and last == wanted:
            self._kept[weight] = (wanted, kept)
            return kept
        outputs, inputs = weight.shape[:2]
        floats = spectrum_floats(plan, inputs, outputs)
        if last != wanted or self.nbytes + 4 * floats > self.budget:
            self._kept[weight] = (wanted, None)
            return kernel_spectrum(weight, plan, workspace.take("spectrum", floats))
        spectrum = kernel_spectrum(weight, plan)
        self._kept[weight] = (wanted, spectrum)
        return spectrum


Emit = Callable[[Region, Tensor], None]
"""Takes a piece of a result, `(height, width, outputs)`, in any thread and in any order.

The values may be changed, and last until it returns.
"""

Advance = Callable[[float], None]
"""Called with the multiplications of direct convolution just done, in the caller's thread."""


def convolve(
    features: Features,
    conv: nn.Conv2d,
    spectra: SpectrumCache,
    emit: Emit,
    *,
    tile: int | None = None,
    advance: Advance = lambda _: None,
    offload: GpuOffload | None = None,
) -> None:
    """Convolve a map, stride 1 and zero padding, without the bias.

    Args:
        features: What to read.
        conv: The layer, dense or depthwise.
        spectra: Where transformed kernels are kept.
        emit: Takes the result, in pieces that cover the map once.
        tile: Bound on the sides of a region, in pixels, or None for the fastest.
        advance: Told of the work done.
        offload: The GPU that convolves; None for the CPU.
    """
    plan = None
    if conv.groups == 1 and offload is None:
        plan = plan_tiles(
            features.height,
            features.width,
            conv.kernel_size[0],
            conv.in_channels,
            conv.out_channels,
        )
    if plan is None:
        _native(features, conv, emit, tile, advance, offload)
    else:
        _fourier(features, conv, plan, spectra, emit, tile, advance)


def _fourier(
    features: Features,
    conv: nn.Conv2d,
    plan: TilePlan,
    spectra: SpectrumCache,
    emit: Emit,
    tile: int | None,
    advance: Advance,
) -> None:
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
        whole = region.grown(margin, features.height, features.width)

        def fill(
            _image: int, part: Region, out: Tensor, region: Region = region, whole: Region = whole
        ) -> None:
            moved = part.moved(region.top - margin, region.left - margin)
            fill_region(moved, whole, out, features.fill)

        def emit_piece(_image: int, part: Region, values: Tensor, region: Region = region) -> None:
            emit(part.moved(region.top, region.left), values)

        overlap_save(fill, spectrum, part, emit_piece)
        advance(conv.weight.numel() * region.height * region.width)


def largest_region(plan: TilePlan, inputs: int, outputs: int, tile: int | None) -> TilePlan:
    """The tiles of a region that is worked on at a time; those at the edges may be smaller.

    A region is some whole rows of tiles, as many as are transformed together. Where one row alone
    is too much, or a region's size is bound, it is cut across too: then it ends with the pixels
    that its last tile cannot give, so its width is a whole number of steps less K - 1.
    """
    margin = plan.kernel // 2
    floats_per_tile = 2 * plan.frequencies_y * plan.step_x * max(inputs, outputs)
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
    features: Features,
    conv: nn.Conv2d,
    emit: Emit,
    tile: int | None,
    advance: Advance,
    offload: GpuOffload | None,
) -> None:
    margin = conv.kernel_size[0] // 2
    pixels = NATIVE_FLOATS // max(conv.in_channels, conv.out_channels)
    side = min(tile or math.inf, max(8, math.isqrt(pixels) - 2 * margin))
    if offload is None:
        compute: Convolve = partial(conv2d, weight=conv.weight, groups=conv.groups)
    else:
        compute = offload.convolution(conv)

    def work(region: Region) -> None:
        result = compute(_padded(features, region, margin))
        emit(region, result[0].permute(1, 2, 0))

    _over_regions(work, features.height, features.width, side, conv.weight.numel(), advance)


def to_one_channel(
    features: Features,
    conv: nn.Conv2d,
    emit: Emit,
    *,
    tile: int | None = None,
    advance: Advance = lambda _: None,
) -> None:
    """A convolution with one output, as one product for all taps, which are then added in place.

    Native ones compute as many outputs as a vector has room for, and throw all but one away. See
    `convolve`.
    """
    kernel, channels = conv.kernel_size[0], conv.in_channels
    margin = kernel // 2
    taps = conv.weight[0].permute(1, 2, 0).reshape(kernel**2, channels)
    places = [(i, j) for i in range(kernel) for j in range(kernel)]

    def work(region: Region) -> None:
        padded = _padded(features, region, margin)
        height, width = padded.shape[2:]
        pixels = padded.permute(0, 2, 3, 1).view(-1, channels)
        products = workspace.take("taps", kernel**2, height * width)
        torch.mm(taps, pixels.T, out=products)
        first, *others = (
            plane[i : i + region.height, j : j + region.width]
            for (i, j), plane in zip(places, products.view(-1, height, width), strict=True)
        )
        result = workspace.take("one channel", region.height, region.width)
        result.copy_(first)
        for other in others:
            result.add_(other)
        emit(region, result[..., None])

    side = min(tile or math.inf, math.isqrt(NATIVE_FLOATS // channels))
    _over_regions(work, features.height, features.width, side, conv.weight.numel(), advance)


def downsample(
    source: Features, conv: nn.Conv2d, emit: Emit, advance: Advance = lambda _: None
) -> None:
    """The 3x3 convolution of stride 2 that halves a map; see `convolve`."""

    def work(region: Region) -> None:
        above = Region(2 * region.top, 2 * region.bottom, 2 * region.left, 2 * region.right)
        # The last row and column of the margin are beyond what stride 2 reads.
        result = conv2d(_padded(source, above, 1), conv.weight, stride=2)
        emit(region, result[0, :, : region.height, : region.width].permute(1, 2, 0))

    side = math.isqrt(NATIVE_FLOATS // conv.in_channels) // 2
    height, width = source.height // 2, source.width // 2
    _over_regions(work, height, width, side, conv.weight.numel(), advance)


def upsample(
    source: Features, conv: nn.Conv2d, emit: Emit, advance: Advance = lambda _: None
) -> None:
    """Doubling by repetition, then a 3x3 convolution; see `convolve`.

    Each of the four pixels that one becomes sees only 2 x 2 pixels of the source, so four 2x2
    convolutions at the lower resolution do it, with four ninths of the operations.
    """
    phases = {(a, b): _phase_weight(conv.weight, a, b) for a in (0, 1) for b in (0, 1)}

    def work(region: Region) -> None:
        padded = _padded(source, region, 1)
        height, width = region.height, region.width
        result = workspace.take("upsampled", height, 2, width, 2, conv.out_channels)
        for (a, b), weight in phases.items():
            # All windows of the padded region are computed, and those of the phase taken: a part
            # of the region would have to be copied first.
            values = conv2d(padded, weight)[0].permute(1, 2, 0)
            result[:, a, :, b] = values[a : a + height, b : b + width]
        doubled = Region(2 * region.top, 2 * region.bottom, 2 * region.left, 2 * region.right)
        emit(doubled, result.view(doubled.height, doubled.width, conv.out_channels))

    side = math.isqrt(NATIVE_FLOATS // conv.in_channels) // 2
    _over_regions(work, source.height, source.width, side, 4 * conv.weight.numel(), advance)


def _over_regions(
    work: Callable[[Region], None],
    height: int,
    width: int,
    side: float,
    multiplications: int,
    advance: Advance,
) -> None:
    """Call a function for regions that cover an image, a few at a time on every thread."""
    # Equal regions rather than a thin rest at the end, and where they are few, as many for every
    # thread.
    down, across = math.ceil(height / side), math.ceil(width / side)
    while down * across % EVEN_SHARES and down * across < 4 * EVEN_SHARES:
        down += 1
    regions = list(cut(height, width, math.ceil(height / down), math.ceil(width / across)))
    several = 8 * worker_count()
    for start in range(0, len(regions), several):
        some = regions[start : start + several]
        for_each(work, some)
        advance(multiplications * sum(region.height * region.width for region in some))


def _padded(features: Features, region: Region, margin: int) -> Tensor:
    """A region with its margin, zeros where the image has no pixels: `(1, channels, H, W)`."""
    padded = workspace.take(
        "padded region", 1, region.height + 2 * margin, region.width + 2 * margin, features.channels
    )
    wide = Region(
        region.top - margin, region.bottom + margin, region.left - margin, region.right + margin
    )
    fill_region(wide, Region(0, features.height, 0, features.width), padded[0], features.fill)
    return padded.permute(0, 3, 1, 2)


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
