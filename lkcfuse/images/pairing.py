"""Which files of two folders belong together: those of one stem, whatever their extensions."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lkcfuse.errors import InputError
from lkcfuse.images.formats import FORMATS

IMAGE_SUFFIXES = frozenset(suffix for known in FORMATS.values() for suffix in known.suffixes)
"""File suffixes taken for images, in lower case; other files in a folder are passed over."""


@dataclass(frozen=True)
class Match:
    """Two files of one relative stem.

    Attributes:
        stem: Path below the folders without the extension, parts separated by `/`.
        first: The first folder's file.
        second: The second folder's file.
    """

    stem: str
    first: Path
    second: Path


@dataclass(frozen=True)
class Matching:
    """What `match_stems` finds.

    Attributes:
        pairs: The pairs, in the order of their stems.
        only_first: Files of the first folder without a partner, in the order of their stems.
        only_second: Likewise of the second.
    """

    pairs: tuple[Match, ...]
    only_first: tuple[Path, ...]
    only_second: tuple[Path, ...]


def match_stems(first: Path, second: Path) -> Matching:
    """Pair the images of two folders by their stems; sub-folders are part of a stem.

    `ir/day/1.png` and `vis/day/1.jpg` are a pair of the stem `day/1`. See `list_images` for which
    files count.

    Args:
        first: Folder of the first images.
        second: Folder of the second images.

    Returns:
        The pairs, and the files without a partner.

    Raises:
        InputError: As `list_images`.
    """
    firsts, seconds = list_images(first), list_images(second)
    return Matching(
        tuple(Match(stem, path, seconds[stem]) for stem, path in firsts.items() if stem in seconds),
        tuple(path for stem, path in firsts.items() if stem not in seconds),
        tuple(path for stem, path in seconds.items() if stem not in firsts),
    )


def list_images(folder: Path) -> dict[str, Path]:
    """Return a folder's images by their stems, sub-folders included.

    Hidden files and folders (their names begin with a dot) and files whose suffix is no image's
    are passed over. Symbolic links are followed. Stems are compared in Unicode's composed form:
    file systems differ in the form they keep.

    Args:
        folder: The folder.

    Returns:
        Files by relative stem (parts separated by `/`), in the order of the stems with numbers
        counted as numbers: 2 before 10.

    Raises:
        InputError: The folder does not exist, is none, or cannot be read; it holds no image; or
            two of its files have one stem, so that it is not known which is meant.
    """
    images: dict[str, Path] = {}
    for path in _walk(folder):
        relative = path.relative_to(folder)
        stem = unicodedata.normalize("NFC", relative.with_suffix("").as_posix())
        if stem in images:
            raise InputError(
                f"{images[stem]} and {path} have one stem, '{stem}', so it is not known which is "
                "meant: move one of them away"
            )
        images[stem] = path
    if not images:
        raise InputError(
            f"{folder} holds no images: files that end in {', '.join(sorted(IMAGE_SUFFIXES))} count"
        )
    return {stem: images[stem] for stem in sorted(images, key=_natural)}


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the image files below a folder, each in a fixed order."""

    def refuse(error: OSError) -> None:
        place = error.filename or folder
        if isinstance(error, FileNotFoundError):
            raise InputError(f"{place} does not exist: check the path") from None
        if isinstance(error, NotADirectoryError):
            raise InputError(f"{place} is not a folder: name one, or two single files") from None
        raise InputError(f"{place} cannot be read: {error.strerror or error}") from None

    seen = set()
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        # A link to a folder above would be walked for ever.
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() in IMAGE_SUFFIXES:
                yield path


def _natural(stem: str) -> list[tuple[list[tuple[int, str]], str]]:
    """Sort key that goes folder by folder, and by the value of runs of digits."""
    return [(_runs(part), part) for part in stem.split("/")]


def _runs(part: str) -> list[tuple[int, str]]:
    """Split into numbers, as (value, ""), and what stands between them, as (-1, text)."""
    pieces = re.split(r"([0-9]+)", part)
    return [(int(piece), "") if i % 2 else (-1, piece) for i, piece in enumerate(pieces)]
