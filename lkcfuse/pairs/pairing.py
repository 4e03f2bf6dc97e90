"""Which files of two folders belong together: those of one stem, whatever their extensions.

Where names differ by a fixed part (`ir_7.png`, `vis_7.png`), a pattern says how.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lkcfuse.errors import InputError, UsageError
from lkcfuse.images.readers.registry import SUFFIXES
from lkcfuse.remote import Location, RemotePath, relative_to

IMAGE_SUFFIXES = SUFFIXES
"""File suffixes taken for images, in lower case; other files in a folder are passed over."""


_SHOWN = 10


@dataclass(frozen=True)
class Match:
    """Two files of one relative stem.

    Attributes:
        stem: Path below the folders without the extension, parts separated by `/`.
        first: The first folder's file.
        second: The second folder's file.
    """

    stem: str
    first: Location
    second: Location


@dataclass(frozen=True)
class Matching:
    """What `match_stems` finds.

    Attributes:
        pairs: The pairs, in the order of their stems.
        only_first: Files of the first folder without a partner, in the order of their stems.
        only_second: Likewise of the second.
    """

    pairs: tuple[Match, ...]
    only_first: tuple[Location, ...]
    only_second: tuple[Location, ...]


def match_stems(first: Location, second: Location, *, pattern: str | None = None) -> Matching:
    """Pair the images of two folders by their stems; sub-folders are part of a stem.

    `ir/day/1.png` and `vis/day/1.jpg` are a pair of the stem `day/1`. See `list_images` for which
    files count.

    Args:
        first: Folder of the first images.
        second: Folder of the second images.
        pattern: Where stems differ, how they do: `ir_{}=vis_{}`, the first folder's and the
            second's, where `{}` is what the two of a pair have in common. A side that contains `/`
            stands for the whole stem; one that does not, for the file's name, sub-folders being
            the same. The first image's stem becomes the pair's.

    Returns:
        The pairs, and the files without a partner.

    Raises:
        InputError: As `list_images`.
        UsageError: The pattern makes no sense.
    """
    sides = _sides(pattern) if pattern is not None else (_Side("{}"), _Side("{}"))
    firsts, seconds = list_images(first), list_images(second)
    partners = {
        key: path for stem, path in seconds.items() if (key := sides[1].key(stem)) is not None
    }
    pairs = tuple(
        Match(stem, path, partners[key])
        for stem, path in firsts.items()
        if (key := sides[0].key(stem)) in partners
    )
    # One folder may hold both: what a pattern takes for one side is no stray of the other.
    paired = {path for pair in pairs for path in (pair.first, pair.second)}
    alone = {path: None for path in firsts.values() if path not in paired}
    return Matching(
        pairs,
        tuple(alone),
        tuple(path for path in seconds.values() if path not in paired and path not in alone),
    )


@dataclass(frozen=True)
class _Side:
    """One side of a pattern."""

    text: str

    def key(self, stem: str) -> str | None:
        """Return what a stem has in place of `{}`, with its folder; None where it does not fit."""
        folder, name = "", stem
        if "/" not in self.text and "/" in stem:
            folder, _, name = stem.rpartition("/")
            folder += "/"
        before, after = self.text.split("{}")
        if len(name) <= len(before) + len(after):
            return None
        if not (name.startswith(before) and name.endswith(after)):
            return None
        return folder + name[len(before) : len(name) - len(after)]


def _sides(pattern: str) -> tuple[_Side, _Side]:
    sides = unicodedata.normalize("NFC", pattern).split("=")
    if len(sides) != 2 or any(side.count("{}") != 1 for side in sides):
        raise UsageError(
            f"the pattern '{pattern}' makes no sense: give two names with one {{}} each, "
            "as in 'ir_{}=vis_{}'"
        )
    for side in sides:
        suffix = Path(side).suffix
        if suffix.lower() in IMAGE_SUFFIXES:
            raise UsageError(
                f"the pattern '{pattern}' is compared with names without their extensions: "
                f"leave out {suffix}"
            )
    return _Side(sides[0]), _Side(sides[1])


def list_images(folder: Location) -> dict[str, Location]:
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
    images: dict[str, Location] = {}
    ambiguous: dict[str, Location] = {}
    for path in _find(folder) if isinstance(folder, RemotePath) else _walk(folder):
        relative = relative_to(path, folder)
        stem = unicodedata.normalize("NFC", relative.with_suffix("").as_posix())
        if stem in images:
            ambiguous.setdefault(stem, path)
        else:
            images[stem] = path
    if ambiguous:
        (stem, path), *others = ambiguous.items()
        more = [f"'{other}'" for other, _ in others[:_SHOWN]]
        if len(others) > _SHOWN:
            more.append(f"{len(others) - _SHOWN} more")
        raise InputError(
            f"{images[stem]} and {path} have one stem, '{stem}', so it is not known which is "
            "meant: move one of them away"
            + (f" (and likewise those of the stems {', '.join(more)})" if more else "")
        )
    if not images:
        raise InputError(
            f"{folder} holds no images: files that end in {', '.join(sorted(IMAGE_SUFFIXES))} count"
        )
    return {stem: images[stem] for stem in sorted(images, key=natural_key)}


def _find(folder: RemotePath) -> Iterator[RemotePath]:
    """Yield the image objects below a URL, in a fixed order."""
    try:
        found = folder.find()
    except FileNotFoundError:
        raise InputError(f"{folder} does not exist: check the URL") from None
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error}") from None
    for path in found:
        parts = relative_to(path, folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if not hidden and path.suffix.lower() in IMAGE_SUFFIXES:
            yield path


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the image files below a folder, each in a fixed order."""

    def refuse(error: OSError) -> None:
        place = error.filename or folder
        if isinstance(error, FileNotFoundError):
            raise InputError(f"{place} does not exist: check the path") from None
        if isinstance(error, NotADirectoryError):
            raise InputError(f"{place} is a file: name the folder it is in") from None
        raise InputError(f"{place} cannot be read: {error.strerror or error}") from None

    # A link to a folder above would be walked for ever; one to a folder beside is another name.
    above: dict[Path, frozenset[tuple[int, int]]] = {}
    for where, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        place = Path(where)
        status = place.stat()
        itself = (status.st_dev, status.st_ino)
        parents = above.get(place.parent, frozenset()) if place != folder else frozenset()
        if itself in parents:
            folders.clear()
            continue
        above[place] = parents | {itself}
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() in IMAGE_SUFFIXES:
                yield path


def natural_key(stem: str) -> list[tuple[list[tuple[int, str]], str]]:
    """Return a key that sorts stems folder by folder, and by the value of runs of digits."""
    return [(_runs(part), part) for part in stem.split("/")]


def _runs(part: str) -> list[tuple[int, str]]:
    """Split into numbers, as (value, ""), and what stands between them, as (-1, text)."""
    pieces = re.split(r"([0-9]+)", part)
    return [(int(piece), "") if i % 2 else (-1, piece) for i, piece in enumerate(pieces)]
