"""Steps of `overlap_save` that go down and up the columns, on rows of tiles.

Their results take as much memory as everything else together, and more than a cache holds. So there
is one place for them: what the steps along the rows make of a frequency replaces it there, and the
rows of an image are made, folded and transformed a block of columns at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate, pairwise

import numpy as np
from torch import Tensor

from lkcfuse.ops.dft import forward_down, inverse_up
from lkcfuse.ops.parallel import for_each
from lkcfuse.ops.products import Array, matmul_wide
from lkcfuse.ops.regions import Region
from lkcfuse.ops.row_steps import AS_TORCH_DOES
from lkcfuse.ops.tiles import TilePlan
from lkcfuse.ops.workspace import workspace

BLOCK_COLUMNS = 16 * 1024
"""Columns that a transform goes through at a time, pixels times channels, or thereabouts."""

PIECE_FLOATS = 512 * 1024
"""Floats of a piece of the result: a core's cache."""

GROUP_FLOATS = 256 * 1024
"""Floats of a group of tiles in the steps along the rows, of which some ten buffers are in use."""

SMALLEST_GROUP = 24
"""Tiles of a group at least: below it the products with the kernels are slow."""

Line = tuple[int, int]
"""A row of tiles: its image, and its place there."""

Fill = Callable[[int, Region, Tensor], None]
"""Writes a part of a padded image: image, part, and where to, `(rows, columns, inputs)`.

The image starts at row and column K // 2 of the padded one; around it are zeros, or the pixels that
adjoin it. Called in any thread and in any order.
"""

Emit = Callable[[int, Region, Tensor], None]
"""Takes a part of a result: image, part, values `(rows, columns, outputs)`.

Called in any thread and in any order. The values may be changed, and last until it returns.
"""


class Group:
    """Rows of tiles that go through the steps together, transformed down their columns.

    A row of tiles is `padded_width` pixels long, which is `columns` times `step_x`, so all tiles of
    a group are one stride apart: see `overlap_save`. For every frequency there are the real parts
    of all rows, then the imaginary ones, then room for what the last tile reads beyond its row.

    Args:
        lines: The rows of tiles.
        plan: The tiles.
        memory: `(Fy, floats)`, as many as `pitch` says.
    """

    def __init__(self, lines: list[Line], plan: TilePlan, memory: Tensor) -> None:
        self.lines, self._plan, self._memory = lines, plan, memory
        self.tiles = len(lines) * plan.columns

    @staticmethod
    def pitch(lines: int, plan: TilePlan, channels: int) -> int:
        """Floats of a frequency."""
        return (2 * lines * plan.padded_width + plan.kernel) * channels

    def parts(self, index: int, channels: int) -> tuple[Tensor, Tensor]:
        """Real and imaginary parts of a row of tiles: `(Fy, padded_width * channels)` each."""
        size, count = self._plan.padded_width * channels, len(self.lines)
        starts = (index * size, (count + index) * size)
        real, imag = (self._memory[:, start : start + size] for start in starts)
        return real, imag

    def as_tiles(self, points: int, channels: int) -> Array:
        """Tile by tile, as they overlap: `(Fy, 2 tiles, points, channels)`.

        The imaginary parts of all tiles come after the real ones.
        """
        stride = self._plan.step_x * channels
        size = (self._plan.frequencies_y, 2 * self.tiles, points, channels)
        strides = (self._memory.stride(0), stride, channels, 1)
        return self._memory.as_strided(size, strides).numpy()

    def end_rows(self, channels: int) -> None:
        """Have the last tile read zeros beyond its row: they must be finite to be multiplied."""
        end = 2 * len(self.lines) * self._plan.padded_width * channels
        self._memory[:, end : end + self._plan.kernel * channels] = 0


