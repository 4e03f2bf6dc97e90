"""Rectangles of an image, and ways to walk through one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


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
