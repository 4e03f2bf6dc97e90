"""Lists of pairs, as users write them: a CSV file, tab-separated lines, NUL-ended names."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from lkcfuse.batch.plan import Listed
from lkcfuse.errors import InputError
from lkcfuse.pairs.pairing import IMAGE_SUFFIXES


def read_csv(path: Path) -> list[Listed]:
    """Read a CSV file of pairs: the first file, the second, and if need be the output's name.

    A first row whose cells are no image files is taken for a header. Empty rows are passed over.

    Raises:
        InputError: The file cannot be read, has nothing but a header, or a row does not have two or
            three cells.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    # A spreadsheet's byte order mark is no part of the first name.
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    listed: list[Listed] = []
    seen_row = False
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not seen_row and not any(_is_image(cell) for cell in cells):
                seen_row = True
                continue
            seen_row = True
            listed.append(_listed(cells, f"{path}, line {rows.line_num}", "commas"))
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: {error}") from None
    if seen_row and not listed:
        raise InputError(
            f"{path} lists no pairs: its only row names no image files (with their extensions), "
            "and is taken for a header"
        )
    return listed


def parse_lines(data: bytes) -> list[Listed]:
    """Read lines of `A<TAB>B`, or `A<TAB>B<TAB>NAME`; empty lines are passed over.

    Raises:
        InputError: A line does not have two or three parts.
    """
    return [
        _listed(os.fsdecode(line).split("\t"), f"standard input, line {number}", "tabs")
        for number, line in enumerate(data.replace(b"\r\n", b"\n").split(b"\n"), 1)
        if line.strip()
    ]


def parse_null(data: bytes) -> list[Listed]:
    """Read names that end in NUL, alternately a first and a second file.

    Raises:
        InputError: The number of names is odd, or one is empty.
    """
    names = [os.fsdecode(name) for name in data.removesuffix(b"\0").split(b"\0")] if data else []
    if len(names) % 2 or not all(names):
        raise InputError(
            f"standard input has {len(names)} names that end in NUL, or an empty one: give first "
            "and second files alternately"
        )
    return [Listed(first, second) for first, second in zip(names[::2], names[1::2], strict=True)]


def _listed(cells: list[str], place: str, separator: str) -> Listed:
    while len(cells) > 2 and not cells[-1]:
        cells = cells[:-1]
    if len(cells) not in (2, 3) or not all(cells):
        raise InputError(
            f"{place}: a pair is two files, and if need be the output's name, separated by "
            f"{separator}"
        )
    if any("\0" in cell for cell in cells):
        raise InputError(f"{place} holds a NUL: names that end in NUL are read with -0")
    return Listed(cells[0], cells[1], cells[2] if len(cells) == 3 else None)


def _is_image(cell: str) -> bool:
    return Path(cell).suffix.lower() in IMAGE_SUFFIXES
