"""Whether a path is a scan, told by its first bytes without any library."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from lkcfuse.errors import InputError

_HEAD_BYTES = 512
_NIFTI_HEADER = 352

# A folder is one of a series if a DICOM file is among its first files; exports put a few others
# beside them.
_FILES_LOOKED_AT = 64


def is_volume(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a scan: a file of a kind that `read_volume` reads, or a folder of DICOM.

    A path that does not exist, or cannot be read, is none.
    """
    place = Path(path)
    try:
        if place.is_dir():
            return any(file_kind(file) == "dicom" for file in islice(walk(place), _FILES_LOOKED_AT))
        return file_kind(place) is not None
    except (InputError, OSError, ValueError):
        return False


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a DICOM file, or a folder that is a scan: DICOM then."""
    place = Path(path)
    return is_volume(place) and (place.is_dir() or file_kind(place) == "dicom")


def file_kind(path: Path) -> str | None:
    """Return what a file is: `nifti`, `itk` (NRRD, MetaImage), `dicom`, or None.

    Raises:
        InputError: It cannot be read.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if head[128:132] == b"DICM":
        return "dicom"
    if head[:2] == b"\x1f\x8b":
        head = _inflate(head)
    if is_nifti(head):
        return "nifti"
    if head[:4] == b"NRRD":
        return "itk"
    if path.suffix.lower() in (".mha", ".mhd") and b"NDims" in head:
        return "itk"
    if path.suffix.lower() in (".dcm", ".ima") and head[2:4] in (b"\x00\x00", b"\x05\x00", b"UL"):
        return "dicom"  # without the preamble, as some exports are
    return None


def is_nifti(head: bytes) -> bool:
    """Whether bytes are the beginning of a NIfTI file (version 1 or 2)."""
    return head[344:348] in (b"n+1\x00", b"ni1\x00") or head[4:8] == b"n+2\x00"


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and those below it, hidden ones left out, in order of names."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and name.upper() != "DICOMDIR":
                yield Path(place, name)


def _inflate(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _NIFTI_HEADER)
    except zlib.error:
        return b""
