"""Options on scans, which `fuse` has."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lkcfuse.cli.source_options import SourceOptions
from lkcfuse.errors import UsageError

if TYPE_CHECKING:
    from lkcfuse.volumes import VolumeOptions

# What pictures have and scans do not, with what scans have instead.
_FOR_PICTURES = {
    "range_first": "--window-first",
    "range_second": "--window-second",
    "invert_first": "--window-first",
    "palette": "--cmap",
    "page": "--volume",
    "split": None,
    "resize": "--grid",
    "transform": None,
    "fail_on_warning": None,
    "no_metadata": "--anonymize",
}


@dataclass(frozen=True)
class ScanOptions:
    """What the command line says about scans; every field is an option."""

    window_first: Annotated[
        str,
        typer.Option(
            "--window-first",
            metavar="WINDOW",
            help="Which values of the first scan become black and white, over the whole volume: "
            "brain, bone, soft or lung for CT, centre and width as in 40,80, or MIN..MAX. auto "
            "takes DICOM's own, else what fits the head.",
        ),
    ] = "auto"
    window_second: Annotated[
        str,
        typer.Option("--window-second", metavar="WINDOW", help="The same for the second scan."),
    ] = "auto"
    cmap: Annotated[
        str,
        typer.Option(
            "--cmap",
            metavar="NAME",
            help="Colours of a scalar PET or SPECT scan, by matplotlib's names; off leaves it "
            "grey.",
        ),
    ] = "hot"
    plane: Annotated[
        str,
        typer.Option(
            "--plane",
            metavar="axial|coronal|sagittal",
            help="Along which plane scans are cut into the slices that are fused.",
        ),
    ] = "axial"
    series: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option(
            "--series",
            metavar="SERIES[,SERIES]",
            help="Which series to take from a folder of several: its number in the list that is "
            "shown, its UID, or a part of its description; two for the two sources.",
        ),
    ] = None
    volume: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--volume",
            metavar="N[,N]",
            help="Which volume to take of a scan of several (4-D); two for the two sources.",
        ),
    ] = None
    anonymize: Annotated[
        bool,
        typer.Option(
            "--anonymize",
            help="Write DICOM without the patient's name and whatever else tells whose scan it is.",
        ),
    ] = False
    force_patient: Annotated[
        bool,
        typer.Option("--force-patient", help="Fuse scans whose files name two patients."),
    ] = False

    def to_volume_options(self, sources: SourceOptions) -> VolumeOptions:
        """Return them as what is done to two scans.

        Args:
            sources: The options that scans share with pictures.

        Raises:
            UsageError: One of them makes no sense, or is for pictures alone.
        """
        from lkcfuse.volumes import VolumeOptions
        from lkcfuse.volumes.windows import parse_window

        _refuse_others(sources)
        parse_window(self.window_first)
        parse_window(self.window_second)
        return VolumeOptions(
            series=_two(self.series),
            volume=_numbers(self.volume),
            windows=(self.window_first, self.window_second),
            nodata=(
                sources.nodata if sources.nodata_first is None else sources.nodata_first,
                sources.nodata if sources.nodata_second is None else sources.nodata_second,
            ),
            colours=self.cmap,
            grid=sources.grid,
            plane=self.plane,
            align=_align(sources.align),
            force_patient=self.force_patient,
            strength=sources.strength,
        )

    def refuse_for_pictures(self) -> None:
        """Refuse what only scans have.

        Raises:
            UsageError: Such an option was given.
        """
        for member in fields(self):
            if getattr(self, member.name) != member.default:
                option = member.name.replace("_", "-")
                raise UsageError(
                    f"--{option} is for scans (NIfTI, NRRD, MetaImage, DICOM): leave it out for "
                    "pictures"
                )


def _refuse_others(sources: SourceOptions) -> None:
    default = SourceOptions()
    for name, instead in _FOR_PICTURES.items():
        if getattr(sources, name) != getattr(default, name):
            cure = "leave it out" if instead is None else f"for scans there is {instead}"
            raise UsageError(f"--{name.replace('_', '-')} is for pictures: {cure}")


def _align(word: str | None) -> str | None:
    known = ("rigid", "affine", "off")
    if word is not None and word not in known:
        raise UsageError(f"--align {word} is unknown for scans: give {', '.join(known)}")
    return word


def _two(text: str | None) -> tuple[str | None, str | None]:
    """Return what is said for the first source and for the second."""
    if text is None:
        return None, None
    first, comma, second = text.partition(",")
    return (first, second) if comma else (text, text)


def _numbers(text: str | None) -> tuple[int | None, int | None]:
    words = _two(text)
    for word in words:
        if word is not None and not (word.strip().isdecimal() and int(word) >= 1):
            raise UsageError(f"--volume {text}: give a number from 1 on, or two of them")
    first, second = (None if word is None else int(word) for word in words)
    return first, second
