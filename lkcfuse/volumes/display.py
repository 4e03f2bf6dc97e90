"""A scan as pictures: its values through a window, and in colours where it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lkcfuse.images import Image
from lkcfuse.volumes.colours import colour, colour_table
from lkcfuse.volumes.planes import View
from lkcfuse.volumes.volume import Volume
from lkcfuse.volumes.windows import apply_window, find_window


@dataclass(frozen=True, eq=False)
class Display:
    """A volume, and how it is shown.

    Attributes:
        volume: The volume.
        limits: Which values become black and white; None for RGB.
        origin: Where the limits are from, in words.
        table: (256, 3) uint8 colours; None for grey, and for RGB.
    """

    volume: Volume
    limits: tuple[float, float] | None
    origin: str = ""
    table: npt.NDArray[np.uint8] | None = None

    @property
    def is_coloured(self) -> bool:
        """Whether its pictures are RGB."""
        return self.volume.is_coloured or self.table is not None

    def picture(self, view: View, index: int) -> Image:
        """Return one slice as an image.

        Args:
            view: How the volume is cut.
            index: Which slice.
        """
        volume = self.volume
        values = view.cut(volume.values)[index]
        samples: npt.NDArray[Any]
        if self.limits is None:
            samples = np.ascontiguousarray(values)
        else:
            samples = apply_window(values, self.limits, inverted=volume.inverted)
            if self.table is not None:
                samples = colour(samples, self.table)
        coverage = None
        if volume.valid is not None:
            known = view.cut(volume.valid)[index]
            if not known.all():
                coverage = np.where(known, np.uint8(255), np.uint8(0))
                samples = np.where(known if samples.ndim == 2 else known[..., None], samples, 0)
        samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        return Image(
            luma_samples=samples,
            chroma_samples=samples if samples.ndim == 3 else None,
            dtype=volume.depth if samples.ndim == 2 else np.dtype(np.uint8),
            name=volume.name,
            coverage=coverage,
        )


def display(volume: Volume, window: str, colours: str | None) -> Display:
    """Decide how a volume is shown.

    Args:
        volume: The volume.
        window: As `find_window` takes it; RGB is shown as it is.
        colours: Name of the colour table for scalars; None or `off` leaves them grey.

    Raises:
        UsageError, InputError: As `find_window` and `colour_table`.
    """
    if volume.is_coloured:
        return Display(volume, None)
    limits, origin = find_window(volume, window)
    table = None if colours in (None, "off") else colour_table(str(colours))
    return Display(volume, limits, origin, table)
