"""Palettes of the user's own: a picture of the colour bar, or a table of colours."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lkcfuse import strict_json
from lkcfuse.errors import InputError
from lkcfuse.images.palettes.palette import Palette, palette_of

Table = npt.NDArray[np.float64]

# A table of more rows than this is not a palette; so is a larger file.
_MAX_ROWS = 1 << 16
_MAX_BYTES = 4 << 20

# Median distance of a bar's pixels from the colour of their row (Euclidean, of 255): a frame and
# the ticks of a scale leave it alone, a photograph is beyond.
_BAR_NOISE = 16.0

_TABLES = (".csv", ".txt", ".json")
_CURE = "give rows of R,G,B from 0 to 255, coldest first"


def read_table(path: Path) -> Palette:
    """Read a palette from a table.

    Args:
        path: A `.csv` or `.txt` file with a row of R, G and B per colour, coldest first, after a
            header or none; or a `.json` file with a list of `[r, g, b]` or `"#rrggbb"`. Numbers are
            from 0 to 255, or all of them from 0 to 1.

    Raises:
        InputError: The file cannot be read, or is not such a table.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is too large for a palette: {_CURE}")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8: {_CURE}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    rows = _json_rows(text, path) if path.suffix.lower() == ".json" else _csv_rows(text, path)
    table = np.array(rows, np.float64)
    if not 2 <= len(table) <= _MAX_ROWS:
        raise InputError(f"{path} has {len(table)} colours: {_CURE}, at least two of them")
    if not np.isfinite(table).all() or table.min() < 0 or table.max() > 255:
        raise InputError(f"{path} has values beyond 0 and 255: {_CURE}")
    if table.max() <= 1:
        table *= 255
    return palette_of(str(path), table)


def is_table(path: Path) -> bool:
    """Whether a file of this name is read as a table, not as a picture."""
    return path.suffix.lower() in _TABLES


def palette_of_bar(rgb: npt.NDArray[np.uint8], name: str) -> Palette:
    """Take a palette from a picture of its colour bar.

    Args:
        rgb: (H, W, 3). The longer side runs along the palette: upright, hot is at the top; lying,
            on the right.
        name: The file's name.

    Raises:
        InputError: The picture is not a colour bar.
    """
    upright = rgb.shape[0] >= rgb.shape[1]
    along = rgb[::-1] if upright else rgb.swapaxes(0, 1)
    colours = np.median(along, axis=1)
    noise = float(np.median(np.linalg.norm(along - colours[:, None], axis=-1)))
    if len(colours) < 2 or noise > _BAR_NOISE:
        raise InputError(
            f"{name} is not a picture of a colour bar: cut out the bar alone, without its numbers"
        )
    if float(np.ptp(colours, axis=0).max()) < _BAR_NOISE:
        raise InputError(f"{name} has one colour everywhere: a colour bar has those of a palette")
    return palette_of(name, colours)


def _csv_rows(text: str, path: Path) -> list[list[float]]:
    lines = [line for line in text.splitlines() if line.strip()]
    sample = lines[0] if lines else ""
    separator = next((mark for mark in ",;\t" if mark in sample), None)
    rows: list[list[float]] = []
    cells = csv.reader(lines, delimiter=separator) if separator else map(str.split, lines)
    for number, row in enumerate(cells, start=1):
        try:
            values = [float(cell) for cell in row if cell.strip()]
        except ValueError:
            if number == 1:  # a header
                continue
            raise InputError(f"{path}: row {number} has a word in it: {_CURE}") from None
        if len(values) == 4:  # an index, or a temperature, before the colour
            values = values[1:]
        rows.append(_checked(values, number, path))
    return rows


def _json_rows(text: str, path: Path) -> list[list[float]]:
    try:
        entries = strict_json.loads(text)
    except ValueError:
        raise InputError(f"{path} is not JSON: {_CURE}, as [[0, 0, 0], [255, 255, 255]]") from None
    if not isinstance(entries, list):
        raise InputError(f"{path} is not a list: {_CURE}, as [[0, 0, 0], [255, 255, 255]]")
    rows: list[list[float]] = []
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, str):
            rows.append(list(colour_of(entry) or ()))
        elif isinstance(entry, list) and all(_is_number(value) for value in entry):
            rows.append([float(value) for value in entry])
        else:
            rows.append([])
        _checked(rows[-1], number, path)
    return rows


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _checked(values: list[float], number: int, path: Path) -> list[float]:
    if len(values) != 3:
        raise InputError(f"{path}: row {number} is not a colour: {_CURE}")
    return values


def colour_of(text: str) -> tuple[int, int, int] | None:
    """Return the red, green and blue of `#rrggbb`; None where it is not written so."""
    digits = text.strip().removeprefix("#")
    if len(digits) != 6 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        return None
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue
