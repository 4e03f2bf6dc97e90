"""From the samples of a file to an `Image`: the right way up, values, alpha, colour profile."""

from __future__ import annotations

from dataclasses import replace

from lkcfuse.images.decoded import Decoded
from lkcfuse.images.image import Image, image_from_samples
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.palettes import undo_palette
from lkcfuse.images.profiles import is_rgb_profile
from lkcfuse.images.samples import Samples, full_scale, has_colour, is_grey

TRANSPARENT = "{} is transparent in places: they count as black"


def to_image(decoded: Decoded, options: ReadOptions, name: str) -> Image:
    """Make an image of what a file holds.

    Args:
        decoded: What the file holds; its samples may be used up.
        options: How its user wants it read.
        name: What messages call it.

    Raises:
        InputError: Its values cannot be used as they are, or the palette's file cannot.
        UsageError: No palette has the name that was asked for.
    """
    notes = list(decoded.notes)
    samples = _upright(decoded.samples, decoded.orientation)
    has_alpha = decoded.has_alpha
    if has_alpha and samples[..., -1].min() == full_scale(samples.dtype):
        has_alpha = False
        samples = samples[..., :-1] if samples.shape[2] == 4 else samples[..., 0]
    if has_alpha:
        notes.append(TRANSPARENT.format(name))
    samples, found = undo_palette(samples, options.palette, name)
    notes.extend(found)
    if has_colour(samples) and is_grey(samples):
        # A copy, so that the other channels' memory is given back.
        samples = (samples[..., ::3] if has_alpha else samples[..., 0]).copy()
    profile = decoded.icc_profile
    # A file that was CMYK or Lab has a profile of that, which tells nothing of the RGB it became.
    if profile is not None and not (has_colour(samples) and is_rgb_profile(profile)):
        profile = None
    return replace(image_from_samples(samples, name=name), icc_profile=profile, notes=tuple(notes))


def _upright(samples: Samples, orientation: int) -> Samples:
    """Turn and mirror rows and columns as EXIF's orientation (1 to 8) asks."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples
