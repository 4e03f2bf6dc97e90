"""A scan in memory: values on a grid, and what its file says about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lkcfuse.volumes.grid import Grid

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Patient:
    """Whose scan it is, as far as the file says.

    Attributes:
        identity: The patient's identifier; empty where the file has none.
        birth: Date of birth as DICOM writes it; empty where the file has none.
    """

    identity: str = ""
    birth: str = ""

    def may_be(self, other: Patient) -> bool:
        """Whether two scans may be of one patient: nothing that both tell differs."""
        return all(
            not mine or not theirs or mine == theirs
            for mine, theirs in ((self.identity, other.identity), (self.birth, other.birth))
        )


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan.

    Attributes:
        values: (slices, rows, columns) scalars in the file's own units (rescaled: Hounsfield units,
            Bq/ml), or (slices, rows, columns, 3) uint8 RGB.
        grid: Where the voxels lie.
        name: What messages call it: the path.
        depth: How deep a result is that such a source gives: uint8, uint16 or float32.
        valid: Where there is data, (slices, rows, columns); None for everywhere.
        modality: DICOM's word for what made it (`MR`, `CT`, `PT`, `NM`); empty if unknown.
        window: The lowest and highest value that its file says should be shown; None if it does
            not say.
        inverted: High values are to be shown dark (DICOM's MONOCHROME1).
        frame_of_reference: Scans with the same one have coordinates that can be compared; empty
            if unknown.
        patient: Whose scan it is.
        units: Units of the values, as DICOM calls them (`HU`, `BQML`); empty if unknown.
        headers: The DICOM objects it came from, without their pixels.
        notes: What the user should know about how it was read, a line each.
    """

    values: npt.NDArray[Any]
    grid: Grid
    name: str
    depth: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    valid: npt.NDArray[np.bool_] | None = None
    modality: str = ""
    window: tuple[float, float] | None = None
    inverted: bool = False
    frame_of_reference: str = ""
    patient: Patient = Patient()
    units: str = ""
    headers: tuple[Dataset, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_coloured(self) -> bool:
        """Whether its values are RGB."""
        return self.values.ndim == 4


def depth_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return how deep a result is for samples of a type: 8 bits, 16 bits or float."""
    if dtype.kind == "f":
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if dtype.itemsize == 1 else np.uint16)
