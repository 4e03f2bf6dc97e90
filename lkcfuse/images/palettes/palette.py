"""A palette: the colours that a thermal camera or a program shows heat in, from cold to hot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lkcfuse.images.colour import FloatArray

LEVELS = 256

ALIKE = 24.0
"""Colours no further apart than this (Euclidean, of 255) cannot be told apart in a JPEG file."""

# So near must two parts of a palette come for pixels to be taken for the wrong one.
_MEETING = 32.0


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours in equal steps of heat.

    Attributes:
        name: What users call it.
        colours: (256, 3) float32 RGB from 0 to 255, coldest first.
    """

    name: str
    colours: FloatArray

    @cached_property
    def ends_meet(self) -> bool:
        """Whether two colours far apart in heat look alike, so that a pixel may be of either."""
        coarse = self.colours[::4]
        apart = np.abs(np.subtract.outer(np.arange(len(coarse)), np.arange(len(coarse))))
        distance = np.linalg.norm(coarse[:, None] - coarse[None], axis=-1)
        return bool((distance[apart > len(coarse) // 6] < _MEETING).any())

    def reversed(self) -> Palette:
        """Return the palette that shows hot as this one shows cold."""
        return Palette(f"{self.name}-reversed", self.colours[::-1].copy())


def palette_of(name: str, colours: npt.ArrayLike) -> Palette:
    """Make a palette of a table of any length, in equal steps of heat.

    Args:
        name: What users call it.
        colours: (N, 3) RGB from 0 to 255, coldest first, N at least 2.
    """
    table = np.asarray(colours, np.float64)
    return palette_of_points(name, np.linspace(0, 1, len(table)), table)


def palette_of_points(
    name: str, positions: Sequence[float] | npt.NDArray[np.float64], colours: npt.ArrayLike
) -> Palette:
    """Make a palette of colours between which it runs straight.

    Args:
        name: What users call it.
        positions: (N) from 0 (coldest) to 1, increasing.
        colours: (N, 3) RGB from 0 to 255.
    """
    table = np.asarray(colours, np.float64)
    steps = np.linspace(0, 1, LEVELS)
    channels = [np.interp(steps, positions, table[:, channel]) for channel in range(3)]
    return Palette(name, np.stack(channels, axis=1).astype(np.float32))
