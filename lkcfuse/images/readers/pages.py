"""Which page of a file of several is read, and what is said about the others."""

from __future__ import annotations

from lkcfuse.errors import InputError
from lkcfuse.images.options import ReadOptions
from lkcfuse.notes import CodedWarning


def page_notes(options: ReadOptions, pages: int, name: str) -> list[str]:
    """Check the page that was asked for, and return what the user should know about the others.

    A file of one page is read whatever page was asked for: the other source may be the stack.

    Args:
        options: They name the page.
        pages: How many the file has.
        name: What messages call it.

    Returns:
        A line where there are several and the first is read, which nobody chose.

    Raises:
        InputError: There is no such page.
    """
    if pages == 1:
        return []
    if options.page > pages:
        raise InputError(f"{name} has {pages} pages: --page {options.page} is not among them")
    if options.page > 1 or options.page_chosen:
        return []
    return [
        CodedWarning(
            "file",
            f"{name} has several frames or pages ({pages}): only the first is read; "
            "--page reads another",
        )
    ]
