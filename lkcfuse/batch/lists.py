"""Lists of pairs, as users write them: a CSV file, tab-separated lines, NUL-ended names.

Spreadsheets differ by system and language in what separates cells and in how text is encoded. The
separator is found by trying; the encoding by a byte order mark, and is UTF-8 without one.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from lkcfuse.batch.plan import Listed
from lkcfuse.errors import InputError
from lkcfuse.pairs.pairing import IMAGE_SUFFIXES

_SEPARATORS = ",;\t"
_ROWS_TRIED = 100

# UTF-32's mark of this order begins with UTF-16's, so it comes first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_csv(path: Path) -> list[Listed]:
    """Read a file of pairs, one per row: two files and, if need be, the output's name.

    Cells are separated by commas, semicolons or tabs. A first row whose cells are no image files is
    taken for a header. Empty rows are skipped.

    Raises:
        InputError: The file cannot be read, is not UTF-8 and has no byte order mark, has nothing
            but a header, or a row does not have two or three cells.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    text = _decode(data, str(path))
    separator = _separator(text)
    rows = _rows(text, separator)
    listed: list[Listed] = []
    seen_row = False
    try:
        for line, cells in rows:
            if not seen_row and not any(_is_image(cell) for cell in cells):
                seen_row = True
                continue
            seen_row = True
            listed.append(_listed(cells, f"{path}, line {line}", "commas, semicolons or tabs"))
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from None
    if seen_row and not listed:
        raise InputError(
            f"{path} lists no pairs: its only row has no file names with image extensions, "
            "and is taken for a header"
        )
    return listed


def parse_lines(data: bytes) -> list[Listed]:
    """Read lines of `A<TAB>B`, or `A<TAB>B<TAB>NAME`; empty lines are skipped.

    Names may be of any bytes, but for text with a byte order mark.

    Raises:
        InputError: A line does not have two or three parts.
    """
    if data.startswith(tuple(mark for mark, _ in _MARKS)):
        data = os.fsencode(_decode(data, "standard input"))
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


def _decode(data: bytes, place: str) -> str:
    """Return a list's text, without its byte order mark."""
    mark, encoding = next(((m, e) for m, e in _MARKS if data.startswith(m)), (b"", "utf-8"))
    if not mark and b"\0" in data:
        raise InputError(
            f"{place} holds NUL characters, as UTF-16 without a byte order mark does: save it as "
            "CSV UTF-8; names that end in NUL are read with --from-stdin -0"
        )
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        if mark:
            raise InputError(f"{place} is damaged {encoding.upper()}: save it anew") from None
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{place}, line {line} is not UTF-8, but perhaps {_older_encoding(data)}: save it as "
            "CSV UTF-8"
        ) from None


def _older_encoding(data: bytes) -> str:
    """Guess what text is that is not UTF-8: two bytes a character, or one."""
    runs = re.findall(rb"[\x80-\xff]+", data)
    if all(len(run) % 2 == 0 for run in runs):
        return "GBK, Big5 or EUC-KR"
    return "Windows-1252 or Shift JIS"


def _separator(text: str) -> str:
    """Return what separates the cells: what gives the most pairs in the first rows."""
    declared = re.match(r"sep=(.)[\r\n]", text)  # as Excel writes and reads it
    if declared is not None:
        return declared[1]

    def count_pairs(separator: str) -> int:
        rows = islice(_rows(text, separator), _ROWS_TRIED)
        try:
            return sum(len(cells) > 1 and all(map(_is_image, cells[:2])) for _, cells in rows)
        except csv.Error:
            return 0

    return max(_SEPARATORS, key=count_pairs)


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with the number of its last line."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    for row in reader:
        cells = [cell.strip() for cell in row]
        declares = reader.line_num == 1 and text.startswith(f"sep={separator}")
        if any(cells) and not declares:
            yield reader.line_num, cells


def _listed(cells: list[str], place: str, separator: str) -> Listed:
    while len(cells) > 2 and not cells[-1]:
        cells = cells[:-1]
    if len(cells) not in (2, 3) or not all(cells):
        raise InputError(
            f"{place}: a pair is two files and, optionally, the output's name, separated by "
            f"{separator}"
        )
    if any("\0" in cell for cell in cells):
        raise InputError(f"{place} holds a NUL: names that end in NUL are read with -0")
    return Listed(cells[0], cells[1], cells[2] if len(cells) == 3 else None)


def _is_image(cell: str) -> bool:
    return Path(cell).suffix.lower() in IMAGE_SUFFIXES
