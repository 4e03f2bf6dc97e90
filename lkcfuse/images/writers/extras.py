"""What goes into a file beside its samples."""

from __future__ import annotations

from dataclasses import dataclass

from lkcfuse.images.metadata import Metadata


@dataclass(frozen=True)
class Extras:
    """What a writer puts beside the samples, as far as its format can hold it.

    Attributes:
        icc_profile: The colour profile of RGB samples; None where there is none.
        metadata: What is said about the picture; None where nothing shall be.
    """

    icc_profile: bytes | None = None
    metadata: Metadata | None = None

    def exif(self, size: tuple[int, int]) -> bytes | None:
        """Return the EXIF block for an image of (height, width); None where there is none."""
        return None if self.metadata is None else self.metadata.to_exif(size)

    @property
    def resolution(self) -> tuple[float, float] | None:
        """Pixels per inch, (across, down); None where nothing is said."""
        return None if self.metadata is None else self.metadata.resolution
