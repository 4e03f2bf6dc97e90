"""Options on how two sources are read and brought together, which `fuse` and `batch` share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lkcfuse.cli.options import local_path
from lkcfuse.errors import UsageError
from lkcfuse.tasks import IR_VIS

if TYPE_CHECKING:
    from lkcfuse.pairs import PairOptions


@dataclass(frozen=True)
class SourceOptions:
    """What the command line says about the sources; every field is an option."""

    invert_first: Annotated[
        bool,
        typer.Option("--invert-first", help="The infrared image is black-hot: invert it first."),
    ] = False
    palette: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option(
            "--palette",
            metavar="auto|off|NAME|FILE",
            help="The infrared image shows heat in false colours: a palette's name (iron, rainbow, "
            "jet, ...), a picture of its colour bar, or a table of R,G,B. auto recognises the "
            "usual ones.",
            show_default="auto for ir-vis, else off",
        ),
    ] = None
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
    resize: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option(
            "--resize",
            metavar="first|second",
            help="The pictures show the same field of view in two sizes: scale the other one to "
            "the first's size, or to the second's.",
        ),
    ] = None
    transform: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--transform",
            metavar="JSON",
            help="Warp the second picture onto the first by a known transform: a 3x3 matrix, or "
            "pairs of points.",
            parser=local_path,
        ),
    ] = None
    grid: Annotated[
        str,
        typer.Option(
            "--grid",
            metavar="first|second",
            help="Whose pixels the result of --transform has.",
        ),
    ] = "first"

    def to_pair_options(self, task: str) -> PairOptions:
        """Return them as what is done to a pair.

        Args:
            task: Name of the task.

        Raises:
            UsageError: One of them makes no sense.
            InputError: The file of the transform or of the palette cannot be used.
        """
        from lkcfuse.images import ReadOptions
        from lkcfuse.pairs import PairOptions, read_transform

        _check_choice("--resize", self.resize, ("first", "second"))
        _check_choice("--grid", self.grid, ("first", "second"))
        if self.resize is not None and self.transform is not None:
            raise UsageError("--resize and --transform exclude each other: a transform scales too")
        read = ReadOptions(page=self.page)
        return PairOptions(
            first=replace(read, palette=_palette(self.palette, task)),
            second=read,
            invert_first=self.invert_first,
            resize=self.resize,
            transform=None if self.transform is None else read_transform(self.transform),
            grid=self.grid,
        )


def _palette(choice: str | None, task: str) -> str:
    """Return what is done about false colours; only infrared images are shown in them."""
    if task != IR_VIS.name:
        if choice not in (None, "off"):
            raise UsageError(f"--palette is for infrared images: leave it out for {task}")
        return "off"
    if choice is None:
        return "auto"
    from lkcfuse.images.palettes import portable_choice

    return portable_choice(choice)


def _check_choice(option: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise UsageError(f"{option} {value} is unknown: give {' or '.join(choices)}")