def make_groups(lines: list[Line], plan: TilePlan, channels: int) -> list[Group]:
    """Share rows of tiles out among groups that stay in cache along the rows, sizes one apart.

    Args:
        lines: The rows of tiles.
        plan: The tiles.
        channels: The most that a step has.

    Returns:
        Groups in a buffer of the calling thread.
    """
    tiles = max(SMALLEST_GROUP, GROUP_FLOATS // (plan.size_x * channels))
    count = math.ceil(len(lines) / max(1, round(tiles / plan.columns)))
    ends = [len(lines) * index // count for index in range(count + 1)]
    shares = [lines[start:stop] for start, stop in pairwise(ends)]
    pitches = [Group.pitch(len(share), plan, channels) for share in shares]
    fy = plan.frequencies_y
    flat = workspace.take("columns", fy * sum(pitches))
    memories = _cut(flat, [fy * pitch for pitch in pitches])
    return [
        Group(share, plan, memory.view(fy, -1))
        for share, memory in zip(shares, memories, strict=True)
    ]


def _cut(buffer: Tensor, sizes: list[int]) -> list[Tensor]:
    """Cut a buffer into parts of sizes given."""
    return [buffer[start:stop] for start, stop in pairwise(accumulate(sizes, initial=0))]


def _share(columns: int, most: int) -> int:
    """How many columns go through at a time: about that many, and all times alike."""
    return math.ceil(columns / max(1, round(columns / max(1, most))))


def _lines_of(groups: list[Group], channels: int) -> list[tuple[int, int, Tensor, Tensor]]:
    """Every row of tiles: its image, its place there, and where its two parts are."""
    return [
        (*line, *group.parts(index, channels))
        for group in groups
        for index, line in enumerate(group.lines)
    ]


def transform_down(fill: Fill, groups: list[Group], plan: TilePlan, inputs: int) -> None:
    """Step 1, from an image's pixels into the groups."""
    width = plan.padded_width
    most = _share(width, BLOCK_COLUMNS // inputs)
    lines = _lines_of(groups, inputs)
    for group in groups:
        group.end_rows(inputs)

    def transform(piece: tuple[int, int]) -> None:
        index, left = piece
        image, line, real, imag = lines[index]
        columns = min(most, width - left)
        # A column more than is used: rows that lie a power of two apart share lines of the cache.
        block = workspace.take("rows of tiles", plan.size_y, columns + 1, inputs)
        top = line * plan.step_y
        part = Region(top, top + plan.size_y, left, left + columns)
        fill(image, part, block[:, :columns])
        floats = slice(left * inputs, (left + columns) * inputs)
        fold_down(block.flatten(1)[:, : columns * inputs], real[:, floats], imag[:, floats])

    for_each(
        transform,
        [(index, left) for index in range(len(lines)) for left in range(0, width, most)],
    )


def transform_up(groups: list[Group], plan: TilePlan, outputs: int, emit: Emit) -> None:
    """Step 5, from the groups into pieces of the result."""
    most = _share(plan.width, PIECE_FLOATS // (plan.step_y * outputs))
    lines = _lines_of(groups, outputs)

    def transform(piece: tuple[int, int]) -> None:
        index, left = piece
        image, line, real, imag = lines[index]
        columns = min(most, plan.width - left)
        band = workspace.take("band", plan.step_y, columns * outputs)
        floats = slice(left * outputs, (left + columns) * outputs)
        unfold_up(real[:, floats], imag[:, floats], plan.size_x, band)
        top = line * plan.step_y
        bottom = min(top + plan.step_y, plan.height)
        pixels = band.view(plan.step_y, columns, outputs)[: bottom - top]
        emit(image, Region(top, bottom, left, left + columns), pixels)

    for_each(
        transform,
        [(index, left) for index in range(len(lines)) for left in range(0, plan.width, most)],
    )


@AS_TORCH_DOES
def fold_down(rows: Tensor, real: Tensor, imag: Tensor) -> None:
    """Transform the rows of tiles down their columns.

    Args:
        rows: `(points, columns)`, an even number of points; its first half is overwritten.
        real: Where the real part goes, `(Fy, columns)`.
        imag: Where the imaginary part goes, likewise.
    """
    points, columns = rows.shape
    for_real, for_imag = forward_down(2 * real.shape[0], points)
    differences = workspace.take("differences", points // 2, columns)
    first, second = rows[: points // 2].numpy(), rows[points // 2 :].numpy()[::-1]
    np.subtract(first, second, out=differences.numpy())
    np.add(first, second, out=first)
    matmul_wide(for_real, rows[: points // 2], real)
    matmul_wide(for_imag, differences, imag)


@AS_TORCH_DOES
def unfold_up(real: Tensor, imag: Tensor, size_x: int, out: Tensor) -> None:
    """Transform a spectrum up to pixels.

    Args:
        real: The real part, `(Fy, columns)`.
        imag: The imaginary part, likewise.
        size_x: Points of the transform along the rows, for the scale.
        out: Where the pixels go, `(points, columns)`.
    """
    points, columns = out.shape
    from_real, from_imag = inverse_up(2 * real.shape[0], size_x, points)
    half = from_real.shape[0]
    odd = workspace.take("differences", half, columns)
    matmul_wide(from_real, real, out[:half])
    matmul_wide(from_imag, imag, odd)
    first, second = out[:half].numpy(), out[points - half :].numpy()[::-1]
    # Of an odd number of points the middle is in both halves, and its odd part is zero.
    np.subtract(first, odd.numpy(), out=second)
    np.add(first, odd.numpy(), out=first)
