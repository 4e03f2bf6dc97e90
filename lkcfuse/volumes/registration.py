"""One scan moved onto another of the same head, by SimpleITK: Mattes mutual information.

D. Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE TMI 22
(2003). Levels are coarse to fine; a few starts are tried on the coarsest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.volumes.itk import image_to_itk
from lkcfuse.volumes.libraries import simpleitk
from lkcfuse.volumes.volume import Volume

KINDS = ("rigid", "affine")

_BINS = 48
_SEED = 20
_ITERATIONS = 300

# Voxels to look at on a level, about.
_SAMPLES = 40_000
_COARSEST, _FINEST = 6.0, 1.5
_LEAST_VOXELS = 8

# A CT's air and metal would take most of the histogram's bins.
_PERCENTILES = (1.0, 99.5)


@dataclass(frozen=True, eq=False)
class Registration:
    """What a registration found.

    Attributes:
        kind: `rigid` or `affine`.
        transform: The SimpleITK transform from the fixed scan's millimetres to the moving one's.
        matrix: (4, 4), the same in DICOM's axes (LPS).
        before: Mutual information in nats with the scans where their files put them; None where
            they did not overlap.
        after: With the transform.
    """

    kind: str
    transform: Any
    matrix: npt.NDArray[np.float64]
    before: float | None
    after: float

    @property
    def rotation(self) -> float:
        """Angle in degrees of the rotation in it."""
        u, _, v = np.linalg.svd(self.matrix[:3, :3])
        cosine = (np.trace(u @ v) - 1) / 2
        return math.degrees(math.acos(min(1.0, max(-1.0, float(cosine)))))

    def shift(self, centre: npt.NDArray[np.float64]) -> float:
        """How far in millimetres it moves a place."""
        moved = self.matrix[:3, :3] @ centre + self.matrix[:3, 3]
        return float(np.linalg.norm(moved - centre))


def register(fixed: Volume, moving: Volume, kind: str) -> Registration:
    """Find where a scan lies on another.

    Args:
        fixed: The scan that stays.
        moving: The scan to be moved.
        kind: `rigid` (6 degrees of freedom) or `affine` (12).

    Raises:
        InputError: They have too few voxels, or no transform is found.
    """
    for volume in (fixed, moving):
        if min(volume.grid.shape) < _LEAST_VOXELS:
            raise InputError(
                f"{volume.name} has {volume.grid.describe()}: scans are registered from "
                f"{_LEAST_VOXELS} slices on; --align off takes their coordinates as they are"
            )
    images = [_to_registered(volume) for volume in (fixed, moving)]
    try:
        return _register(images, kind)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("ITK ERROR: ")
        raise InputError(
            f"{moving.name} cannot be registered to {fixed.name} ({reason}): do they show one head?"
        ) from None


def _register(images: list[Any], kind: str) -> Registration:
    sitk = simpleitk()
    identity = sitk.Euler3DTransform()
    identity.SetCenter(_centre(images[0]))
    coarse = [_shrink(image, _COARSEST) for image in images]
    before = _score(coarse, identity)
    starts = [_centred(sitk, images, "geometry"), _centred(sitk, images, "moments")]
    if before is not None:
        starts.insert(0, identity)
    tried = [_descend(coarse, start, step=2.0) for start in starts]
    best = max(tried, key=lambda each: each[1])[0]
    step = 2.0
    finest = max(_FINEST, min(min(image.GetSpacing()) for image in images))
    for size in (_COARSEST / 2, finest):
        pair = [_shrink(image, size) for image in images]
        best, _ = _descend(pair, best, step=step)
        step /= 2
    if kind == "affine":
        affine = sitk.AffineTransform(3)
        affine.SetCenter(best.GetCenter())
        affine.SetMatrix(best.GetMatrix())
        affine.SetTranslation(best.GetTranslation())
        for size in (_COARSEST / 2, finest):
            pair = [_shrink(image, size) for image in images]
            affine, _ = _descend(pair, affine, step=0.5)
        best = affine
    after = _score(coarse, best)
    if after is None:
        raise RuntimeError("the scans do not overlap any more")
    return Registration(kind, best, _matrix(best), before, after)


def _to_registered(volume: Volume) -> Any:
    """Return a scan as scalars without the extremes."""
    values = volume.values
    if volume.is_coloured:
        values = values.astype(np.float32).mean(axis=-1)
    known = values if volume.valid is None else values[volume.valid]
    low, high = np.percentile(known, _PERCENTILES)
    values = np.clip(values, low, high).astype(np.float32)
    if volume.valid is not None:
        values[~volume.valid] = low
    return image_to_itk(values, volume.grid)


def _shrink(image: Any, size: float) -> Any:
    """Return an image whose voxels are about so many millimetres wide, or as they are if wider."""
    sitk = simpleitk()
    factors = [
        max(1, min(round(size / step), count // _LEAST_VOXELS))
        for step, count in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
    sigmas = [
        0.5 * step * factor if factor > 1 else 0.0
        for step, factor in zip(image.GetSpacing(), factors, strict=True)
    ]
    for axis, sigma in enumerate(sigmas):
        if sigma:
            order = sitk.RecursiveGaussianImageFilter.ZeroOrder
            image = sitk.RecursiveGaussian(image, sigma, False, order, axis)
    return sitk.Shrink(image, factors)


def _method(images: list[Any]) -> Any:
    sitk = simpleitk()
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    share = min(1.0, _SAMPLES / math.prod(images[0].GetSize()))
    if share < 1:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(share, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _score(images: list[Any], transform: Any) -> float | None:
    """Return the mutual information with a transform; None where nothing overlaps."""
    method = _method(images)
    method.SetInitialTransform(transform)
    try:
        return -float(method.MetricEvaluate(*images))
    except RuntimeError:
        return None


def _descend(images: list[Any], start: Any, *, step: float) -> tuple[Any, float]:
    """Return the best transform near another, and its mutual information."""
    moved = type(start)(start)
    method = _method(images)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step,
        minStep=0.002,
        numberOfIterations=_ITERATIONS,
        # Steps that shrink faster than this end on the flanks of long ridges: a head is nearly
        # round, and turning it changes little.
        relaxationFactor=0.9,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(moved, inPlace=True)
    try:
        method.Execute(*images)
    except RuntimeError:
        return start, -math.inf
    score = _score(images, moved)
    return moved, -math.inf if score is None else score


def _centred(sitk: Any, images: list[Any], how: str) -> Any:
    filters = sitk.CenteredTransformInitializerFilter
    mode = filters.MOMENTS if how == "moments" else filters.GEOMETRY
    generic = sitk.CenteredTransformInitializer(*images, sitk.Euler3DTransform(), mode)
    return sitk.Euler3DTransform(generic)


def _centre(image: Any) -> Any:
    return image.TransformContinuousIndexToPhysicalPoint(
        [(count - 1) / 2 for count in image.GetSize()]
    )


def _matrix(transform: Any) -> npt.NDArray[np.float64]:
    matrix = np.eye(4)
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    for axis in range(3):
        unit = [0.0, 0.0, 0.0]
        unit[axis] = 1.0
        matrix[:3, axis] = np.array(transform.TransformPoint(unit)) - origin
    matrix[:3, 3] = origin
    return matrix
