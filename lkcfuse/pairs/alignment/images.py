"""Registration of two images as they were read."""

from __future__ import annotations

from dataclasses import replace

from lkcfuse.errors import InputError
from lkcfuse.images.image import Image
from lkcfuse.pairs.alignment.descriptors import View
from lkcfuse.pairs.alignment.register import register
from lkcfuse.pairs.alignment.result import LEAST_CONFIDENCE, Alignment
from lkcfuse.pairs.resample import resize_matrix

# A small field of view within a wide one is compared at LONGEST pixels, so the wide one needs more.
_LONGEST_VIEW = 2048


def align_images(first: Image, second: Image, model: str) -> Alignment:
    """Find where the second image lies on the first, trustworthy or not.

    Args:
        first: The first image.
        second: The second image; it may have another size and another field of view.
        model: What may differ: `shift`, `affine` or `homography`.

    Returns:
        The alignment; its transform is between the images' own pixels.
    """
    one, other = (View.of(image, longest=_LONGEST_VIEW) for image in (first, second))
    found = register(one, other, model)
    transform = (
        resize_matrix(one.size, first.size)
        @ found.transform
        @ resize_matrix(second.size, other.size)
    )
    return replace(found, transform=transform / transform[2, 2])


def check_trusted(found: Alignment, first: str, second: str) -> None:
    """Refuse an alignment that is not to be trusted.

    Args:
        found: The alignment.
        first: Name of the first image.
        second: Name of the second image.

    Raises:
        InputError: Its confidence is too low.
    """
    if not found.trusted:
        raise InputError(
            f"{second} could not be registered onto {first}: the confidence is "
            f"{found.confidence:.2f}, and {LEAST_CONFIDENCE:g} is needed. If both show one scene, "
            "give --transform with four pairs of points, or find one transform for all pairs of a "
            "rig with lkcfuse align"
        )
