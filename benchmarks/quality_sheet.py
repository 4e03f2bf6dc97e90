"""Contact sheets: some pairs of a set, a row each, to look at in full size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from quality_picture import Views

from lkcfuse.atomic import atomic_write
from lkcfuse.images import Image as FusionImage
from lkcfuse.images.preview import preview_pixels

WIDTH = 640
ROWS = 10
_GAP, _CAPTION, _FONT = 8, 22, 15


class Row(NamedTuple):
    """One pair: the name it has in its set, and its pictures from left to right."""

    name: str
    pictures: tuple[Image.Image, ...]


def row_of(name: str, views: Views) -> Row:
    """Make a row of a pair's images; one wider than 640 pixels is scaled down."""
    return Row(name, tuple(_picture(image) for image in views))


def contact_sheet(rows: Sequence[Row], titles: Sequence[str]) -> Image.Image:
    """Lay out rows below each other, with the titles above and a name above each row.

    Raises:
        ValueError: There are no rows.
    """
    columns = [max(row.pictures[i].width for row in rows) for i in range(len(titles))]
    heights = [max(picture.height for picture in row.pictures) for row in rows]
    width = sum(columns) + _GAP * (len(columns) + 1)
    height = _CAPTION + sum(heights) + (_CAPTION + _GAP) * len(rows)
    sheet = Image.new("RGB", (width, height), (32, 32, 32))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT)
    lefts = [_GAP + sum(columns[:i]) + _GAP * i for i in range(len(columns))]
    for left, title in zip(lefts, titles, strict=True):
        draw.text((left, 2), title, fill="white", font=font)
    top = _CAPTION
    for row, row_height in zip(rows, heights, strict=True):
        draw.text((_GAP, top + 2), row.name, fill=(200, 200, 120), font=font)
        top += _CAPTION
        for left, picture in zip(lefts, row.pictures, strict=True):
            sheet.paste(picture, (left, top))
        top += row_height + _GAP
    return sheet


def write_sheet(path: Path, rows: Sequence[Row], titles: Sequence[str]) -> None:
    """Write a contact sheet as a JPEG file, whole or not at all; one that exists is replaced.

    Raises:
        LkcfuseError: The file cannot be written.
    """
    with atomic_write(path, overwrite=True) as file:
        contact_sheet(rows, titles).save(file, "JPEG", quality=92, subsampling=0)


def _picture(image: FusionImage) -> Image.Image:
    height, width = image.size
    # Pixels of the longer side that make the width 640 at most.
    side = max(height, width) if width <= WIDTH else round(max(height, width) * WIDTH / width)
    return Image.fromarray(preview_pixels(image, side)).convert("RGB")
