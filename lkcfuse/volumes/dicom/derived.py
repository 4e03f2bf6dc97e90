"""A fused scan as DICOM: a derived multi-frame Secondary Capture with its sources' geometry.

It is one object of a series of its own in the first source's study. Its functional groups have what
a viewer needs to lay it over its sources: frame of reference, positions, orientation, spacing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lkcfuse.version import __version__
from lkcfuse.volumes.description import Description
from lkcfuse.volumes.dicom.anonymous import deidentify
from lkcfuse.volumes.grid import Grid
from lkcfuse.volumes.libraries import pydicom
from lkcfuse.volumes.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

# Of the form that anybody may make: 2.25 and a UUID.
_IMPLEMENTATION = "2.25.264437391804498221164207329152376142305"
_STORAGE = {
    "colour": "1.2.840.10008.5.1.4.1.1.7.4",  # Multi-frame True Color Secondary Capture
    "uint8": "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte
    "uint16": "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word
}
_SERIES_NUMBER = 9001
_UNPAIRED = ("BRAIN", "HEAD", "NECK", "SKULL", "HEADNECK")

_PATIENT = {
    "PatientName": "",
    "PatientID": "",
    "PatientBirthDate": "",
    "PatientSex": "",
}
_STUDY = {
    "StudyInstanceUID": None,
    "StudyDate": "",
    "StudyTime": "",
    "StudyID": "",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "StudyDescription": None,
}


def write_derived(
    values: npt.NDArray[Any],
    grid: Grid,
    sources: Sequence[Volume],
    file: BinaryIO,
    *,
    description: Description,
    anonymize: bool = False,
) -> None:
    """Write a fused scan as one DICOM file.

    Args:
        values: (slices, rows, columns) uint8, uint16 or float32 in [0, 1]; or with 3 channels of
            uint8.
        grid: Where they lie.
        sources: What it was made of; patient and study are those of the first that has any.
        file: Open for writing bytes.
        description: What it says about itself.
        anonymize: Leave out what tells whose scan it is.
    """
    dataset = derive(values, grid, sources, description)
    if anonymize:
        deidentify(dataset)
    pydicom().dcmwrite(file, dataset, enforce_file_format=True)


def derive(
    values: npt.NDArray[Any], grid: Grid, sources: Sequence[Volume], description: Description
) -> Dataset:
    """Return a fused scan as a DICOM object; see `write_derived`."""
    if values.dtype.kind == "f":
        values = np.rint(np.clip(values, 0, 1) * 65535).astype(np.uint16)
    kind = "colour" if values.ndim == 4 else values.dtype.name
    dataset = _new()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pydicom().uid.UID(
        _STORAGE[kind]
    )
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = _uid()
    heads = [source.headers[0] for source in sources if source.headers]
    _copy_patient_and_study(dataset, heads[0] if heads else None)
    _describe_series(dataset, heads, description)
    _describe_image(dataset, heads, description)
    frame = next((source.frame_of_reference for source in sources if grid is source.grid), "")
    frame = frame or next((s.frame_of_reference for s in sources if s.frame_of_reference), "")
    dataset.FrameOfReferenceUID = frame or _uid()
    dataset.PositionReferenceIndicator = ""
    _refer(dataset, sources)
    _describe_frames(dataset, grid)
    _set_pixels(dataset, values, coloured=kind == "colour")
    return dataset


def _new() -> Dataset:
    module = pydicom()
    dataset: Dataset = module.Dataset()
    dataset.file_meta = module.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = module.uid.ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = module.uid.UID(_IMPLEMENTATION)
    dataset.file_meta.ImplementationVersionName = f"LKCFUSE_{__version__}"[:16]
    return dataset


def _item(**elements: Any) -> Dataset:
    item: Dataset = pydicom().Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def _uid() -> Any:
    return pydicom().uid.generate_uid(prefix=None)


def _copy_patient_and_study(dataset: Dataset, head: Dataset | None) -> None:
    for keyword, otherwise in {**_PATIENT, **_STUDY}.items():
        value = None if head is None else head.get(keyword)
        if value not in (None, ""):
            setattr(dataset, keyword, value)
        elif otherwise is not None:
            setattr(dataset, keyword, otherwise)
    if "StudyInstanceUID" not in dataset:
        dataset.StudyInstanceUID = _uid()


def _describe_series(dataset: Dataset, heads: Sequence[Dataset], description: Description) -> None:
    part = next((head.BodyPartExamined for head in heads if head.get("BodyPartExamined")), None)
    if part is not None:
        dataset.BodyPartExamined = part
    if str(part or "").upper() not in _UNPAIRED:
        dataset.Laterality = ""
    dataset.Modality = "OT"
    dataset.SeriesInstanceUID = _uid()
    dataset.SeriesNumber = _SERIES_NUMBER
    dataset.SeriesDescription = description.series[:64]
    dataset.Manufacturer = "lkcfuse"
    dataset.ManufacturerModelName = "lkcfuse"
    dataset.SoftwareVersions = __version__
    dataset.ConversionType = "WSD"


def _describe_image(dataset: Dataset, heads: Sequence[Dataset], description: Description) -> None:
    from datetime import datetime

    now = datetime.now()
    dataset.InstanceNumber = 1
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.ContentDate, dataset.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.DerivationDescription = description.derivation[:1024]
    dataset.DerivationCodeSequence = [_code("113097", "Multi-modality image fusion")]
    burned = any(str(head.get("BurnedInAnnotation", "")) == "YES" for head in heads)
    dataset.BurnedInAnnotation = "YES" if burned else "NO"
    lossy = any(str(head.get("LossyImageCompression", "")) == "01" for head in heads)
    dataset.LossyImageCompression = "01" if lossy else "00"
    if lossy:
        ratios = [head.get("LossyImageCompressionRatio") for head in heads]
        dataset.LossyImageCompressionRatio = next((each for each in ratios if each), 1)
    dataset.PatientOrientation = ""


def _refer(dataset: Dataset, sources: Sequence[Volume]) -> None:
    """Name every image that went into it."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for header in (header for source in sources for header in source.headers):
        if not header.get("SOPInstanceUID") or not header.get("SOPClassUID"):
            continue
        series = studies.setdefault(str(header.get("StudyInstanceUID", "")), {})
        series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(header)
    instances = [
        header for series in studies.values() for headers in series.values() for header in headers
    ]
    if not instances:
        return
    purpose = _code("121322", "Source image for image processing operation")
    dataset.SourceImageSequence = [
        _item(**_reference(header), PurposeOfReferenceCodeSequence=[purpose])
        for header in instances
    ]
    own = studies.pop(str(dataset.StudyInstanceUID), {})
    if own:
        dataset.ReferencedSeriesSequence = _series_items(own)
    others = [
        _item(StudyInstanceUID=study, ReferencedSeriesSequence=_series_items(series))
        for study, series in studies.items()
        if study
    ]
    if others:
        dataset.StudiesContainingOtherReferencedInstancesSequence = others


