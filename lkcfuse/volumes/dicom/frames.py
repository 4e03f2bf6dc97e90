"""The frames of DICOM objects: where each lies, and how its samples become values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a DICOM object.

    Attributes:
        owner: Index of the object among those it was read with.
        index: Index of the frame in the object.
        order: What tells frames at one place apart: acquisition, time, echo and instance.
        position: Where its first pixel lies in millimetres (LPS); None where nothing says so.
        rows: Unit vector along which columns' indices grow.
        columns: Unit vector along which rows' indices grow.
        spacing: Distances of neighbouring rows and of neighbouring columns in millimetres.
        window: Lowest and highest value to be shown, as the file says.
        slope: What stored values are multiplied with; None where the object as a whole says.
        intercept: What is added to that.
        thickness: Distance of the next slice, as far as the file says.
    """

    owner: int
    index: int
    order: tuple[float, ...]
    position: Vector | None
    rows: Vector
    columns: Vector
    spacing: tuple[float, float] | None
    window: tuple[float, float] | None
    slope: float | None
    intercept: float
    thickness: float | None

    @property
    def normal(self) -> Vector:
        """Unit vector perpendicular to the frame, the third of a right-handed system."""
        normal: Vector = np.cross(self.rows, self.columns)
        return normal


def frames_of(header: Dataset, owner: int, name: str) -> Iterator[Frame]:
    """Yield the frames of an object.

    Args:
        header: The object; its pixels are not needed.
        owner: Its index among those it is read with.
        name: What messages call it.

    Raises:
        InputError: Its geometry makes no sense.
    """
    count = int(header.get("NumberOfFrames") or 1)
    shared = _first(header, "SharedFunctionalGroupsSequence")
    groups = header.get("PerFrameFunctionalGroupsSequence") or ()
    if groups and len(groups) != count:
        raise InputError(f"{name} describes {len(groups)} frames and has {count}: export it again")
    for index in range(count):
        places = [place for place in (groups[index] if groups else None, shared) if place]
        yield _frame(header, places, owner, index, count, name)


def _frame(
    header: Dataset, groups: list[Dataset], owner: int, index: int, count: int, name: str
) -> Frame:
    def macro(sequence: str, keyword: str) -> Any:
        """Look in the frame's own groups, in the shared ones, then in the object itself."""
        for group in groups:
            item = _first(group, sequence)
            if item is not None and item.get(keyword) not in (None, ""):
                return item.get(keyword)
        found = header.get(keyword)
        return None if found in (None, "") else found

    detector = _first(header, "DetectorInformationSequence")
    position = macro("PlanePositionSequence", "ImagePositionPatient")
    orientation = macro("PlaneOrientationSequence", "ImageOrientationPatient")
    if detector is not None:  # nuclear medicine
        position = position or detector.get("ImagePositionPatient")
        orientation = orientation or detector.get("ImageOrientationPatient")
    spacing = macro("PixelMeasuresSequence", "PixelSpacing")
    between = _number(macro("PixelMeasuresSequence", "SpacingBetweenSlices"))
    thickness = between or _number(macro("PixelMeasuresSequence", "SliceThickness"))
    rows, columns = _orientation(orientation, name)
    place = None if position is None or orientation is None else np.array(position, np.float64)
    if place is not None and not groups and count > 1:
        # All frames share one position: the distances to it stand elsewhere.
        normal = np.cross(rows, columns)
        offsets = header.get("GridFrameOffsetVector")
        if offsets is not None and len(offsets) == count:
            place = place + normal * float(offsets[index])
        elif between is not None:
            place = place + normal * between * index
        else:
            place = None
    slope = _number(macro("PixelValueTransformationSequence", "RescaleSlope"))
    intercept = _number(macro("PixelValueTransformationSequence", "RescaleIntercept"))
    keys = ("AcquisitionNumber", "TemporalPositionIdentifier", "EchoNumbers", "InstanceNumber")
    return Frame(
        owner=owner,
        index=index,
        order=(*(_number(header.get(key)) or 0.0 for key in keys), float(index)),
        position=place,
        rows=rows,
        columns=columns,
        spacing=_spacing(spacing, name),
        window=_window(
            macro("FrameVOILUTSequence", "WindowCenter"),
            macro("FrameVOILUTSequence", "WindowWidth"),
            macro("FrameVOILUTSequence", "VOILUTFunction"),
        ),
        slope=slope,
        intercept=intercept or 0.0,
        thickness=thickness,
    )


def _first(dataset: Dataset, sequence: str) -> Any:
    items = dataset.get(sequence)
    return items[0] if items else None


def _number(value: Any) -> float | None:
    """Return a number, the first of several, or None for what is none."""
    if value is None or value == "":
        return None
    try:
        number = float(value[0] if hasattr(value, "__len__") and len(value) else value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _orientation(value: Any, name: str) -> tuple[Vector, Vector]:
    if value is None:
        return np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    numbers = np.array(value, np.float64)
    rows, columns = numbers[:3], numbers[3:]
    lengths = np.linalg.norm(rows), np.linalg.norm(columns)
    if len(numbers) != 6 or min(lengths) < 0.5 or abs(rows @ columns) > 0.01:
        raise InputError(
            f"{name} has an orientation that is none ({', '.join(f'{each:g}' for each in numbers)}"
            "): export it again"
        )
    return rows / lengths[0], columns / lengths[1]


def _spacing(value: Any, name: str) -> tuple[float, float] | None:
    if value is None:
        return None
    steps = float(value[0]), float(value[1])
    if not all(np.isfinite(step) and step > 0 for step in steps):
        raise InputError(
            f"{name} has pixels of {steps[1]:g}x{steps[0]:g} mm, so it is not known where they "
            "lie: export it again"
        )
    return steps


def _window(center: Any, width: Any, function: Any) -> tuple[float, float] | None:
    middle, whole = _number(center), _number(width)
    if middle is None or whole is None or whole < 1:
        return None
    if str(function or "LINEAR").upper() == "LINEAR" and whole > 1:
        # PS3.3 C.11.2.1.2.1: from c - 0.5 - (w - 1) / 2 to c - 0.5 + (w - 1) / 2
        middle, whole = middle - 0.5, whole - 1
    return middle - whole / 2, middle + whole / 2
