"""Which files of a folder are images, by the stems they have."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lkcfuse.errors import InputError, UsageError
from lkcfuse.images.readers.registry import READERS, SUFFIXES
from lkcfuse.remote import Location, RemotePath, relative_to

IMAGE_SUFFIXES = SUFFIXES
"""File suffixes taken for images, in lower case; other files in a folder are skipped."""

_SHOWN = 10
_SUFFIXES_SHOWN = 4


@dataclass
class Skipped:
    """The files of a folder that are not taken for images; hidden ones do not count.

    Attributes:
        suffixes: How many have which suffix, in lower case; the empty one stands for none.
        irregular: How many are not regular files: named pipes, devices, and links to those.
        others: How many are of a stem of which `prefer` chose another file.
    """

    suffixes: Counter[str] = field(default_factory=Counter)
    irregular: int = 0
    others: int = 0

    def describe(self) -> str:
        """Return them in a few words; nothing where there are none.

        Example:
            >>> Skipped(Counter({".txt": 2, "": 1}), irregular=1).describe()
            '3 files by their suffix (.txt, none), 1 file that is not a regular file'
        """
        parts = []
        number = sum(self.suffixes.values())
        if number:
            shown = [suffix or "none" for suffix, _ in self.suffixes.most_common(_SUFFIXES_SHOWN)]
            more = ", ..." if len(self.suffixes) > _SUFFIXES_SHOWN else ""
            files = "1 file by its" if number == 1 else f"{number} files by their"
            parts.append(f"{files} suffix ({', '.join(shown)}{more})")
        if self.irregular == 1:
            parts.append("1 file that is not a regular file")
        elif self.irregular:
            parts.append(f"{self.irregular} files that are not regular files")
        if self.others:
            parts.append(f"{self.others} by --prefer")
        return ", ".join(parts)


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        images: Files by relative stem (parts separated by `/`), in the order of the stems with
            numbers counted as numbers: 2 before 10.
        skipped: The files that are not among them.
    """

    images: dict[str, Location]
    skipped: Skipped


def list_images(folder: Location, *, prefer: str | None = None) -> dict[str, Location]:
    """Return a folder's images by their stems; see `scan_folder`."""
    return scan_folder(folder, prefer=prefer).images


def scan_folder(folder: Location, *, prefer: str | None = None) -> Listing:
    """List a folder's images by their stems, sub-folders included.

    Hidden files and folders (their names begin with a dot), files without an image's suffix and
    what is not a regular file are skipped. Symbolic links are followed. Stems are compared in
    Unicode's composed form: file systems differ in the form they keep.

    Args:
        folder: The folder.
        prefer: Of files of one stem, take the one of this suffix or format: `tiff`.

    Returns:
        The images, and what was skipped.

    Raises:
        InputError: The folder does not exist, is not a folder, or cannot be read; it holds no
            image; or two of its files have one stem, so that it is not known which is meant.
        UsageError: No format is called `prefer`.
    """
    preferred = _suffixes_of(prefer) if prefer is not None else {}
    skipped = Skipped()
    found: dict[str, list[Location]] = {}
    for path in _find(folder) if isinstance(folder, RemotePath) else _walk(folder):
        suffix = path.suffix.lower()
        if suffix not in IMAGE_SUFFIXES:
            skipped.suffixes[suffix] += 1
        elif isinstance(path, Path) and _is_irregular(path):
            skipped.irregular += 1
        else:
            relative = relative_to(path, folder)
            stem = unicodedata.normalize("NFC", relative.with_suffix("").as_posix())
            found.setdefault(stem, []).append(path)
    images: dict[str, Location] = {}
    ambiguous: dict[str, list[Location]] = {}
    for stem, paths in found.items():
        ranks = [preferred.get(path.suffix.lower(), 0) for path in paths]
        best = [path for path, rank in zip(paths, ranks, strict=True) if rank == max(ranks)]
        images[stem] = best[0]
        skipped.others += len(paths) - len(best)
        if len(best) > 1:
            ambiguous[stem] = best
    if ambiguous:
        raise InputError(_explain_ambiguous(ambiguous))
    if not images:
        others = skipped.describe()
        raise InputError(
            f"{folder} contains no images: files that end in "
            f"{', '.join(sorted(IMAGE_SUFFIXES))} count"
            + (f"; skipped: {others}" if others else "")
        )
    ordered = {stem: images[stem] for stem in sorted(images, key=natural_key)}
    return Listing(ordered, skipped)


def _suffixes_of(prefer: str) -> dict[str, int]:
    """Return how much each suffix is preferred: the one that is named most, its format's next."""
    asked = prefer.lower().lstrip(".")
    named = f".{asked}"
    ranks = {}
    for known in READERS.values():
        if asked == known.name.lower() or named in known.suffixes:
            ranks = dict.fromkeys(known.suffixes, 1)
    if named in IMAGE_SUFFIXES:
        ranks[named] = 2
    if not ranks:
        known_suffixes = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
        raise UsageError(f"--prefer {prefer}: no such suffix is read; give one of {known_suffixes}")
    return ranks


def _explain_ambiguous(ambiguous: dict[str, list[Location]]) -> str:
    (stem, (one, two, *_)), *others = ambiguous.items()
    more = [f"'{other}'" for other, _ in others[:_SHOWN]]
    if len(others) > _SHOWN:
        more.append(f"{len(others) - _SHOWN} more")
    cure = "move one of them away"
    if one.suffix.lower() != two.suffix.lower():
        suffixes = [path.suffix.lower()[1:] for path in (one, two)]
        cure += f", or choose with --prefer {suffixes[0]} or --prefer {suffixes[1]}"
    return (
        f"{one} and {two} have the same stem, '{stem}', so it is not clear which one is meant: "
        f"{cure}"
    ) + (f" (and likewise those of the stems {', '.join(more)})" if more else "")


def _is_irregular(path: Path) -> bool:
    """Whether a path leads to a pipe, a device or a socket: reading it may never end."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False  # a link to nothing: reading it says so


def _find(folder: RemotePath) -> Iterator[RemotePath]:
    """Yield the objects below a URL that are not hidden, in a fixed order."""
    try:
        found = folder.find()
    except FileNotFoundError:
        raise InputError(f"{folder} does not exist: check the URL") from None
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error}") from None
    for path in found:
        if not any(part.startswith(".") for part in relative_to(path, folder).parts):
            yield path


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that are not hidden, each in a fixed order."""

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
            if not name.startswith("."):
                yield Path(place, name)


def natural_key(stem: str) -> list[tuple[list[tuple[int, str]], str]]:
    """Return a key that sorts stems folder by folder, and by the value of runs of digits."""
    return [(_runs(part), part) for part in stem.split("/")]


def _runs(part: str) -> list[tuple[int, str]]:
    """Split into numbers, as (value, ""), and what stands between them, as (-1, text)."""
    pieces = re.split(r"([0-9]+)", part)
    return [(int(piece), "") if i % 2 else (-1, piece) for i, piece in enumerate(pieces)]
