"""A DICOM file, or the folder of a series, to a volume."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.notes import CodedWarning
from lkcfuse.volumes.dicom.frames import Frame, frames_of
from lkcfuse.volumes.dicom.series import choose_series, damaged, read_header
from lkcfuse.volumes.dicom.stack import stack_frames
from lkcfuse.volumes.libraries import pydicom
from lkcfuse.volumes.volume import Patient, Volume, depth_of

if TYPE_CHECKING:
    from pydicom import Dataset

_MISSING_CODEC = "pip install 'lkcfuse[medical]' brings the usual ones"


def read_dicom(path: Path, series: str | None, number: int | None) -> Volume:
    """Read a volume.

    Args:
        path: A file of one or several frames, or a folder with a series in files of any name.
        series: Which series of a folder; see `choose_series`.
        number: Which of several volumes in it, from 1 on.

    Raises:
        InputError: It cannot be made a volume.
    """
    name = str(path)
    files = choose_series(path, series).files if path.is_dir() else [path]
    headers = [read_header(file) for file in files]
    for file, header in zip(files, headers, strict=True):
        if not header.get("Rows") or not header.get("Columns"):
            raise InputError(f"{file} is DICOM without an image: name the images' files or folder")
    files, headers, notes = _without_localisers(files, headers, name)
    _check_mixed(headers, name)
    size = int(headers[0].Rows), int(headers[0].Columns)
    frames = [
        frame
        for owner, header in enumerate(headers)
        for frame in frames_of(header, owner, str(files[owner]))
    ]
    frames, grid = stack_frames(frames, size, name, number)
    values, valid, stored = _read_values(files, frames, size)
    head = headers[frames[0].owner]
    if not grid.positioned and len(frames) > 1:
        notes.append(
            CodedWarning(
                "file",
                f"{name} does not say where its slices lie in the patient: they are taken in the "
                "order of their numbers",
            )
        )
    modality = str(head.get("Modality", ""))
    units = str(head.get("Units", "")) or ("HU" if modality == "CT" else "")
    return Volume(
        values,
        grid,
        name,
        depth=depth_of(stored),
        valid=valid,
        modality=modality,
        window=_common_window(frames),
        inverted=str(head.get("PhotometricInterpretation", "")) == "MONOCHROME1",
        frame_of_reference=str(head.get("FrameOfReferenceUID", "")),
        patient=Patient(
            str(head.get("PatientID") or "").strip(), str(head.get("PatientBirthDate") or "")
        ),
        units=units,
        headers=tuple(headers),
        notes=tuple(notes),
    )


def _without_localisers(
    files: list[Path], headers: list[Dataset], name: str
) -> tuple[list[Path], list[Dataset], list[str]]:
    """Leave out scout views, which lie across the series they were made for."""
    keep = [
        place
        for place, header in enumerate(headers)
        if "LOCALIZER" not in [str(word).upper() for word in header.get("ImageType") or ()]
    ]
    if not keep:
        raise InputError(
            f"{name} is a localiser, a few views to plan a scan by: name the scan itself"
        )
    notes: list[str] = []
    if len(keep) < len(headers):
        notes.append(
            CodedWarning("file", f"{name}: {len(headers) - len(keep)} localisers are left out")
        )
    return [files[place] for place in keep], [headers[place] for place in keep], notes


def _check_mixed(headers: Sequence[Dataset], name: str) -> None:
    """Refuse images that cannot be slices of one volume."""
    for keyword, what in (
        ("PatientID", "patients"),
        ("FrameOfReferenceUID", "frames of reference"),
        ("Modality", "modalities"),
        ("PhotometricInterpretation", "kinds of colour"),
    ):
        found = {str(header.get(keyword, "")) for header in headers}
        if len(found) > 1:
            raise InputError(f"{name} mixes images of {len(found)} {what}: name one series")
    sizes = {(int(header.Rows), int(header.Columns)) for header in headers}
    if len(sizes) > 1:
        shown = ", ".join(f"{columns}x{rows}" for rows, columns in sorted(sizes)[:3])
        raise InputError(f"{name} mixes images of {len(sizes)} sizes ({shown}): name one series")


def _common_window(frames: Sequence[Frame]) -> tuple[float, float] | None:
    """Return one window for all slices: the median of theirs."""
    windows = [frame.window for frame in frames if frame.window is not None]
    if not windows:
        return None
    low, high = np.median(np.array(windows), axis=0)
    return float(low), float(high)


def _read_values(
    files: Sequence[Path], frames: Sequence[Frame], size: tuple[int, int]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None, np.dtype[Any]]:
    """Return the values of frames in their order, where there is data, and the stored type."""
    places: dict[int, list[tuple[int, Frame]]] = {}
    for place, frame in enumerate(frames):
        places.setdefault(frame.owner, []).append((place, frame))
    values: npt.NDArray[Any] | None = None
    valid: npt.NDArray[np.bool_] | None = None
    stored = np.dtype(np.uint8)
    for owner, wanted in places.items():
        dataset, pixels = _decode(files[owner])
        coloured = pixels.shape[-1] == 3 and pixels.shape[-3:-1] == size
        pixels = pixels.reshape((-1, *size, 3) if coloured else (-1, *size))
        depth = _stored_type(dataset, pixels.dtype)
        stored = depth if depth.itemsize > stored.itemsize else stored
        if values is None:
            shape = (len(frames), *size, 3) if coloured else (len(frames), *size)
            values = np.empty(shape, np.uint8 if coloured else np.float32)
        missing = _padding(dataset, pixels)
        for place, frame in wanted:
            if coloured:
                values[place] = _to_bytes(pixels[frame.index], dataset)
            else:
                values[place] = _rescaled(pixels[frame.index], dataset, frame)
            if missing is not None and missing[frame.index].any():
                valid = np.ones((len(frames), *size), np.bool_) if valid is None else valid
                valid[place] = ~missing[frame.index]
    assert values is not None
    return values, valid, stored


def _decode(path: Path) -> tuple[Dataset, npt.NDArray[Any]]:
    dataset: Dataset | None = None  # until it has been read, which may fail as decoding may
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom().dcmread(path, force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:
                # Without a file's head this is what is meant, by the standard.
                dataset.file_meta.TransferSyntaxUID = pydicom().uid.ImplicitVRLittleEndian
            pixels = dataset.pixel_array
            if str(dataset.get("PhotometricInterpretation", "")) == "PALETTE COLOR":
                pixels = pydicom().pixels.apply_color_lut(pixels, dataset)
        except (ImportError, NotImplementedError, RuntimeError) as error:
            syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
            if syntax is not None and syntax.is_compressed and _lacks_codec(error):
                raise InputError(
                    f"{path} is compressed as {syntax.name}, and no codec for that is installed: "
                    f"{_MISSING_CODEC}"
                ) from None
            raise damaged(path, error) from None
        except MemoryError:
            raise
        except Exception as error:
            raise damaged(path, error) from None
    return dataset, pixels


def _lacks_codec(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, ImportError) or "plugin" in text or "missing dependenc" in text


def _stored_type(dataset: Dataset, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind == "f":
        return dtype
    return np.dtype(np.uint8 if int(dataset.get("BitsStored", 16)) <= 8 else np.uint16)


def _padding(dataset: Dataset, pixels: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Return where stored values stand for no data."""
    value = dataset.get("PixelPaddingValue")
    if value is None or pixels.ndim != 3:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = sorted((int(value), int(value if limit is None else limit)))
    missing: npt.NDArray[np.bool_] = (pixels >= ends[0]) & (pixels <= ends[1])
    return missing


def _rescaled(
    pixels: npt.NDArray[Any], dataset: Dataset, frame: Frame
) -> npt.NDArray[np.floating[Any]]:
    if frame.slope is not None:
        scaled: npt.NDArray[np.floating[Any]] = pixels * frame.slope + frame.intercept
        return scaled
    modality_lut = pydicom().pixels.apply_modality_lut
    found: npt.NDArray[np.floating[Any]] = modality_lut(pixels, dataset)
    return found


def _to_bytes(pixels: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    bits = int(dataset.get("BitsStored", 16))
    if str(dataset.get("PhotometricInterpretation", "")) == "PALETTE COLOR":
        bits = 8 * pixels.dtype.itemsize  # the bits of the table's entries
    shrunk = np.asarray(pixels, np.float64) * (255.0 / ((1 << bits) - 1))
    return np.clip(np.rint(shrunk), 0, 255).astype(np.uint8)
