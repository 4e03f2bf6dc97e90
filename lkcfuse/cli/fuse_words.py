"""The words that `lkcfuse fuse` is given: sources, the output, or what to type instead."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lkcfuse.cli.streams import check_stdout
from lkcfuse.errors import InputError, UsageError
from lkcfuse.remote import is_url

STREAM = "-"
"""Stands for standard input or output; a file of that name is `./-`."""

_WILDCARDS = frozenset("*?")
_VIDEOS = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg"))


class Words(NamedTuple):
    """What to read and what to write: paths, or `STREAM`."""

    first: str
    second: str
    output: str
    others: tuple[str, ...] = ()


def read_words(
    words: Sequence[str],
    output: str | None,
    *,
    split: bool,
    as_json: bool,
    radiometric: bool = False,
    several: bool = False,
) -> Words:
    """Tell the words of a command apart.

    Args:
        words: The arguments, without the options.
        output: What `--output` was given.
        split: One file may hold both sources.
        radiometric: A thermal camera's radiometric file may hold both.
        as_json: The result's record goes to standard output.
        several: There may be more than two sources.

    Raises:
        UsageError: They make no pair and output; the message has the line to type.
    """
    _check_wildcards(words)
    _check_folders(words)
    _check_videos(words, output)
    kind = _kind(words[0]) if radiometric else None
    # Of two files each gives its part.
    alone = split or (kind == "FLIR" and not (len(words) > 1 and Path(words[1]).exists()))
    if output is None:
        raise UsageError(_without_output(words, split=split, alone=alone))
    if len(words) == 1 and alone:
        words = (words[0], words[0])
    if len(words) == 1:
        where = ", which DJI saves as a file of its own" if kind == "DJI" else ""
        raise UsageError(
            f"fuse takes two images and got one, {words[0]}: name the visible, CT, PET or SPECT "
            f"image after it{where}"
        )
    if len(words) > 2 and not several:
        raise UsageError(
            f"fuse takes two images and got {len(words)} ({_shown(words)}): for many pairs, "
            f"{_batch_line(words)}; for a bracket of one scene, --task mef or --task mff"
        )
    found = Words(words[0], words[1], output, tuple(words[2:]))
    _check_streams(found, split=split, as_json=as_json)
    return found


def check_folders(words: Sequence[str | None]) -> None:
    """Check the words of `batch`, which are two folders; what a shell makes of wildcards is many.

    Raises:
        UsageError: They are files, or more than two; the message has the line to type.
    """
    given = [word for word in words if word is not None]
    files = [word for word in given if not is_url(word) and Path(word).is_file()]
    if len(given) > 2 or files:
        raise UsageError(
            f"batch takes two folders and got {_shown(files or given)}: {_batch_line(given)}"
        )
    for word in given:
        if not is_url(word) and _WILDCARDS & set(word) and not Path(word).exists():
            raise UsageError(f"batch takes two folders and got {word}: {_batch_line(given)}")


def _kind(word: str) -> str | None:
    """Return whose radiometric file a word names; None for others, and for what cannot be read."""
    if word == STREAM or is_url(word):
        return None
    from lkcfuse.images.reading import radiometric_kind

    try:
        return radiometric_kind(word)
    except InputError:
        return None


def _without_output(words: Sequence[str], *, split: bool, alone: bool) -> str:
    sources, rest = words[: 1 if alone else 2], words[1 if alone else 2 :]
    if not rest and len(sources) < (1 if alone else 2):
        return "fuse takes two images and an output: lkcfuse fuse A B -o fused.png"
    start = " ".join(["lkcfuse fuse", *map(shlex.quote, sources), *(["--split"] if split else [])])
    if len(rest) == 1 and not Path(rest[0]).exists():
        return f"the output is named with -o: {start} -o {shlex.quote(rest[0])}"
    if rest:
        return (
            f"fuse takes two images and got {len(words)} ({_shown(words)}): for many pairs, "
            f"{_batch_line(words)}"
        )
    return f"the output is missing: {start} -o fused.png"


def _check_wildcards(words: Sequence[str]) -> None:
    for word in words:
        if _WILDCARDS & set(word) and not Path(word).exists():
            raise UsageError(
                f"no file matches {word}: name two images, or for many pairs, {_batch_line(words)}"
            )


def _check_folders(words: Sequence[str]) -> None:
    folders = [word for word in words if word != STREAM and Path(word).is_dir()]
    if len(folders) >= 2:
        raise UsageError(
            f"{folders[0]} and {folders[1]} are folders: name two images, or fuse all of them "
            f"with '{_batch_line(folders)}'"
        )


def _check_videos(words: Sequence[str], output: str | None) -> None:
    """Say what to type for two videos, before their output's suffix is refused."""
    videos = [word for word in words if Path(word).suffix.lower() in _VIDEOS]
    if len(videos) < 2:
        return
    first, second = map(shlex.quote, videos[:2])
    is_video = output is not None and Path(output).suffix.lower() in _VIDEOS
    result = shlex.quote(output) if output is not None and is_video else "fused.mp4"
    raise UsageError(
        f"{videos[0]} and {videos[1]} are videos, which are fused frame by frame: mkdir a b; "
        f"ffmpeg -i {first} a/%05d.png; ffmpeg -i {second} b/%05d.png; lkcfuse batch a b -o fused; "
        f"ffmpeg -framerate 25 -i fused/%05d.png {result} (with the frame rate of the videos; "
        "--range-first scan keeps one tone)"
    )


def _check_streams(words: Words, *, split: bool, as_json: bool) -> None:
    """Refuse what standard input and output cannot do, before anything is read."""
    sources = (words.first, words.second, *words.others)
    if sources.count(STREAM) > 1:
        if split:
            raise UsageError(
                "--split reads the file twice, and standard input can be read only once: name a "
                "file"
            )
        raise UsageError("only one of the images can come from standard input")
    if STREAM in sources and sys.stdin.isatty():
        raise UsageError("standard input is a terminal: pipe an image into it, or name a file")
    if words.output == STREAM:
        check_stdout()
        if as_json:
            raise UsageError("the image and --json cannot share standard output: give -o a file")
        if sys.stdout.isatty():
            raise UsageError(
                "an image is not written to a terminal: redirect it, or give -o a file"
            )


def _batch_line(words: Sequence[str]) -> str:
    """Return the command that takes the folders in which the files are."""
    folders = dict.fromkeys(
        word if Path(word).is_dir() else str(Path(word).parent) for word in words
    )
    named = list(folders)[:2] if len(folders) >= 2 else ["DIR_A", "DIR_B"]
    return "lkcfuse batch " + " ".join(
        name if name.startswith("DIR_") else shlex.quote(name) for name in named
    )


def _shown(words: Sequence[str]) -> str:
    return ", ".join(words[:3]) + (", ..." if len(words) > 3 else "")
