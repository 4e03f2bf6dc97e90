"""JPEG, WebP and BMP: Pillow writes them, with what goes beside the samples."""

from __future__ import annotations

import io
from typing import Any

import numpy.typing as npt
import PIL.Image

from lkcfuse.images.writers.extras import Extras

# The word that JPEG, and Pillow in front of WebP's data, has before an EXIF block.
_EXIF = b"Exif\0\0"


def encode_jpeg(pixels: npt.NDArray[Any], extras: Extras) -> bytes:
    """Return a JPEG with all its chroma (4:4:4), at a quality whose loss is hard to see."""
    return _save(pixels, extras, format="JPEG", quality=95, subsampling=0)


def encode_webp(pixels: npt.NDArray[Any], extras: Extras) -> bytes:
    """Return a lossless WebP."""
    return _save(pixels, extras, format="WEBP", lossless=True)


def encode_bmp(pixels: npt.NDArray[Any], extras: Extras) -> bytes:
    """Return a BMP, which has room for the resolution alone."""
    return _save(pixels, Extras(None, extras.metadata), format="BMP")


def _save(pixels: npt.NDArray[Any], extras: Extras, **options: Any) -> bytes:
    exif = extras.exif((pixels.shape[0], pixels.shape[1]))
    if exif is not None:
        options["exif"] = _EXIF + exif
    if extras.icc_profile is not None:
        options["icc_profile"] = extras.icc_profile
    if extras.resolution is not None:
        options["dpi"] = tuple(extras.resolution)
    buffer = io.BytesIO()
    picture = PIL.Image.fromarray(pixels)
    del pixels  # of RGB Pillow has made a copy
    picture.save(buffer, **options)
    return buffer.getvalue()
