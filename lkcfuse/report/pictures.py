"""The pictures of a report: as large as there is room for, and alike within a pair.

Whoever compares two pictures of a pair must not be led by one of them being sharper or cleaner
because it is the larger file: all of a pair have one scale and one quality.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

from lkcfuse.cpus import available_cpus
from lkcfuse.errors import InputError
from lkcfuse.images import Image, read_image
from lkcfuse.images.preview import Pixels, encode_preview, preview_pixels, shrink
from lkcfuse.pairs import read_pair
from lkcfuse.report.content import FIRST, SECOND, Pair

TOTAL_BYTES = 48_000_000
"""All pictures of a report together, in base64; page and scores come on top."""

MIN_PAIR_BYTES = 24_000
"""Pairs get no less than this: there are pictures of fewer pairs instead."""

MAX_SIDE = 2048
"""Most pixels of a picture's longer side."""

_MIN_SIDE = 96
_QUALITIES = (92, 85, 76)

# Base64 writes 4 characters for 3 bytes.
_BASE64 = 4 / 3


@dataclass(frozen=True)
class Picture:
    """One picture as a page embeds it.

    Attributes:
        base64: The WebP file in base64.
        width: In pixels.
        height: In pixels.
        source_width: Of the file it was made of.
        source_height: Likewise.
    """

    base64: str
    width: int
    height: int
    source_width: int
    source_height: int


@dataclass(frozen=True)
class Pictured:
    """A pair's pictures.

    Attributes:
        pictures: By their names.
        missing: Why there is none, by the names of those that could not be read.
    """

    pictures: Mapping[str, Picture]
    missing: Mapping[str, str]


def choose_pictured(pairs: Sequence[Pair], rankings: Sequence[Sequence[int]]) -> list[int]:
    """Choose the pairs that get pictures: all of them, unless they are too many for the page.

    Args:
        pairs: The pairs.
        rankings: Indices of pairs from the worst to the best, by each metric and method.

    Returns:
        Indices, in order. Of too many pairs those at both ends of the rankings are chosen, and
        others at even distances.
    """
    most = TOTAL_BYTES // MIN_PAIR_BYTES
    if len(pairs) <= most:
        return list(range(len(pairs)))
    chosen: dict[int, None] = {}
    # A third for the ends: the others show what is usual.
    for depth in range(len(pairs)):
        for ranking in rankings:
            for index in (ranking[depth], ranking[-1 - depth]) if depth < len(ranking) else ():
                if len(chosen) < most // 3:
                    chosen[index] = None
        if len(chosen) >= most // 3 or all(depth >= len(ranking) for ranking in rankings):
            break
    others = [index for index in range(len(pairs)) if index not in chosen]
    room = most - len(chosen)
    chosen |= dict.fromkeys(others[i * len(others) // room] for i in range(room))
    return sorted(chosen)


def make_pictures(
    pairs: Sequence[Pair], progress: Callable[[float, float], None] | None = None
) -> Iterator[Pictured]:
    """Yield the pictures of each pair, in order.

    Args:
        pairs: The pairs to picture; a file that cannot be read is told of, and skipped.
        progress: Called with (pairs done, pairs in all).
    """
    room = int(TOTAL_BYTES / _BASE64) // max(1, len(pairs))
    threads = available_cpus()
    waiting = iter(pairs)
    executor = ThreadPoolExecutor(threads)
    try:
        ahead: list[Future[Pictured]] = []
        done = 0
        while True:
            free = islice(waiting, threads + 1 - len(ahead))
            ahead.extend(executor.submit(_picture, pair, room) for pair in free)
            if not ahead:
                return
            # Not without end, so that an interrupt is answered on Windows too.
            while not ahead[0].done():
                wait(ahead[:1], timeout=0.2, return_when=FIRST_COMPLETED)
            yield ahead.pop(0).result()
            done += 1
            if progress is not None:
                progress(done, len(pairs))
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _picture(pair: Pair, room: int) -> Pictured:
    """Return a pair's pictures, of so many bytes together where that can be."""
    pixels: dict[str, Pixels] = {}
    sizes: dict[str, tuple[int, int]] = {}
    missing: dict[str, str] = {}
    how = {FIRST: pair.options.first, SECOND: pair.options.second}
    prepared = _prepared(pair)
    for name, path in pair.files.items():
        try:
            image = prepared.pop(name, None) or read_image(path, how.get(name))
        except InputError as error:
            missing[name] = str(error)
            continue
        sizes[name] = (image.size[1], image.size[0])
        pixels[name] = preview_pixels(image, MAX_SIDE)
        del image  # samples of a photograph, where a preview is all that is kept
    if not pixels:
        return Pictured({}, missing)
    files = _encode(pixels, room)
    return Pictured(
        {
            name: Picture(base64.b64encode(data).decode("ascii"), width, height, *sizes[name])
            for name, (data, width, height) in files.items()
        },
        missing,
    )


def _prepared(pair: Pair) -> dict[str, Image]:
    """Return both sources on one grid, where something was done to bring them there."""
    options = pair.options
    if options.resize is None and options.transform is None:
        return {}
    try:
        found = read_pair(str(pair.files[FIRST]), str(pair.files[SECOND]), options)
    except InputError:
        return {}
    return {FIRST: found.first, SECOND: found.second}


def _encode(pixels: Mapping[str, Pixels], room: int) -> dict[str, tuple[bytes, int, int]]:
    """Encode all at the best quality that fits, and at a smaller scale where none does."""
    side = max(max(array.shape[:2]) for array in pixels.values())
    current = dict(pixels)
    qualities = list(_QUALITIES)
    while True:
        quality = qualities.pop(0) if len(qualities) > 1 else qualities[0]
        files = {name: encode_preview(array, quality) for name, array in current.items()}
        size = sum(map(len, files.values()))
        if size <= room or (side <= _MIN_SIDE and quality == _QUALITIES[-1]):
            return {
                name: (files[name], current[name].shape[1], current[name].shape[0])
                for name in pixels
            }
        # Far from fitting, no quality will do: scale at once, by the area that the bytes ask for.
        if quality == _QUALITIES[-1] or size > 4 * room:
            qualities = [_QUALITIES[-1]]
            factor = min(0.9, (0.9 * room / size) ** 0.5)
            side = max(_MIN_SIDE, int(side * factor))
            current = {name: shrink(array, side) for name, array in pixels.items()}
