"""Taking out of a derived object what tells whose scan it is.

It follows the Basic Application Level Confidentiality Profile (DICOM PS3.15, annex E) for the
attributes that `derived.py` writes: there are no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lkcfuse.volumes.libraries import pydicom

if TYPE_CHECKING:
    from pydicom import Dataset

# What the profile empties (Z), what it removes (X), and the UIDs that it replaces (U).
_EMPTIED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
_REMOVED = (
    "StudyDescription",
    "SourceImageSequence",
    "ReferencedSeriesSequence",
    "StudiesContainingOtherReferencedInstancesSequence",
)
# Where an object must have a date, the profile puts one that means nothing (D).
_DUMMIES = {"ContentDate": "19000101", "ContentTime": "000000"}
_REPLACED = ("StudyInstanceUID", "FrameOfReferenceUID")


def deidentify(dataset: Dataset) -> None:
    """Take out of a derived object what tells whose scan it is; changed in place.

    Args:
        dataset: An object as `derive` returns it: its own UIDs are new already.
    """
    module = pydicom()
    for keyword in _EMPTIED:
        if keyword in dataset:
            setattr(dataset, keyword, "")
    for keyword, value in _DUMMIES.items():
        setattr(dataset, keyword, value)
    for keyword in _REMOVED:
        if keyword in dataset:
            delattr(dataset, keyword)
    for keyword in _REPLACED:
        setattr(dataset, keyword, module.uid.generate_uid(prefix=None))
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.DeidentificationMethod = "Basic Application Level Confidentiality Profile"
    code = module.Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.DeidentificationMethodCodeSequence = [code]
