"""How an image is cut into tiles for overlap-save, and when that pays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

# Measured on two cores with AVX-512, in single-precision operations, or floats, per nanosecond:
# matrix products and a native channels-last convolution; transforms down and what is made of them,
# which are read and written out of cache; passes in cache; spectra of kernels. Only ratios matter.
PRODUCT_RATE = 240.0
DIRECT_RATE = 200.0
COLUMNS_RATE = 0.6
FLOATS_RATE = 4.0
KERNELS_RATE = 5.0
CALL_COST = 6_000.0
"""What one call of a torch operator costs, in nanoseconds."""

WORTH_IT = 1.25
"""How many times as much a native convolution must cost for overlap-save to be taken: the estimates
may be off, and the kernels' spectra take memory."""

CHUNK_FLOATS = 48 * 1024 * 1024
"""Bound on the floats of the intermediate transforms that are held at a time."""


@dataclass(frozen=True)
class TilePlan:
    """How an image is cut into tiles.

    Attributes:
        height, width: Size of the image, in pixels.
        kernel: Side of the kernel.
        rows, columns: Number of tiles down and across.
        step_y, step_x: Pixels of the result that a tile gives, down and across.
    """

    height: int
    width: int
    kernel: int
    rows: int
    columns: int
    step_y: int
    step_x: int

    @property
    def size_y(self) -> int:
        """Rows of a tile (Ny)."""
        return self.step_y + self.kernel - 1

    @property
    def size_x(self) -> int:
        """Columns of a tile (Nx)."""
        return self.step_x + self.kernel - 1

    @property
    def frequencies_y(self) -> int:
        """Frequencies down that a real image needs (Fy); the others are their conjugates."""
        return self.size_y // 2

    @property
    def padded_width(self) -> int:
        """Columns of the padded image."""
        return self.columns * self.step_x

    def lines_at_once(self, inputs: int, outputs: int, lines: int) -> int:
        """How many of a number of rows of tiles to transform at a time, within `CHUNK_FLOATS`."""
        floats = 2 * self.frequencies_y * self.padded_width * max(inputs, outputs)
        chunks = math.ceil(lines * floats / CHUNK_FLOATS)
        return math.ceil(lines / chunks)

    def cost(self, inputs: int, outputs: int, batch: int = 1) -> float:
        """Estimate of the time to convolve, in nanoseconds on the machine of the constants.

        Includes the transform of the kernels, which counts in small images.
        """
        ny, nx, fy = self.size_y, self.size_x, self.frequencies_y
        lines, tiles = self.rows * batch, self.rows * self.columns * batch
        products = (
            2 * fy * ny * self.padded_width * lines * inputs
            + 4 * fy * nx * nx * tiles * inputs
            + 6 * fy * nx * tiles * inputs * outputs
            + 4 * fy * nx * self.step_x * tiles * outputs
            + 2 * fy * self.step_y * self.padded_width * lines * outputs
            + 4 * fy * self.kernel * (self.kernel + nx) * inputs * outputs
        )
        columns = 2 * fy * self.padded_width * lines * max(inputs, outputs)
        floats = fy * nx * tiles * (inputs + outputs)
        kernels = 6 * fy * nx * inputs * outputs
        return (
            products / PRODUCT_RATE
            + columns / COLUMNS_RATE
            + floats / FLOATS_RATE
            + kernels / KERNELS_RATE
            + CALL_COST * 40 * fy
        )


def direct_cost(height: int, width: int, kernel: int, inputs: int, outputs: int) -> float:
    """Estimate of the time of a native convolution, in the nanoseconds of `TilePlan.cost`."""
    pixels = height * width
    return 2 * kernel**2 * inputs * outputs * pixels / DIRECT_RATE + 2 * CALL_COST


@lru_cache(maxsize=512)
def plan_tiles(
    height: int,
    width: int,
    kernel: int,
    inputs: int,
    outputs: int,
    batch: int = 1,
    *,
    always: bool = False,
) -> TilePlan | None:
    """Choose the tiles for a convolution, or None where the native one is cheaper.

    Args:
        height: Of the image.
        width: Of the image.
        kernel: Side of the kernel, odd.
        inputs: Channels of the image.
        outputs: Channels of the result.
        batch: Images that go through together.
        always: Whether to plan even where the native convolution is cheaper.
    """
    best = min(
        (
            _fit(height, width, kernel, rows, columns)
            for rows in _tile_counts(height, kernel)
            for columns in _tile_counts(width + kernel - 1, kernel)
        ),
        key=lambda plan: plan.cost(inputs, outputs, batch),
    )
    direct = batch * direct_cost(height, width, kernel, inputs, outputs)
    if always or WORTH_IT * best.cost(inputs, outputs, batch) < direct:
        return best
    return None


def _tile_counts(length: int, kernel: int) -> list[int]:
    """Numbers of tiles worth trying along an axis: steps between about K / 2 and 8 K pixels."""
    largest = max(1, math.ceil(length / max(6, kernel // 2)))
    smallest = max(1, length // max(96, 8 * kernel))
    return list(range(smallest, min(largest, smallest + 48) + 1))


def _fit(height: int, width: int, kernel: int, rows: int, columns: int) -> TilePlan:
    # Even steps make even tiles, in which every frequency has an opposite.
    step_y = 2 * math.ceil(height / rows / 2)
    step_x = 2 * math.ceil((width + kernel - 1) / columns / 2)
    return TilePlan(
        height=height,
        width=width,
        kernel=kernel,
        rows=math.ceil(height / step_y),
        columns=math.ceil((width + kernel - 1) / step_x),
        step_y=step_y,
        step_x=step_x,
    )
