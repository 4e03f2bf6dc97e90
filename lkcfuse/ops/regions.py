"""Rectangles of an image, and ways to walk through one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor


class Region(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right`, the ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    def moved(self, down: int, right: int) -> Region:
        """The region somewhere else."""
        return Region(self.top + down, self.bottom + down, self.left + right, self.right + right)

    def within(self, bounds: Region) -> Region:
        """The part that lies within another region; without rows or columns if there is none."""
        return Region(
            max(self.top, bounds.top),
            min(self.bottom, bounds.bottom),
            max(self.left, bounds.left),
            min(self.right, bounds.right),
        )

    def grown(self, margin: int, height: int, width: int) -> Region:
        """The region with a margin on all sides, cut at the edges of a height x width image."""
        return Region(
            max(0, self.top - margin),
            min(height, self.bottom + margin),
            max(0, self.left - margin),
            min(width, self.right + margin),
        )

    def scaled(self, numerator: int, denominator: int) -> Region:
        """The smallest region that covers this one in an image of another resolution."""
        return Region(
            self.top * numerator // denominator,
            -(-self.bottom * numerator // denominator),
            self.left * numerator // denominator,
            -(-self.right * numerator // denominator),
        )


def cut(height: int, width: int, rows: int, columns: int) -> Iterator[Region]:
    """Cut a height x width image into regions of at most rows x columns, in reading order."""
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield Region(top, min(top + rows, height), left, min(left + columns, width))


def fill_region(
    region: Region, bounds: Region, out: Tensor, read: Callable[[Region, Tensor], object]
) -> None:
    """Write pixels of an image where there are any, and zeros around them.

    Args:
        region: What to write; may reach beyond the image.
        bounds: Where there are pixels.
        out: Where they go, `(region.height, region.width, channels)`.
        read: Writes a region within the bounds into a part of `out`.
    """
    inner = region.within(bounds)
    if inner.height <= 0 or inner.width <= 0:
        out.zero_()
        return
    top, bottom = inner.top - region.top, inner.bottom - region.top
    left, right = inner.left - region.left, inner.right - region.left
    for margin in (out[:top], out[bottom:], out[top:bottom, :left], out[top:bottom, right:]):
        if margin.numel():
            margin.zero_()
    read(inner, out[top:bottom, left:right])
