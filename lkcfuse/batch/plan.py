"""What a batch will do: which two files make which third, checked before anything starts."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from lkcfuse.errors import InputError, UsageError
from lkcfuse.images.formats import Format, choose_format
from lkcfuse.pairs.pairing import IMAGE_SUFFIXES, match_stems
from lkcfuse.remote import Location, RemotePath, as_location, is_url


@dataclass(frozen=True, slots=True)
class PlannedPair:
    """One pair and where its fused image goes.

    Attributes:
        name: Relative stem of the output, parts separated by `/`; unique in a plan.
        first: File of the infrared image or MRI slice.
        second: File of the visible image, or the CT, PET or SPECT slice.
        output: File to write, below the plan's folder.
    """

    name: str
    first: Location
    second: Location
    output: Location


@dataclass(frozen=True)
class Plan:
    """What a batch will do.

    Attributes:
        folder: The output folder.
        format: Format of the outputs.
        pairs: In the order they are worked through.
        only_first: Files of the first folder without a partner.
        only_second: Likewise of the second.
        notes: What the user should know about the folders, one line each.
        shard: (K, N) where this is the K-th of N parts that run side by side; None for a whole.
    """

    folder: Location
    format: Format
    pairs: tuple[PlannedPair, ...]
    only_first: tuple[Location, ...] = ()
    only_second: tuple[Location, ...] = ()
    notes: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None

    def files(self) -> list[Location]:
        """Return every file that is read or written."""
        return [file for pair in self.pairs for file in (pair.first, pair.second, pair.output)]

    def part(self, number: int, count: int) -> Plan:
        """Return every N-th pair from the K-th on: the N parts share all pairs, each once.

        Args:
            number: K, from 1 to N.
            count: N.

        Raises:
            UsageError: K is not from 1 to N.
        """
        if not 1 <= number <= count:
            raise UsageError(
                f"--shard {number}/{count}: shards count from 1 to {count} (Slurm: --array=1-N)"
            )
        return replace(self, pairs=self.pairs[number - 1 :: count], shard=(number, count))


@dataclass(frozen=True, slots=True)
class Listed:
    """One pair as a user lists it.

    Attributes:
        first: The first file; relative to the first folder, where there is one.
        second: The second file; likewise.
        name: Name of the output without its extension; None takes the first file's.
    """

    first: str
    second: str
    name: str | None = None


def plan_folders(
    first: Location,
    second: Location,
    output: Location,
    *,
    pattern: str | None = None,
    prefer: str | None = None,
    format: str = "png",  # noqa: A002 - the option's name
) -> Plan:
    """Plan to fuse the pairs of two folders.

    Args:
        first: Folder of the infrared images or MRI slices.
        second: Folder of the others.
        output: Folder for the fused images; it need not exist.
        pattern: How names differ, as `match_stems` takes it.
        prefer: Which of two files of one stem is taken, as `match_stems` takes it.
        format: Format of the outputs.

    Returns:
        The plan; outputs are called as the first folder's files, sub-folders kept.

    Raises:
        InputError: A folder cannot be used, two files have one stem, or nothing belongs together.
        UsageError: The output is inside an input folder, both folders are the same or are files,
            two pairs would write one file, or the pattern or the format is unknown.
    """
    chosen = choose_format(None, format)
    if pattern is None and _real(first) == _real(second):
        raise UsageError(
            f"{first} and {second} are the same folder: every image would be fused with itself; "
            "name it once if each image holds both (radiometric FLIR files, or --split)"
        )
    check_outside(output, first, second)
    if all(isinstance(place, Path) and place.is_file() for place in (first, second)):
        raise UsageError(
            f"{first} and {second} are files: 'lkcfuse fuse' takes a single pair, batch two folders"
        )
    found = match_stems(first, second, pattern=pattern, prefer=prefer)
    if not found.pairs:
        raise InputError(
            f"{first} and {second} hold no pair: "
            + "; ".join([f"{found.reason}, or list the pairs with --pairs", *found.notes])
        )
    pairs = [planned_pair(m.stem, m.first, m.second, output, chosen) for m in found.pairs]
    check_pairs(pairs)
    return Plan(output, chosen, tuple(pairs), found.only_first, found.only_second, found.notes)


def plan_list(
    listed: Sequence[Listed],
    output: Location,
    *,
    folders: tuple[Location, Location] | None = None,
    format: str = "png",  # noqa: A002 - the option's name
) -> Plan:
    """Plan to fuse pairs that are listed one by one.

    Args:
        listed: The pairs. Whether their files exist shows when they are read.
        output: Folder for the fused images; it need not exist.
        folders: What the listed paths are relative to; None stands for the working folder.
        format: Format of the outputs.

    Returns:
        The plan. An output without a name of its own is called as its first file: by its path
        where that is relative to a folder given, else by its last part alone.

    Raises:
        InputError: Nothing is listed.
        UsageError: A name leads out of the output folder, or as `plan_folders`.
    """
    chosen = choose_format(None, format)
    if not listed:
        raise InputError("the list is empty: give at least one pair")
    if folders is not None:
        check_outside(output, *folders)
    first_folder, second_folder = folders or (Path(), Path())
    pairs = []
    for item in listed:
        first, second = (
            _understand(first_folder, item.first),
            _understand(second_folder, item.second),
        )
        name = _name(replace(item, first=first), in_folder=folders is not None)
        sources = _below(first_folder, first), _below(second_folder, second)
        pairs.append(planned_pair(name, *sources, output, chosen))
    check_pairs(pairs)
    return Plan(output, chosen, tuple(pairs))


def _understand(folder: Location, text: str) -> str:
    """Return a listed word as a path of this system has it.

    `~` is a home, and a backslash separates folders, unless a file is called so.

    Raises:
        InputError: The word stands for a folder.
    """
    understood = text
    may_differ = not is_url(text) and ("\\" in text or text.startswith("~"))
    if may_differ and isinstance(folder, Path) and not os.path.lexists(folder / text):
        understood = text.replace("\\", "/")
        if understood.startswith("~") and "/" in understood:
            understood = os.path.expanduser(understood)  # noqa: PTH111 - leaves an unknown user's
    if PurePosixPath(understood).name in ("", "..") or understood.endswith("/"):
        raise InputError(f"'{text}' in the list is a folder: list image files")
    return understood


def _below(folder: Location, text: str) -> Location:
    """Return what a listed word stands for: below a folder, unless it is absolute or a URL."""
    return as_location(text) if is_url(text) else folder / text


def planned_pair(
    name: str, first: Location, second: Location, folder: Location, chosen: Format
) -> PlannedPair:
    """Return a pair whose output is called by a name, in a folder and of a format."""
    # The stem may hold dots: nothing of it is a suffix to replace.
    return PlannedPair(name, first, second, folder / f"{name}{chosen.suffixes[0]}")


def _name(item: Listed, *, in_folder: bool) -> str:
    listed = item.name.replace("\\", "/") if item.name else item.first
    path = PurePosixPath(Path(listed).as_posix())
    if item.name is None and (
        not in_folder or path.is_absolute() or is_url(listed) or ".." in path.parts
    ):
        path = PurePosixPath(path.name)
    if path.suffix.lower() in IMAGE_SUFFIXES or item.name is None:
        path = path.with_suffix("")
    name = unicodedata.normalize("NFC", path.as_posix())
    if path.is_absolute() or name in ("", ".") or any(p.startswith(".") for p in path.parts):
        raise UsageError(
            f"the output of {item.first} cannot be called '{item.name or item.first}': give a "
            "name below the output folder that does not begin with a dot"
        )
    return name


def check_outside(output: Location, *inputs: Location) -> None:
    """Refuse an output folder that is inside an input folder.

    Raises:
        UsageError: It is.
    """
    real = _real(output)
    for folder in inputs:
        if _real(folder) == real or _real(folder) in real.parents:
            raise UsageError(
                f"the output folder {output} is inside the input folder {folder}: its images "
                "would be taken for sources the next time; choose another with -o"
            )


def check_pairs(pairs: Sequence[PlannedPair], *, alone: bool = False) -> None:
    """Refuse pairs of which two would write one file, or one would overwrite a source.

    Args:
        pairs: The pairs.
        alone: Each is one file that holds both sources.

    Raises:
        UsageError: They would, or one file is both sources of a pair that needs two.
    """
    writers: dict[str, PlannedPair] = {}
    sources = {_real(path) for pair in pairs for path in (pair.first, pair.second)}
    for pair in pairs:
        if not alone and _real(pair.first) == _real(pair.second):
            raise UsageError(
                f"{pair.first} and {pair.second} are the same file: give two different images"
            )
        other = writers.setdefault(os.path.normcase(str(pair.output)), pair)
        if other is not pair:
            raise UsageError(
                f"{other.first} and {pair.first} would both be written to {pair.output}: name "
                "their outputs, in a third column of the list"
            )
        if _real(pair.output) in sources:
            raise UsageError(
                f"{pair.output} is a source of this batch and would be overwritten: choose another "
                "folder with -o"
            )


def _real(path: Location) -> Location:
    return path if isinstance(path, RemotePath) else Path(os.path.realpath(path))
