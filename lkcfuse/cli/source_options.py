"""Options on how two sources are read and brought together, which `fuse` and `batch` share."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lkcfuse.cli import completion
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
    range_first: Annotated[
        str,
        typer.Option(
            "--range-first",
            metavar="RANGE",
            help="Which values of the first picture become black and white: full; two percentiles, "
            "p0.1,p99.9; two values in the file's own numbers, 20,40; auto stretches what fills a "
            "small part of 16 bits, and floats beyond 0..1; scan (batch) finds one range for all.",
        ),
    ] = "auto"
    range_second: Annotated[
        str,
        typer.Option("--range-second", metavar="RANGE", help="The same for the second picture."),
    ] = "auto"
    nodata: Annotated[
        Optional[float],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option(
            "--nodata",
            metavar="VALUE",
            help="Value that marks missing data, in the files' own units: the other image is "
            "used there.",
            show_default="what the file says",
        ),
    ] = None
    nodata_first: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--nodata-first", metavar="VALUE", help="--nodata for the first alone."),
    ] = None
    nodata_second: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--nodata-second", metavar="VALUE", help="--nodata for the second alone."),
    ] = None
    strength: Annotated[
        float,
        typer.Option(
            "--strength",
            metavar="S",
            min=0,
            max=1,
            help="Weight of the fusion in the result; 0 gives the second image.",
        ),
    ] = 1.0
    palette: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option(
            "--palette",
            metavar="auto|off|NAME|FILE",
            help="The infrared image shows heat in false colours: a palette's name (iron, rainbow, "
            "jet, ...), a picture of its colour bar, or a table of R,G,B. auto recognises the "
            "usual ones.",
            autocompletion=completion.palettes,
            show_default="auto for ir-vis, else off",
        ),
    ] = None
    fail_on_warning: Annotated[
        bool,
        typer.Option(
            "--fail-on-warning",
            help="Do not fuse a pair that causes a warning; exit with 1.",
        ),
    ] = False
    page: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--page",
            metavar="N|all",
            help="Which page or frame to read of files that have several (TIFF, GIF, NPY); all "
            "(fuse) fuses page by page into a TIFF of as many.",
            show_default="the first",
        ),
    ] = None
    split: Annotated[
        bool,
        typer.Option(
            "--split",
            help="A's fourth channel is the infrared picture, and B's first three the visible one; "
            "both may be one file.",
        ),
    ] = False
    radiometric: Annotated[
        str,
        typer.Option(
            "--radiometric",
            metavar="auto|off",
            help="A thermal camera's radiometric JPEG (FLIR) gives its temperatures as the first "
            "picture, and its visible picture as the second; off takes the picture that it shows.",
        ),
    ] = "auto"
    resize: Annotated[
        Optional[str],  # noqa: UP045
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
            metavar="first|second|finest",
            help="Whose pixels the result of --transform or of a radiometric file has, or whose "
            "voxels that of scans; finest is for scans.",
        ),
    ] = "first"
    align: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--align",
            metavar="rigid|affine|off",
            help="Register scans by mutual information; off trusts their coordinates although "
            "their frames of reference differ.",
        ),
    ] = None
    no_metadata: Annotated[
        bool,
        typer.Option(
            "--no-metadata",
            help="Write no EXIF, GPS or resolution of the source that gives the colour, and not "
            "what made the picture. Without it they are kept, but for the orientation, which is "
            "applied.",
        ),
    ] = False

    @property
    def all_pages(self) -> bool:
        """Whether every page of a stack is fused."""
        return self.page is not None and self.page.strip().lower() == "all"

    def takes_radiometric(self, task: str) -> bool:
        """Whether a radiometric file alone makes a pair; only infrared images are such."""
        return self.radiometric == "auto" and not self.split and task == IR_VIS.name

    def to_pair_options(self, task: str, *, scan: bool = False) -> PairOptions:
        """Return them as what is done to a pair.

        Args:
            task: Name of the task.
            scan: A range may be found by looking at all files.

        Raises:
            UsageError: One of them is not valid.
            InputError: The file of the transform or of the palette cannot be used.
        """
        from lkcfuse.images import ReadOptions
        from lkcfuse.pairs import PairOptions, read_transform

        if self.align is not None:
            raise UsageError("--align is for scans: leave it out for pictures")
        _check_choice("--resize", self.resize, ("first", "second"))
        _check_choice("--grid", self.grid, ("first", "second"))
        _check_choice("--radiometric", self.radiometric, ("auto", "off"))
        if self.resize is not None and self.transform is not None:
            raise UsageError("--resize and --transform exclude each other: a transform scales too")
        for option, text in (("first", self.range_first), ("second", self.range_second)):
            _check_range(f"--range-{option}", text, scan=scan)
        page = self._page_number()
        first, second = (
            ReadOptions(
                value_range=value_range.strip().lower(),
                nodata=self.nodata if nodata is None else nodata,
                page=page,
                page_chosen=self.page is not None,
                fourth_channel=fourth if self.split else None,
                radiometric=part if self.takes_radiometric(task) else "off",
                radiometric_grid="visible" if self.grid == "second" else "thermal",
            )
            for value_range, nodata, fourth, part in (
                (self.range_first, self.nodata_first, "only", "thermal"),
                (self.range_second, self.nodata_second, "drop", "visible"),
            )
        )
        return PairOptions(
            first=replace(first, palette=_palette(self.palette, task)),
            second=second,
            strength=self.strength,
            refuse_warnings=self.fail_on_warning,
            invert_first=self.invert_first,
            resize=self.resize,
            transform=None if self.transform is None else read_transform(self.transform),
            grid=self.grid,
            metadata=not self.no_metadata,
        )

    def _page_number(self) -> int:
        if self.page is None or self.all_pages:
            return 1
        if not re.fullmatch(r"0*[1-9][0-9]{0,8}", self.page.strip(), re.ASCII):
            raise UsageError(f"--page {self.page}: give a number from 1 on, or all")
        return int(self.page)


def _check_range(option: str, text: str, *, scan: bool) -> None:
    from lkcfuse.images import parse_value_range

    if text.strip().lower() == "scan":
        if not scan:
            raise UsageError(f"{option} scan needs a folder of images, so it works with batch only")
        return
    try:
        parse_value_range(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None


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
