"""Heads that nobody has: ellipsoids as MRI, CT and PET show them, on any grid, in any file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# Centre and half axes in millimetres (LPS), and what MRI, CT and PET show of it; the later covers
# the earlier.
_PARTS = (
    ((0, 0, 0), (72, 88, 80), (420, 45, 60)),  # scalp
    ((0, 0, 0), (67, 83, 75), (60, 1100, 40)),  # skull
    ((0, 0, 0), (61, 77, 69), (880, 8, 90)),  # fluid
    ((0, 0, 2), (58, 74, 66), (560, 38, 620)),  # grey matter
    ((2, 4, 4), (46, 60, 52), (420, 30, 300)),  # white matter
    ((-9, -6, 8), (6, 24, 12), (900, 6, 40)),  # ventricles
    ((9, -6, 8), (6, 24, 12), (900, 6, 40)),
    ((-28, 24, 12), (11, 13, 9), (760, 48, 1000)),  # a lesion on one side
    ((20, 30, -20), (12, 8, 10), (640, 60, 900)),
    ((-24, -34, -14), (9, 14, 8), (300, 22, 150)),
    ((0, -52, -22), (5, 10, 14), (700, 10, 200)),
)
_AIR = (0, -1000, 0)
MODALITIES = ("MR", "CT", "PT")


def grid(shape, spacing, centre=(0, 0, 0), direction=None):
    """Return an affine (LPS) of (slices, rows, columns) voxels around a place."""
    direction = np.eye(3) if direction is None else np.asarray(direction, float)
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(spacing, float)
    middle = (np.array(shape[::-1]) - 1) / 2
    affine[:3, 3] = np.asarray(centre, float) - affine[:3, :3] @ middle
    return affine


def rotation(degrees, axis=2):
    """Return a rotation about one of the patient's axes."""
    angle = np.deg2rad(degrees)
    turn = np.eye(3)
    one, other = [each for each in range(3) if each != axis]
    turn[one, one] = turn[other, other] = np.cos(angle)
    turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
    return turn


def head(modality, shape, affine, *, motion=None, noise=0.0, bias=0.0, seed=0):
    """Return what a scanner sees of the head.

    Args:
        modality: `MR`, `CT` or `PT`.
        shape: (slices, rows, columns).
        affine: (4, 4) from (column, row, slice) to millimetres (LPS).
        motion: (4, 4) that the head was moved by.
        noise: Standard deviation, in the modality's values.
        bias: How much brighter one side is than the other, as a share.
        seed: Of the noise.
    """
    which = MODALITIES.index(modality)
    places = np.indices(shape).reshape(3, -1)[::-1]
    places = affine[:3, :3] @ places + affine[:3, 3:]
    if motion is not None:
        back = np.linalg.inv(motion)
        places = back[:3, :3] @ places + back[:3, 3:]
    values = np.full(places.shape[1], float(_AIR[which]))
    for centre, axes, shown in _PARTS:
        inside = (((places - np.array(centre)[:, None]) / np.array(axes)[:, None]) ** 2).sum(0) < 1
        values[inside] = shown[which]
    values *= 1 + bias * places[0] / 80
    values = values.reshape(shape)
    return values + np.random.default_rng(seed).normal(0, noise, shape) if noise else values


def save_nifti(path, values, affine, dtype=np.int16):
    """Write values on a grid in LPS; returns the path."""
    import nibabel

    ras = np.diag([-1.0, -1, 1, 1]) @ affine
    image = nibabel.Nifti1Image(np.rint(values).astype(dtype).transpose(2, 1, 0), ras)
    image.set_sform(ras, 1)
    image.set_qform(ras, 1)
    nibabel.save(image, path)
    return Path(path)


def slice_dataset(pixels, affine, index, *, modality="MR", number=None, uids=None, **tags):
    """Return one slice as DICOM: signed 16-bit pixels, placed by an affine (LPS)."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import (
        CTImageStorage,
        ExplicitVRLittleEndian,
        MRImageStorage,
        PositronEmissionTomographyImageStorage,
        generate_uid,
    )

    study, series, frame = uids or (generate_uid(), generate_uid(), generate_uid())
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / steps
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = {
        "MR": MRImageStorage,
        "CT": CTImageStorage,
        "PT": PositronEmissionTomographyImageStorage,
    }[modality]
    data.SOPInstanceUID = generate_uid()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.Modality = modality
    data.PatientID, data.PatientName, data.PatientBirthDate = "PHANTOM", "Phantom^Head", "20000101"
    data.PatientSex = "O"
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
    data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = "20200101", "", "1", ""
    data.ReferringPhysicianName, data.Manufacturer = "", "nobody"
    data.SeriesNumber, data.InstanceNumber = 1, (index + 1 if number is None else number)
    data.SeriesDescription = f"{modality} of a phantom"
    data.ImagePositionPatient = [round(float(x), 6) for x in (affine @ [0, 0, index, 1])[:3]]
    data.ImageOrientationPatient = [round(float(x), 9) for x in np.r_[axes[:, 0], axes[:, 1]]]
    data.PixelSpacing = [round(float(steps[1]), 6), round(float(steps[0]), 6)]
    data.SliceThickness = round(float(steps[2]), 6)
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = 1
    for name, value in tags.items():
        setattr(data, name, value)
    stored = np.rint(
        (pixels - float(tags.get("RescaleIntercept", 0))) / tags.get("RescaleSlope", 1)
    )
    data.PixelData = stored.astype("<i2").tobytes()
    return data


def save_series(folder, values, affine, *, modality="MR", seed=0, uids=None, **tags):
    """Write a series in files whose names and order say nothing; returns the folder."""
    from pydicom.uid import generate_uid

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    uids = uids or (generate_uid(), generate_uid(), generate_uid())
    order = np.random.default_rng(seed).permutation(len(values))
    if modality == "CT":
        tags = {"RescaleIntercept": -1024, "RescaleSlope": 1, **tags}
    for name, index in enumerate(order):
        data = slice_dataset(values[index], affine, index, modality=modality, uids=uids, **tags)
        data.save_as(folder / f"IM{name:04}", enforce_file_format=True)
    return folder
