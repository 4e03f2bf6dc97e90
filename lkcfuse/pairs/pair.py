"""Two registered images of one scene: what is fused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lkcfuse.errors import InputError, UsageError
from lkcfuse.images.colour import FloatArray
from lkcfuse.images.image import Image
from lkcfuse.notes import CodedWarning
from lkcfuse.pairs.coverage import Gaps, fill_gaps, is_constant
from lkcfuse.tasks import Task


@dataclass(frozen=True)
class Pair:
    """Two images of the same size.

    Attributes:
        first: The infrared image or the MRI slice.
        second: The visible image, or the CT, PET or SPECT slice.

    Raises:
        InputError: The sizes differ; the message names both images and their sizes.
    """

    first: Image
    second: Image

    def __post_init__(self) -> None:
        if self.first.size != self.second.size:
            sizes = [
                f"{image.name} has {image.size[1]}x{image.size[0]} pixels"
                for image in (self.first, self.second)
            ]
            raise InputError(
                f"{sizes[0]} and {sizes[1]}: a pair must be registered and of one size. "
                "If both show the same field of view, use --resize first or --resize second; "
                "if not, --transform"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.first.size

    def stack(
        self,
        order: Sequence[str] = ("second", "first"),
        *,
        invert_first: bool = False,
    ) -> FloatArray:
        """Return the lumas of both, in the order that a network takes them.

        Args:
            order: `first` and `second`, in the order of the network's channels.
            invert_first: The first image is black-hot: invert it.

        Returns:
            (2, H, W) float32 in [0, 1]; nothing else of the image's size is made on the way.
        """
        planes = np.empty((2, *self.size), np.float32)
        for plane, source in zip(planes, order, strict=True):
            image = self.first if source == "first" else self.second
            image.copy_luma(plane, invert=invert_first and source == "first")
        first, second = self.gaps
        fill_gaps(planes, (first, second) if order[0] == "first" else (second, first))
        return planes

    @property
    def gaps(self) -> Gaps:
        """Where the first and the second image have data, (H, W); None for everywhere."""
        return self.first.coverage, self.second.coverage

    def constant(self) -> str | None:
        """Return the source that alone has one value everywhere: `first`, `second`, or None."""
        constant = [is_constant(image) for image in (self.first, self.second)]
        if constant[0] == constant[1]:
            return None
        return "first" if constant[0] else "second"

    def notes(self, task: Task) -> tuple[str, ...]:
        """Return what the user should know about the pair, one line each.

        Args:
            task: The task it is to be fused for.
        """
        notes = self.first.notes + self.second.notes
        swapped = task.ordered and task.chroma == "second"
        if swapped and self.first.is_coloured() and not self.second.is_coloured():
            notes += (
                CodedWarning(
                    "task",
                    f"{self.first.name} is coloured and {self.second.name} is not: are they "
                    f"swapped? The {task.first} image comes first, and colour is taken from the "
                    "second",
                ),
            )
        return notes


def check_files(first: object, second: object, output: object = None) -> None:
    """Check that two sources are two files, and that the output is neither of them.

    Args:
        first: The first source; what is not a path on this machine is ignored, here and below.
        second: The second source.
        output: The file to write, if any.

    Raises:
        UsageError: One file was given twice.
    """
    real = [
        os.path.realpath(place) if isinstance(place, (str, os.PathLike)) else None
        for place in (first, second, output)
    ]
    if real[0] is not None and real[0] == real[1]:
        raise UsageError(f"{first} and {second} are the same file: give two different images")
    if real[2] is not None and real[2] in real[:2]:
        raise UsageError(f"{output} is a source and would be overwritten: choose another output")
