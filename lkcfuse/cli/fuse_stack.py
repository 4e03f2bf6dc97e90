"""`lkcfuse fuse --page all`: two stacks in, one out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lkcfuse.cli.fuse_words import STREAM, Words
from lkcfuse.cli.options import local_path
from lkcfuse.cli.output import Output, Warnings
from lkcfuse.cli.records import made_with
from lkcfuse.errors import UsageError

if TYPE_CHECKING:
    from lkcfuse.fusion.fuser import Fuser
    from lkcfuse.images import Image
    from lkcfuse.pairs import PairOptions


def fuse_stack(
    fuser: Fuser,
    words: Words,
    options: PairOptions,
    out: Output,
    *,
    format_name: str | None,
    force: bool,
) -> None:
    """Fuse every page of two files into the pages of a TIFF.

    Args:
        fuser: What fuses, not loaded yet.
        words: The files.
        options: How pages are read and brought together.
        out: How the command talks.
        format_name: What `--format` was given.
        force: Whether a file that exists is replaced.
    """
    from lkcfuse.fusion.stack import fuse_pages, pages_of, with_one_range
    from lkcfuse.images.stacks import check_stack_output, write_stack
    from lkcfuse.notes import warning_records

    started = time.perf_counter()
    if STREAM in words:
        raise UsageError("--page all reads files page by page, and writes one: name files, not -")
    check_stack_output(words.output, format=format_name, overwrite=force)
    first, second = local_path(words.first), local_path(words.second)
    count = pages_of(first, second)
    options = replace(
        options,
        first=with_one_range(first, options.first, count),
        second=with_one_range(second, options.second, count),
    )
    for which, read in (("first", options.first), ("second", options.second)):
        if "," in read.value_range:
            out.note(f"one range for all pages: --range-{which} {read.value_range}")
    with out.progress("loading weights", in_bytes=True) as report:
        fuser.load(progress=report)
    out.note(f"fusing {count} {'page' if count == 1 else 'pages'} with {fuser.describe()}")
    # What is said of one page is said of most.
    warn = Warnings(out, once=True)
    fuser.notify = warn
    warnings: dict[tuple[str, str], dict[str, str]] = {}
    sizes: list[tuple[int, int]] = []

    def noted(pages: Iterator[Image]) -> Iterator[Image]:
        for page in pages:
            for record in warning_records(page.notes):
                warnings.setdefault((record["code"], record["message"]), record)
            sizes.append(page.size)
            yield page

    with out.progress("fusing", unit="pages") as report:
        pages = fuse_pages(fuser, first, second, options, count, progress=report)
        write_stack(noted(pages), words.output, count=count, overwrite=force)
    warn.close()
    height, width = sizes[0]
    out.result(
        words.output,
        {
            "output": words.output,
            "first": words.first,
            "second": words.second,
            **made_with(fuser),
            "width": width,
            "height": height,
            "pages": count,
            "warnings": list(warnings.values()),
            "seconds": round(time.perf_counter() - started, 3),
        },
    )
