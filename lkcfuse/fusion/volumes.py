"""Two scans in, one fused scan out: slice by slice, on one grid and with one window each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError, UsageError
from lkcfuse.fusion.composition import compose
from lkcfuse.images import image_to_array
from lkcfuse.notes import Note
from lkcfuse.pairs import Pair
from lkcfuse.tasks import Task
from lkcfuse.version import __version__
from lkcfuse.volumes.description import Description
from lkcfuse.volumes.display import Display, display
from lkcfuse.volumes.grid import Grid
from lkcfuse.volumes.matching import match_volumes
from lkcfuse.volumes.options import VolumeOptions
from lkcfuse.volumes.planes import PLANES, View, view_of
from lkcfuse.volumes.reading import as_volume
from lkcfuse.volumes.registration import KINDS, Registration
from lkcfuse.volumes.volume import Volume
from lkcfuse.volumes.writing import write_volume

if TYPE_CHECKING:
    from lkcfuse.fusion.fuser import Fuser, Progress

Notify = Callable[[str], None]

# A slice with less than this share of its pixels above this level shows air, in both sources.
_AIR_LEVEL = 0.1
_AIR_SHARE = 5e-4

_SCALAR_MODALITIES = ("PET", "SPECT")


@dataclass(frozen=True, eq=False)
class Scans:
    """Two scans that are ready to be fused.

    Attributes:
        first: The first source on the common grid, and how it is shown.
        second: The second source, likewise.
        sources: Both as they were read.
        plane: Along which plane they are cut.
        registration: How one was moved onto the other; None where that was not asked for.
    """

    first: Display
    second: Display
    sources: tuple[Volume, Volume]
    plane: str
    registration: Registration | None = None

    @property
    def grid(self) -> Grid:
        """The grid of the result."""
        return self.first.volume.grid

    @property
    def view(self) -> View:
        """How the grid is cut into slices."""
        return view_of(self.grid, self.plane)

    @property
    def depth(self) -> np.dtype[Any]:
        """Type of the result's samples where it is grey."""
        first, second = self.first.volume.depth, self.second.volume.depth
        return max(first, second, key=_precision)

    def slices(self) -> int:
        """Return how many slices there are."""
        return int(self.view.cut(self.first.volume.values).shape[0])

    def pair(self, index: int) -> Pair:
        """Return one slice of both."""
        view = self.view
        return Pair(self.first.picture(view, index), self.second.picture(view, index))


@dataclass(frozen=True, eq=False)
class FusedVolume:
    """A fused scan.

    Attributes:
        values: (slices, rows, columns) uint8 or uint16 over their whole range, or float32 in
            [0, 1]; or with 3 channels of uint8 behind: RGB.
        grid: Where the voxels lie.
        scans: What was fused.
        fused: How many slices went through the network.
        passed: How many are air, or shown by one source alone, and were passed through.
        description: What its file says about it.
    """

    values: npt.NDArray[Any]
    grid: Grid
    scans: Scans = field(repr=False)
    fused: int
    passed: int
    description: Description

    @property
    def array(self) -> npt.NDArray[Any]:
        """The values as nibabel has them: (columns, rows, slices), with channels behind or not."""
        array: npt.NDArray[Any] = self.values.transpose(2, 1, 0, *range(3, self.values.ndim))
        return array

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """(4, 4), from `array`'s indices to millimetres to the right, the front and the head."""
        return self.grid.ras_affine

    def to_sitk(self) -> Any:
        """Return it as a SimpleITK image; RGB as a vector image."""
        from lkcfuse.volumes.itk import image_to_itk

        return image_to_itk(self.values, self.grid)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,  # noqa: A002 - the option's name
        overwrite: bool = False,
        anonymize: bool = False,
    ) -> None:
        """Write it: a file, or the folder for slices or a DICOM series; see `write_volume`.

        Args:
            path: Where to; whole or not at all.
            format: `png`, `dicom` and the like for a folder; None goes by the name.
            overwrite: Whether a file that exists is replaced.
            anonymize: Leave out of DICOM what tells whose scan it is.

        Raises:
            UsageError: The format is unknown, or the output exists.
            ResourceError: It cannot be written.
        """
        write_volume(
            self.values,
            self.grid,
            path,
            format=format,
            overwrite=overwrite,
            plane=self.scans.plane,
            description=self.description,
            sources=self.scans.sources,
            anonymize=anonymize,
        )


