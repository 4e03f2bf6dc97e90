"""Small pictures to look at on a screen: 8 bits, in sRGB, scaled down, encoded as WebP."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ImageCms

from lkcfuse.images.image import Image, image_to_array

PREVIEW_MEDIA_TYPE = "image/webp"
"""What `encode_preview` returns."""

Pixels = npt.NDArray[np.uint8]
"""(H, W) grey or (H, W, 3) RGB."""


def preview_pixels(image: Image, side: int) -> Pixels:
    """Return an image as a screen shows it, no larger than asked for.

    Args:
        image: The image; 16 bits and float become 8 bits over the same range, unstretched.
        side: Most pixels of the longer side; a smaller image keeps its size.

    Returns:
        The pixels. Colours with a profile are converted to sRGB; a profile that is broken, or no
        RGB profile, is skipped, as most viewers do.
    """
    picture = _shrunk(PIL.Image.fromarray(image_to_array(image, np.uint8)), side)
    if image.icc_profile is not None and picture.mode == "RGB":
        picture = _to_srgb(picture, image.icc_profile)
    return np.asarray(picture)


def shrink(pixels: Pixels, side: int) -> Pixels:
    """Scale pixels down until the longer side has at most so many, each averaged (Lanczos)."""
    return np.asarray(_shrunk(PIL.Image.fromarray(pixels), side))


def encode_preview(pixels: Pixels, quality: int) -> bytes:
    """Encode pixels as WebP.

    Args:
        pixels: What `preview_pixels` returns.
        quality: From 0 to 100, as WebP has it.

    Returns:
        The file's bytes, without a profile: the colours are sRGB.
    """
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def encode_png(pixels: Pixels) -> bytes:
    """Encode pixels as PNG, without a profile: the colours are sRGB."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _shrunk(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    longer = max(picture.size)
    if longer <= side:
        return picture
    width, height = (max(1, round(length * side / longer)) for length in picture.size)
    # Whole factors first, by averages: much faster on photographs, and as good from 3 times on.
    return picture.resize((width, height), PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)


def _to_srgb(picture: PIL.Image.Image, profile: bytes) -> PIL.Image.Image:
    try:
        converted = ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError):
        return picture
    return picture if converted is None else converted
