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

    def to_pair_options(self) -> PairOptions:
        """Return them as what is done to a pair.

        Raises:
            UsageError: One of them makes no sense.
        """
        from lkcfuse.pairs import PairOptions

        return PairOptions(invert_first=self.invert_first)