def prepare_scans(
    first: Any, second: Any, task: Task, options: VolumeOptions, notify: Notify
) -> Scans:
    """Read two scans, bring them to one grid, and decide how they are shown.

    Args:
        first: The first source, as `as_volume` takes it.
        second: The second source.
        task: What they are fused for; PET and SPECT are shown in colours.
        options: How.
        notify: Told what was decided, a line each.

    Raises:
        InputError: One cannot be read, or they cannot be compared.
        UsageError: An option makes no sense.
    """
    if options.plane not in PLANES:
        raise UsageError(f"no plane is called '{options.plane}': choose {', '.join(PLANES)}")
    if options.align not in (None, "off", *KINDS):
        raise UsageError(f"align is '{options.align}': choose off, rigid or affine")
    if options.grid not in ("first", "second", "finest"):
        raise UsageError(f"no grid is called '{options.grid}': choose first, second or finest")
    colours = options.colours if task.second in _SCALAR_MODALITIES else None
    sources = tuple(
        as_volume(
            source,
            f"the {role} volume",
            series=options.series[side],
            number=options.volume[side],
            nodata=options.nodata[side],
        )
        for side, (source, role) in enumerate(((first, task.first), (second, task.second)))
    )
    for volume in sources:
        for note in volume.notes:
            notify(note)
    # What is shown is decided by a scan's own voxels, before anything is interpolated.
    shown = zip(sources, options.windows, (None, colours), strict=True)
    displays = [display(volume, window, table) for volume, window, table in shown]
    *matched, registration = match_volumes(sources[0], sources[1], options, notify)
    for decided in displays:
        if decided.limits is not None:
            low, high = decided.limits
            name = decided.volume.name
            notify(Note(f"{name} is shown from {low:g} to {high:g} ({decided.origin})"))
    pictures = [
        Display(volume, decided.limits, decided.origin, decided.table)
        for volume, decided in zip(matched, displays, strict=True)
    ]
    return Scans(pictures[0], pictures[1], (sources[0], sources[1]), options.plane, registration)


def fuse_scans(
    fuser: Fuser, scans: Scans, options: VolumeOptions, progress: Progress | None = None
) -> FusedVolume:
    """Fuse two scans slice by slice.

    Args:
        fuser: Fuses the slices.
        scans: The scans.
        options: How.
        progress: Called with (done, total) slices.

    Raises:
        LkcfuseError: As `Fuser.fuse_pair`.
    """
    task = fuser.task
    coloured = task.keeps_chroma and scans.second.is_coloured
    shape = (*scans.grid.shape, 3) if coloured else scans.grid.shape
    dtype = np.dtype(np.uint8) if coloured else scans.depth
    values = np.zeros(shape, dtype)
    slices = scans.view.cut(values)
    count, passed = len(slices), 0
    for index in range(count):
        pair = scans.pair(index)
        through = _needs_network(pair)
        if through:
            fused = fuser.fuse_pair(pair, strength=options.strength)
        else:
            # The maximum is what the network starts from: the tone does not jump here.
            luma = np.maximum(pair.first.luma, pair.second.luma)
            fused = compose(pair, luma, task, strength=options.strength)
        passed += not through
        pixels = image_to_array(fused, dtype)
        if coloured and pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=-1)
        slices[index] = pixels
        if progress is not None:
            progress(index + 1, count)
    if passed == count:
        raise InputError(
            f"{scans.first.volume.name} and {scans.second.volume.name} show nothing in one slice "
            "together: choose other windows by --window-first and --window-second"
        )
    return FusedVolume(
        values,
        scans.grid,
        scans,
        fused=count - passed,
        passed=passed,
        description=_describe(fuser, scans, options),
    )


def _needs_network(pair: Pair) -> bool:
    """Whether both sources show something in a slice."""
    if pair.constant() is not None:
        return False
    shares = (float(np.mean(image.luma > _AIR_LEVEL)) for image in (pair.first, pair.second))
    return max(shares) >= _AIR_SHARE


def _precision(dtype: np.dtype[Any]) -> tuple[bool, int]:
    return dtype.kind == "f", dtype.itemsize


def _describe(fuser: Fuser, scans: Scans, options: VolumeOptions) -> Description:
    task, weights = fuser.task, fuser.weights
    title = f"{task.first} + {task.second} fused"
    windows = ", ".join(
        f"{role} shown from {each.limits[0]:g} to {each.limits[1]:g}"
        for role, each in ((task.first, scans.first), (task.second, scans.second))
        if each.limits is not None
    )
    return Description(
        series=f"{title}, not for diagnosis",
        short=f"lkcfuse {__version__} {task.name} {weights.name}"[:55] + ", not for diagnosis",
        derivation=(
            f"{title} in {options.plane} slices by lkcfuse {__version__}, task {task.name}, "
            f"weights {weights.name} (SHA-256 {weights.sha256}); "
            f"{windows or 'colours as they came'}. For research, not for diagnosis."
        ),
    )
