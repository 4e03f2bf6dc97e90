"""One pair, fused and measured: the metrics of the field's tables and our own checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from quality_checks import (
    Plane,
    darkening,
    detail_kept,
    equivariance,
    flat_excess,
    hottest_difference,
    quarter_difference,
    size_difference,
)

from lkcfuse import Fuser
from lkcfuse.images import (
    FORMATS,
    Image,
    image_from_array,
    image_to_array,
    write_image,
)
from lkcfuse.metrics import Plane as MetricPlane
from lkcfuse.metrics import evaluate
from lkcfuse.pairs import Pair, read_pair

METRICS = ("EN", "SD", "SF", "AG", "MI", "SCD", "CC", "MSE", "PSNR", "SSIM", "VIF", "Qabf")
METHODS = ("ours", "maximum", "mean")
OTHER_SIZES = (512, 192)
MEDICAL = ("mri-ct", "mri-pet", "mri-spect")
HEAT = ("mri-pet", "mri-spect")


class Chosen(NamedTuple):
    """A pair of files to measure, and the name it has within its set."""

    name: str
    first: Path
    second: Path


@dataclass(frozen=True)
class Picture:
    """What was measured on one pair.

    Attributes:
        name: Relative stem within the set.
        scores: Value by metric, by method; nan where a metric is undefined.
        checks: Value by check; those that do not apply are left out.
        flat: What `flat_excess` returns.
    """

    name: str
    scores: dict[str, dict[str, float]]
    checks: dict[str, float] = field(default_factory=dict)
    flat: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


class Views(NamedTuple):
    """The four images of a pair, to look at."""

    first: Image
    second: Image
    maximum: Image
    ours: Image


def measure(
    fuser: Fuser, chosen: Chosen, *, turn: bool, keep: Path | None = None
) -> tuple[Picture, Views]:
    """Fuse a pair and measure the result as `lkcfuse fuse` would write it, in a PNG file.

    Args:
        fuser: Fuses.
        chosen: The pair.
        turn: Whether to check equivariance, which takes five more fusions.
        keep: Folder to write the fused image to, if any.
    """
    pair = read_pair(chosen.first, chosen.second)
    result = fuser.fuse_pair(pair)
    if keep is not None:
        target = keep / f"{chosen.name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_image(result, target, overwrite=True)
    written = as_written(result)
    first, second, fused = map(luma_levels, (pair.first, pair.second, written))
    maximum = np.maximum(first, second)
    sources = MetricPlane(first), MetricPlane(second)
    scores = {
        method: evaluate(plane, *sources, METRICS)
        for method, plane in zip(
            METHODS, (fused, maximum, np.rint((first + second) / 2)), strict=True
        )
    }
    flat = flat_excess(fused, first, second)
    checks = {
        **({"flat": float(np.quantile(flat, 0.99))} if len(flat) else {}),
        **_detail_checks(fused, maximum, first, second),
        "tone": float(fused.mean() - maximum.mean()),
        **{f"darkening.{k}": v for k, v in darkening(fused, first, second)._asdict().items()},
        **_fused_again(fuser, pair, result, (first, second, fused), turn=turn),
    }
    if fuser.task.name in HEAT and (heat := _heat(pair.second)) is not None:
        hottest = hottest_difference(fused, second, heat)
        checks |= {} if hottest is None else {"hottest": hottest}
    picture = Picture(chosen.name, scores, checks, flat.astype(np.float32))
    return picture, Views(pair.first, pair.second, maximum_image(pair, fuser), written)


def as_written(image: Image) -> Image:
    """Return an image as it would be read back from a PNG file, without the file."""
    return image_from_array(image_to_array(image, FORMATS["png"].depth_for(image.dtype)))


def luma_levels(image: Image) -> Plane:
    """Return the luma in whole levels 0..255, as the metrics see it."""
    return np.rint(image.luma.astype(np.float64) * 255)


def maximum_image(pair: Pair, fuser: Fuser) -> Image:
    """Return the pixelwise maximum of the lumas, in the colours that the fused image has."""
    chroma = pair.second.chroma_samples if fuser.task.keeps_chroma else None
    luma = np.maximum(pair.first.luma, pair.second.luma)
    return Image(luma, chroma, np.dtype(np.uint8), "the maximum")


def _detail_checks(fused: Plane, maximum: Plane, first: Plane, second: Plane) -> dict[str, float]:
    checks = {}
    for way, source, other in (("first", first, second), ("second", second, first)):
        for method, plane in (("ours", fused), ("maximum", maximum)):
            kept = detail_kept(plane, source, other)
            if kept is not None:
                checks[f"detail.{way}.{method}"] = kept
    return checks


def _fused_again(
    fuser: Fuser, pair: Pair, result: Image, written: tuple[Plane, Plane, Plane], *, turn: bool
) -> dict[str, float]:
    """Fuse parts, turned copies and other sizes of the pair; compare with the whole."""

    def fuse(first: Plane, second: Plane) -> Plane:
        """Fuse luma planes; the result is not rounded."""
        images = [image_from_array((plane / 255).astype(np.float32)) for plane in (first, second)]
        return fuser.fuse_pair(Pair(images[0], images[1])).luma.astype(np.float64) * 255

    checks = {"quarter": quarter_difference(fuse, *written)}
    first, second, whole = (
        image.luma.astype(np.float64) * 255 for image in (pair.first, pair.second, result)
    )
    if turn:
        for name, (mean, largest) in equivariance(fuse, first, second).items():
            checks |= {f"turn.{name}.mean": mean, f"turn.{name}.largest": largest}
    if fuser.task.name in MEDICAL:
        maximum = np.maximum(first, second)
        for side in OTHER_SIZES:
            ours = size_difference(fuse, first, second, whole, side)
            checks[f"size.{side}.ours"] = ours.all
            checks[f"size.{side}.beyond_scaling"] = ours.beyond_scaling
            loss = size_difference(np.maximum, first, second, maximum, side)
            checks[f"size.{side}.maximum"] = loss.all
    return checks


def _heat(image: Image) -> Plane | None:
    """Return the largest of R, G and B in levels; None where there is no colour."""
    if image.chroma_samples is None:
        return None
    rgb = image_to_array(image, np.float32)
    return np.asarray(rgb.max(axis=-1), np.float64) * 255
