"""What a file holds, before anything is made of it: readers return it, `values.py` makes images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lkcfuse.images.metadata import Metadata


def upright_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Return (height, width) of a picture that is turned as EXIF's orientation (1 to 8) asks."""
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


@dataclass
class Decoded:
    """The samples of one image file, as they stand in it.

    Attributes:
        samples: (H, W) grey, (H, W, 3) RGB, or (H, W, 2) and (H, W, 4) with a straight alpha
            channel last; of any integer or float type, in the file's own numbers. Rows and columns
            are as the file has them: `orientation` is not applied yet.
        orientation: What EXIF says of it, 1 to 8.
        icc_profile: The file's colour profile, of whatever colour space.
        nodata: The value that the file says stands for no data, in its own numbers.
        format: Name of the format, as Pillow calls it: `PNG`.
        notes: What the user should know, one line each.
        metadata: What the file says about the picture.
        valid: (H, W): where there is data; None where only the samples tell.
    """

    samples: npt.NDArray[Any]
    orientation: int = 1
    icc_profile: bytes | None = None
    nodata: float | None = None
    format: str = ""
    notes: list[str] = field(default_factory=list)
    metadata: Metadata = field(default_factory=Metadata)
    valid: npt.NDArray[np.bool_] | None = None

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.samples.ndim == 3 and self.samples.shape[2] in (2, 4)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples."""
        return self.samples.dtype
