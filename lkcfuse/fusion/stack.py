"""Two stacks, fused page by page: one pair of pages is in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from lkcfuse.errors import InputError
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.images import Image, ReadOptions
from lkcfuse.images.ranges import choose_limits, parse_value_range
from lkcfuse.images.reading import count_pages, sample_values
from lkcfuse.pairs import PairOptions, read_pair
from lkcfuse.remote import Location

_SAMPLES = 1 << 20


def pages_of(first: Location, second: Location) -> int:
    """Return how many pages the stack has that two files make.

    Args:
        first: File of the first images.
        second: File of the second images; either may have one page, for all of the other's.

    Raises:
        InputError: A file cannot be read, or both have several pages, but not as many.
    """
    counts = count_pages(first), count_pages(second)
    if counts[0] != counts[1] and 1 not in counts:
        raise InputError(
            f"{first} has {counts[0]} pages and {second} has {counts[1]}: a page of one needs a "
            "page of the other, so choose one with --page, or cut them to the same number"
        )
    return max(counts)


def with_one_range(file: Location, options: ReadOptions, pages: int) -> ReadOptions:
    """Return options in which what `auto` stretches has one range for all pages.

    Each page by itself would get a tone of its own.

    Args:
        file: The stack.
        options: How it is to be read.
        pages: How many of its pages are read.

    Raises:
        InputError: A page cannot be read.
    """
    if options.value_range != "auto" or pages == 1 or count_pages(file) == 1:
        return options
    each = max(1 << 8, _SAMPLES // pages)
    found = []
    for number in range(1, pages + 1):
        values = sample_values(file, replace(options, page=number), count=each)
        if values.dtype.itemsize == 1:
            return options
        found.append(values)
    values = np.concatenate(found)
    limits = choose_limits(values[None], None, parse_value_range("auto"), str(file))
    if limits is None or limits.guessed is None:
        return options
    return replace(options, value_range=f"{limits.low:.9g},{limits.high:.9g}")


def fuse_pages(
    fuser: Fuser,
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    options: PairOptions,
    pages: int,
    *,
    progress: Callable[[float, float], None] | None = None,
) -> Iterator[Image]:
    """Yield the fusion of each page.

    Args:
        fuser: What fuses.
        first: File of the first images.
        second: File of the second images.
        options: How pages are read and brought together; the page they name is ignored.
        pages: How many there are.
        progress: Called with (pages done, pages in all).

    Raises:
        InputError: The pages differ in size, or as `read_pair`.
        LkcfuseError: As `Fuser.fuse_pair`.
    """
    size: tuple[int, int] | None = None
    for number in range(1, pages + 1):
        here = replace(
            options,
            first=replace(options.first, page=number),
            second=replace(options.second, page=number),
        )
        pair = read_pair(first, second, here)
        if size is not None and pair.size != size:
            raise InputError(
                f"{first} and {second} have pages of {size[1]}x{size[0]} and of "
                f"{pair.size[1]}x{pair.size[0]} pixels (page {number}): fuse them one by one, "
                "with --page"
            )
        size = pair.size
        yield fuser.fuse_pair(
            pair,
            invert_first=options.invert_first,
            strength=options.strength,
            refuse_warnings=options.refuse_warnings,
        )
        if progress is not None:
            progress(number, pages)
