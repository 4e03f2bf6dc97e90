"""Images: files to arrays and back, luma and chroma apart. Nothing here knows torch."""

from lkcfuse.images.formats import FORMATS, Format, choose_format
from lkcfuse.images.image import (
    Image,
    blend_colours,
    image_from_array,
    image_to_array,
    stretch_image,
)
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.ranges import ValueRange, parse_value_range
from lkcfuse.images.reading import read_image
from lkcfuse.images.writing import check_output, write_image

__all__ = [
    "FORMATS",
    "Format",
    "Image",
    "ReadOptions",
    "ValueRange",
    "blend_colours",
    "check_output",
    "choose_format",
    "image_from_array",
    "image_to_array",
    "parse_value_range",
    "read_image",
    "stretch_image",
    "write_image",
]
