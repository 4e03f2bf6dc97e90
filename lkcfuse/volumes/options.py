"""How two scans are read and brought together, as options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VolumeOptions:
    """What is done to two scans before, while and after they are fused.

    Attributes:
        series: Which series to take from a folder of several, for the first source and the second:
            a number of the list that is shown, a UID, or a part of the description; None where
            there is only one.
        volume: Which volume of a file or series of several (4-D) to take, from 1 on, for the first
            source and the second; None where there is only one.
        windows: What is shown of the first source's values and of the second's, as `find_window`
            takes it.
        nodata: A value that stands for no data in the first source and in the second; None where
            there is none but what the files say.
        colours: Name of the colour table for scalar PET and SPECT.
        grid: Whose grid the result has: `first`, `second` or `finest`.
        plane: Along which plane the slices lie: `axial`, `coronal` or `sagittal`.
        align: `rigid` or `affine` registers the second scan to the first; `off` trusts the
            coordinates although the frames of reference differ; None does where they agree.
        force_patient: Fuse scans of two patients.
        strength: How much of the fusion there is in the result's luma: 0 is the second source.
    """

    series: tuple[str | None, str | None] = (None, None)
    volume: tuple[int | None, int | None] = (None, None)
    windows: tuple[str, str] = ("auto", "auto")
    nodata: tuple[float | None, float | None] = (None, None)
    colours: str = "hot"
    grid: str = "first"
    plane: str = "axial"
    align: str | None = None
    force_patient: bool = False
    strength: float = 1.0
