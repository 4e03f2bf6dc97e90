"""From the luma that a network gives to the fused image: strength, gaps, colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lkcfuse.errors import RefusedError
from lkcfuse.images import Image, blend_colours
from lkcfuse.images.colour import FloatArray
from lkcfuse.notes import CodedWarning
from lkcfuse.pairs import Pair
from lkcfuse.pairs.coverage import blend_over_gaps, join, without_gaps
from lkcfuse.tasks import Task
from lkcfuse.version import __version__

if TYPE_CHECKING:
    from lkcfuse.models import ModelRecord


def compose(
    pair: Pair, luma: FloatArray, task: Task, *, invert_first: bool = False, strength: float = 1.0
) -> Image:
    """Make the fused image of a network's luma.

    Args:
        pair: What was fused.
        luma: (H, W) float32 in [0, 1]; used up.
        task: Says where the colour comes from.
        invert_first: The first image is black-hot.
        strength: How much of the fusion there is in the luma: 0 is the second source, 1 the fusion.
    """
    if strength != 1:
        luma *= np.float32(strength)
        luma += np.float32(1 - strength) * pair.second.luma
    if any(coverage is not None for coverage in pair.gaps):
        first = np.empty_like(luma)
        pair.first.copy_luma(first, invert=invert_first)
        blend_over_gaps(luma, first, pair.second.luma, pair.gaps)
    return _in_colour(pair, luma, task)


def other_source(pair: Pair, constant: str, task: Task, *, invert_first: bool = False) -> Image:
    """Make an image of the one source that shows something.

    Args:
        pair: The pair.
        constant: The source that does not: `first` or `second`.
        task: Says where the colour comes from.
        invert_first: The first image is black-hot.
    """
    luma = np.empty(pair.size, np.float32)
    alive = pair.second if constant == "first" else pair.first
    alive.copy_luma(luma, invert=invert_first and alive is pair.first)
    if alive.coverage is not None:
        luma[alive.coverage == 0] = 0
    alone = replace(_in_colour(pair, luma, task), coverage=alive.coverage)
    if constant == "second":
        # The chroma of a source that shows nothing would only tint the other.
        alone = replace(
            alone,
            luma_samples=luma,
            chroma_samples=None,
            icc_profile=None,
            metadata=pair.first.metadata,
        )
    return alone


def sign(image: Image, task: Task, weights: ModelRecord | None) -> Image:
    """Return the image with the name of what made it, if it has metadata at all.

    Args:
        image: The fused image.
        task: What it was fused for.
        weights: The weights that were used; None where no network was.
    """
    if image.metadata is None:
        return image
    made_by = f"lkcfuse {__version__}, task {task.name}"
    if weights is not None:
        made_by += f", weights {weights.name} (sha256 {weights.sha256[:12]})"
    return replace(image, metadata=image.metadata.made_by(made_by))


def constant_warning(pair: Pair, constant: str) -> CodedWarning:
    """Return the line that tells the user of a source that shows nothing."""
    dead, other = pair.first, pair.second
    if constant == "second":
        dead, other = other, dead
    empty = dead.coverage is not None and not dead.coverage.any()
    what = "no data" if empty else "one value everywhere, as a closed shutter or a lost frame gives"
    return CodedWarning("constant-source", f"{dead.name} has {what}: the result is {other.name}")


def check_no_warnings(notes: Sequence[str]) -> None:
    """Refuse a pair that there is something to warn of.

    Raises:
        RefusedError: One of the lines is a warning with a code.
    """
    found = [note for note in notes if isinstance(note, CodedWarning)]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise RefusedError(f"{found[0]}{more}: not fused, because of --fail-on-warning")


def _in_colour(pair: Pair, luma: FloatArray, task: Task) -> Image:
    """Give a result's luma the chroma that the task asks for."""
    takes_second = task.chroma == "second"
    colour = pair.second.chroma_samples
    if colour is not None:
        colour = without_gaps(colour, pair.second.coverage)
    fused = Image(
        luma_samples=luma,
        chroma_samples=colour if takes_second else None,
        dtype=np.result_type(pair.first.dtype, pair.second.dtype),
        name="the fused image",
        icc_profile=pair.second.icc_profile if takes_second else None,
        coverage=join(pair.gaps),
        metadata=pair.second.metadata if takes_second else pair.first.metadata,
    )
    if task.mixes:
        fused = blend_colours(fused, (pair.first, pair.second))
    return fused