def _series_items(series: dict[str, list[Dataset]]) -> list[Dataset]:
    return [
        _item(
            SeriesInstanceUID=uid,
            ReferencedInstanceSequence=[_item(**_reference(header)) for header in headers],
        )
        for uid, headers in series.items()
        if uid
    ]


def _reference(header: Dataset) -> dict[str, str]:
    return {
        "ReferencedSOPClassUID": str(header.SOPClassUID),
        "ReferencedSOPInstanceUID": str(header.SOPInstanceUID),
    }


def _describe_frames(dataset: Dataset, grid: Grid) -> None:
    """Say where each frame lies, in functional groups."""
    columns, rows, slices = grid.spacing
    axes = grid.direction
    dataset.NumberOfFrames = grid.shape[0]
    dataset.FrameIncrementPointer = pydicom().tag.Tag("PerFrameFunctionalGroupsSequence")
    shared = _item(
        PixelMeasuresSequence=[
            _item(
                SliceThickness=_decimal(slices),
                SpacingBetweenSlices=_decimal(slices),
                PixelSpacing=_decimals([rows, columns]),
            )
        ],
        PlaneOrientationSequence=[
            _item(ImageOrientationPatient=_decimals([*axes[:, 0], *axes[:, 1]]))
        ],
    )
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        _item(
            PlanePositionSequence=[
                _item(ImagePositionPatient=_decimals((grid.affine @ [0, 0, index, 1])[:3]))
            ],
        )
        for index in range(grid.shape[0])
    ]


def _set_pixels(dataset: Dataset, values: npt.NDArray[Any], *, coloured: bool) -> None:
    bits = 8 * values.dtype.itemsize
    dataset.Rows, dataset.Columns = values.shape[1:3]
    dataset.SamplesPerPixel = 3 if coloured else 1
    dataset.PhotometricInterpretation = "RGB" if coloured else "MONOCHROME2"
    if coloured:
        dataset.PlanarConfiguration = 0
    else:
        dataset.PresentationLUTShape = "IDENTITY"
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"


def _decimal(value: float) -> str:
    """Return a number in the 16 characters that DICOM has for it."""
    text = repr(round(float(value), 10))
    for digits in range(16, 0, -1):
        if len(text) <= 16:
            break
        text = f"{float(value):.{digits}g}"
    return text


def _decimals(values: Iterable[float]) -> list[str]:
    return [_decimal(value) for value in values]
