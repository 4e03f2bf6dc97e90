"""An image in memory: samples as they came, and the luma and chroma computed from them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.images.arrays import as_samples
from lkcfuse.images.colour import (
    FloatArray,
    blend_chroma,
    rgb_to_luma,
    rgb_to_ycbcr,
    ycbcr_to_rgb,
)
from lkcfuse.images.metadata import Metadata
from lkcfuse.images.samples import (
    Samples,
    full_scale,
    has_colour,
    row_bands,
    to_unit,
)

# Float sources that were resampled overshoot their range by a little; that much is clipped.
FLOAT_TOLERANCE = 1e-3

NOTEBOOK_SIDE = 1024
"""Pixels of the longer side that a notebook shows at most."""

# Mean |Cb| + |Cr| below which a colour image is grey to the eye (JPEG leaves such traces).
_VISIBLE_CHROMA = 0.01

# As many pixels tell whether an image is coloured; a large one is looked at in a grid.
_COLOUR_SAMPLES = 1 << 18


@dataclass(frozen=True, eq=False)
class Image:
    """A grey or colour image.

    It keeps samples, of which luma and chroma are computed when they are asked for: as float32
    planes they would take four times the memory of 8-bit RGB. The two may come from different
    samples, as in a fused image, whose luma is new and whose chroma is a source's.

    Attributes:
        luma_samples: What the luma is computed from, as `Samples`; grey samples are the luma.
        chroma_samples: The RGB samples that the chroma is computed from, of the same
            size and often the same array; None for a grey image.
        dtype: Type of the source's samples, so that a result can be written as deep: uint8, uint16
            or a float type.
        name: What messages call it: the file's path, or a word.
        icc_profile: The colour profile that came with the RGB values; None where none did.
        notes: What the user should know about the way it was read, one line each.
        coverage: How much each pixel counts: (H, W), 0 where there is no data, 255 where there is;
            None where there is data everywhere.
        metadata: What the image's file says about the picture, which goes into a file that is
            written; None for an array, and where none of it shall be.
    """

    luma_samples: Samples
    chroma_samples: Samples | None
    dtype: np.dtype[np.generic]
    name: str = "image"
    icc_profile: bytes | None = None
    notes: tuple[str, ...] = ()
    coverage: npt.NDArray[np.uint8] | None = None
    metadata: Metadata | None = None

    def __repr__(self) -> str:
        height, width = self.size
        kind = "grey" if self.chroma_samples is None else "RGB"
        return f"<Image '{self.name}': {width}x{height} {kind} {self.dtype}>"

    def _repr_png_(self) -> bytes:
        """Show the image in a notebook, scaled down to fit a screen."""
        from lkcfuse.images.preview import encode_png, preview_pixels

        return encode_png(preview_pixels(self, NOTEBOOK_SIDE))

    @property
    def array(self) -> npt.NDArray[np.generic]:
        """(H, W) grey or (H, W, 3) RGB of type `dtype`, computed anew; see `image_to_array`."""
        return image_to_array(self)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,  # noqa: A002 - the option's name
        overwrite: bool = False,
    ) -> None:
        """Write the image to a file; see `write_image` for formats and errors.

        Args:
            path: The file, which is written whole or not at all.
            format: Name of the format; None goes by the suffix.
            overwrite: Replace a file that exists.
        """
        from lkcfuse.images import write_image

        write_image(self, path, format=format, overwrite=overwrite)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.luma_samples.shape[:2]
        return height, width

    @property
    def luma(self) -> FloatArray:
        """(H, W) float32 in [0, 1], computed anew each time."""
        plane = np.empty(self.size, np.float32)
        self.copy_luma(plane)
        return plane

    @property
    def chroma(self) -> FloatArray | None:
        """(H, W, 2) float32: Cb and Cr centred on 0, computed anew; None for a grey image."""
        if self.chroma_samples is None:
            return None
        planes = np.empty((*self.size, 2), np.float32)
        for rows in row_bands(*self.size):
            planes[rows] = _chroma(self.chroma_samples[rows])
        return planes

    def copy_luma(self, plane: FloatArray, *, invert: bool = False) -> None:
        """Compute the luma into an array, without another of the image's size.

        Args:
            plane: Gets the luma: (H, W) float32.
            invert: Make black white and white black; so does what has no data.
        """
        for rows in row_bands(*self.size):
            plane[rows] = _luma(self.luma_samples[rows])
            if invert:
                np.subtract(1, plane[rows], out=plane[rows])

    def is_coloured(self) -> bool:
        """Whether an eye would see colour: more than the traces that JPEG leaves in grey."""
        if self.chroma_samples is None:
            return False
        height, width = self.size
        step = max(1, math.isqrt(height * width // _COLOUR_SAMPLES))
        sample = _chroma(self.chroma_samples[::step, ::step])
        return float(np.abs(sample).sum(axis=-1).mean()) > _VISIBLE_CHROMA


def _luma(samples: Samples) -> FloatArray:
    unit = to_unit(samples)
    return unit if unit.ndim == 2 else rgb_to_luma(unit)


def _chroma(samples: Samples) -> FloatArray:
    return rgb_to_ycbcr(to_unit(samples))[1]


def image_from_array(array: npt.ArrayLike, *, name: str = "array") -> Image:
    """Make an image of an array.

    Args:
        array: (H, W) or (H, W, 1) grey or (H, W, 3) RGB; uint8 or uint16 over their whole range, or
            a float type in [0, 1]. It is not copied: do not change it while the image is in use. A
            Pillow image of mode L, RGB, I;16 or F is taken as well.
        name: What messages call it.

    Returns:
        The image; it has chroma exactly if the array has three channels.

    Raises:
        InputError: The shape, the type or the values are none of those.
    """
    return image_from_samples(as_samples(array, name), name=name)


def image_from_samples(samples: Samples, *, name: str) -> Image:
    """Make an image of samples; see `image_from_array`.

    Raises:
        InputError: There are float samples beyond 0 and 1.
    """
    if samples.dtype.kind == "f":
        check_float_range(samples, name)
    dtype = samples.dtype.newbyteorder("=")
    return Image(samples, samples if has_colour(samples) else None, dtype, name)


def image_to_array(image: Image, dtype: npt.DTypeLike | None = None) -> npt.NDArray[np.generic]:
    """Return an image's samples.

    Luma is clipped to [0, 1] and kept; where it leaves no room for the chroma, the chroma gives
    way (`lkcfuse.images.colour.ycbcr_to_rgb`).

    Args:
        image: The image.
        dtype: uint8, uint16 or a float type; None takes the image's own.

    Returns:
        (H, W) where the image is grey, else (H, W, 3) RGB; integers over their whole range and
        rounded, floats in [0, 1].
    """
    target = np.dtype(image.dtype if dtype is None else dtype)
    colour = image.chroma_samples
    pixels = np.empty(image.size if colour is None else (*image.size, 3), target)
    for rows in row_bands(*image.size):
        unit = _luma(image.luma_samples[rows])
        np.clip(unit, 0, 1, out=unit)
        if colour is not None:
            unit = ycbcr_to_rgb(unit, _chroma(colour[rows]))
        if target.kind == "u":
            unit *= np.float32(full_scale(target))
            np.rint(unit, out=unit)
        pixels[rows] = unit
    return pixels


def blend_colours(luma: Image, sources: Sequence[Image]) -> Image:
    """Give a grey image the chroma of several coloured ones.

    Args:
        luma: The grey image; type, name and notes of the result are its own.
        sources: Images of the same size; grey ones are left out.

    Returns:
        The image in colour, or as it was where no source is coloured. The chroma is scaled towards
        grey where it and the luma ask for a colour outside the RGB cube.
    """
    coloured = [image.chroma_samples for image in sources if image.chroma_samples is not None]
    if not coloured:
        return luma
    pixels = np.empty((*luma.size, 3), np.float32)
    for rows in row_bands(*luma.size):
        unit = _luma(luma.luma_samples[rows])
        np.clip(unit, 0, 1, out=unit)
        chroma = blend_chroma([_chroma(samples[rows]) for samples in coloured])
        pixels[rows] = ycbcr_to_rgb(unit, chroma)
    return replace(luma, luma_samples=pixels, chroma_samples=pixels)


def stretch_image(image: Image) -> Image:
    """Stretch an image so that its darkest sample becomes 0 and its brightest 1.

    All channels of a coloured image are stretched alike, so that hues stay.

    Args:
        image: The image; one whose samples are all the same is returned as it is.
    """
    pixels: FloatArray = image_to_array(image, np.float32).astype(np.float32, copy=False)
    darkest, brightest = pixels.min(), pixels.max()
    if darkest == brightest:
        return image
    pixels -= darkest
    pixels /= brightest - darkest
    return replace(image, luma_samples=pixels, chroma_samples=pixels if pixels.ndim == 3 else None)


def check_float_range(samples: Samples, name: str) -> None:
    """Check that float samples are between 0 and 1.

    Raises:
        InputError: One lies beyond, or is NaN.
    """
    lowest, highest = float(samples.min()), float(samples.max())
    if math.isnan(lowest):  # one is enough: it comes through
        raise InputError(f"{name} contains NaN: replace it by values between 0 and 1")
    if lowest < -FLOAT_TOLERANCE or highest > 1 + FLOAT_TOLERANCE:
        raise InputError(
            f"{name} has float values from {lowest:g} to {highest:g}: scale them to 0..1"
        )
