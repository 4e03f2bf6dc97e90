"""What a fused scan is written as, told by the output's name."""

from __future__ import annotations

from pathlib import Path

from lkcfuse.errors import UsageError

SUFFIXES: dict[str, str] = {
    ".nii.gz": "nifti",
    ".nii": "nifti",
    ".nrrd": "nrrd",
    ".mha": "mha",
    ".dcm": "dicom",
}
"""The suffixes of files that hold a whole volume, and their formats."""

PICTURES = ("png", "tiff", "jpeg", "webp", "bmp")
"""Formats of which a folder gets one file per slice."""

PICTURE = "picture"
"""The format of an output that is one picture, for scans of one slice."""

_OTHER_NAMES = {
    "dcm": "dicom",
    "jpg": "jpeg",
    "nii": "nifti",
    "nii.gz": "nifti",
    "tif": "tiff",
}
_PICTURE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".bmp")


def makes_folder(path: Path, name: str) -> bool:
    """Whether a format, as `choose_volume_format` returns it, is written as a folder."""
    return name in PICTURES or (name == "dicom" and volume_suffix(path) is None)


def check_picture(path: Path, slices: int) -> None:
    """Check that scans whose result is to be one picture have one slice.

    Raises:
        UsageError: They have more.
    """
    if slices != 1:
        raise UsageError(
            f"{path} is one picture, and the scans have {slices} slices: write a volume "
            f"({', '.join(SUFFIXES)}), or the slices with -o {path.with_suffix('')} --format png"
        )


def volume_suffix(path: Path) -> str | None:
    """Return the suffix that says in what format a volume is written; None if none does.

    Example:
        >>> volume_suffix(Path("Fused.NII.GZ"))
        '.nii.gz'
    """
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def choose_volume_format(path: Path, asked: str | None, *, of_dicom: bool = False) -> str:
    """Return the format to write a fused scan in.

    Args:
        path: The output.
        asked: What `--format` says.
        of_dicom: The first source is DICOM: a folder gets a series.

    Returns:
        One of `SUFFIXES`' values, or of `PICTURES` for a folder of slices, or `PICTURE`.

    Raises:
        UsageError: The name says no format, or they do not fit.
    """
    suffix = volume_suffix(path)
    name = None if asked is None else asked.lower().lstrip(".")
    name = _OTHER_NAMES.get(str(name), name)
    known = ", ".join(SUFFIXES)
    if path.suffix.lower() in _PICTURE_SUFFIXES and name in (None, *PICTURES):
        return PICTURE
    if name in PICTURES:
        if suffix is not None:
            raise UsageError(
                f"{path} is named as one file, and --format {asked} writes a folder with a file "
                "per slice: name a folder"
            )
        return str(name)
    if suffix is not None and name in (None, SUFFIXES[suffix]):
        return SUFFIXES[suffix]
    if suffix is None and (name == "dicom" or (name is None and of_dicom and not path.suffix)):
        return "dicom"
    if name is not None:
        raise UsageError(
            f"a fused scan is not written as '{asked}' to {path}: end its name in one of {known}, "
            f"or name a folder and give --format png"
        )
    raise UsageError(
        f"{path} does not say what to write: end it in one of {known}, or give --format png or "
        "--format dicom for a folder"
    )
