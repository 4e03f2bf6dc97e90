"""Which series are in a folder, and which one is meant: told by headers alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lkcfuse.errors import InputError
from lkcfuse.volumes.libraries import pydicom
from lkcfuse.volumes.recognise import file_kind, walk

if TYPE_CHECKING:
    from pydicom import Dataset

_TAGS = (
    "SOPClassUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "SeriesNumber",
    "Modality",
    "PatientID",
    "Rows",
    "Columns",
    "NumberOfFrames",
)

_SHOWN = 12


@dataclass
class Series:
    """The images of one series in a folder.

    Attributes:
        uid: Its Series Instance UID; empty for files that have none.
        description: What the scanner's user called it.
        number: Its number in the study.
        modality: DICOM's word for what made it.
        patient: The patient's identifier.
        frames: How many images are in it.
        files: Its files, in order of their names.
    """

    uid: str
    description: str
    number: str
    modality: str
    patient: str
    frames: int = 0
    files: list[Path] = field(default_factory=list)

    def shown(self) -> str:
        """Return it for people: `T1 3D (MR, 180 images)`."""
        what = self.description or (f"series {self.number}" if self.number else "without a name")
        images = "1 image" if self.frames == 1 else f"{self.frames} images"
        return f"{what} ({self.modality or 'no modality'}, {images})"


def find_series(folder: Path) -> list[Series]:
    """Return the series of images in a folder and those below it, in order of their numbers.

    Raises:
        InputError: A file cannot be read.
    """
    found: dict[str, Series] = {}
    for path in walk(folder):
        if file_kind(path) != "dicom":
            continue
        header = read_header(path, _TAGS)
        if not header.get("Rows") or not header.get("Columns"):
            continue  # a report, a presentation state, a plan
        uid = str(header.get("SeriesInstanceUID", ""))
        series = found.setdefault(
            uid,
            Series(
                uid,
                _text(header.get("SeriesDescription")),
                _text(header.get("SeriesNumber")),
                _text(header.get("Modality")),
                _text(header.get("PatientID")),
            ),
        )
        series.files.append(path)
        series.frames += int(header.get("NumberOfFrames") or 1)
    return sorted(found.values(), key=_in_order)


def choose_series(folder: Path, asked: str | None) -> Series:
    """Return the series of a folder that is meant.

    Args:
        folder: The folder.
        asked: A number of the list that is shown, a UID, or a part of the description; None if
            nobody said.

    Raises:
        InputError: There is none, or several and nobody said which; the message lists them.
    """
    known = find_series(folder)
    if not known:
        raise InputError(f"{folder} holds no images in DICOM: name the folder of a series")
    if asked is None:
        if len(known) == 1:
            return known[0]
        raise InputError(
            f"{folder} holds {len(known)} series, choose one by --series: {_listed(known)}"
        )
    asked = asked.strip()
    if asked.isdecimal():
        meant = known[int(asked) - 1 : int(asked)] if int(asked) else []
    else:
        exact = [series for series in known if asked in (series.uid, series.description)]
        close = [series for series in known if asked.lower() in series.description.lower()]
        meant = exact or close
    if len(meant) != 1:
        many = "no one series" if not meant else f"{len(meant)} series"
        raise InputError(f"--series {asked} names {many} of {folder}: {_listed(known)}")
    return meant[0]


def read_header(path: Path, tags: Iterable[str] | None = None) -> Dataset:
    """Read a DICOM file without its pixels.

    Args:
        path: The file.
        tags: Keywords of what is asked for; None for all.

    Raises:
        InputError: It is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom().dcmread(  # type: ignore[no-any-return]
                path,
                stop_before_pixels=True,
                specific_tags=None if tags is None else list(tags),
                force=True,
            )
    except Exception as error:
        raise damaged(path, error) from None


def damaged(path: object, error: Exception) -> InputError:
    """Return what is said of a file that pydicom cannot make sense of."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{path} is damaged or cut off ({reason}): copy or export it again")


def _in_order(series: Series) -> tuple[int, str, str]:
    number = series.number
    return (int(number) if number.lstrip("-").isdecimal() else 1 << 30, number, series.uid)


def _listed(known: Sequence[Series]) -> str:
    lines = [f"{place}: {series.shown()}" for place, series in enumerate(known[:_SHOWN], 1)]
    more = len(known) - _SHOWN
    return "; ".join([*lines, f"and {more} more"] if more > 0 else lines)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
