"""Options on how two sources are read and brought together, which `fuse` and `batch` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lkcfuse.pairs import PairOptions


@dataclass(frozen=True)
class SourceOptions:
    """What the command line says about the sources; every field is an option."""

    invert_first: Annotated[
        bool,
        typer.Option("--invert-first", help="The infrared image is black-hot: invert it first."),
    ] = False
    page: Annotated[
        int,
        typer.Option(
            "--page",
            metavar="N",
            min=1,
            help="Which page or frame to read of files that have several (TIFF, GIF).",
            show_default="the first",
        ),
    ] = 1

    def to_pair_options(self) -> PairOptions:
        """Return them as what is done to a pair.

        Raises:
            UsageError: One of them makes no sense.
        """
        from lkcfuse.images import ReadOptions
        from lkcfuse.pairs import PairOptions

        read = ReadOptions(page=self.page)
        return PairOptions(first=read, second=read, invert_first=self.invert_first)
