"""How names of sources and of fused images differ, in folders that are scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lkcfuse.atomic import resolve
from lkcfuse.errors import UsageError
from lkcfuse.pairs.pairing import Matching, match_stems
from lkcfuse.pairs.patterns import Side, only_one, parse_pattern
from lkcfuse.remote import Location


@dataclass(frozen=True)
class Naming:
    """How names of files that belong together differ, where they do.

    Attributes:
        pattern: A pattern of two sides, as `ir_{}=vis_{}` or `{}={}_CBF`: how the names of the
            two sources differ or, where those are alike, how theirs and a fused image's do. Of
            three sides the third is the fused image's.
        prefer: Which of two files of one stem is taken, as `scan_folder` takes it.
    """

    pattern: str | None = None
    prefer: str | None = None


BY_STEM = Naming()
"""Files belong together by their stems alone."""


def match_sources(
    first: Path, second: Path, naming: Naming
) -> tuple[Matching, tuple[Side, ...] | None]:
    """Pair the sources, and tell what a pattern says of the fused images.

    Args:
        first: Folder of the first sources.
        second: Folder of the second sources.
        naming: How names differ.

    Returns:
        The pairs; and how the name of a pair and that of its fused image differ, as `by_pair`
        takes it, or None where they do not.

    Raises:
        InputError: As `match_stems`.
        UsageError: The pattern makes no sense, or pairs files with themselves.
    """
    pattern, prefer = naming.pattern, naming.prefer
    if pattern is None:
        return match_stems(first, second, prefer=prefer), None
    one, two, *of_fused = parse_pattern(pattern, most_sides=3)
    found = match_stems(first, second, pattern=f"{one.text}={two.text}", prefer=prefer)
    if any(pair.first == pair.second for pair in found.pairs):
        raise UsageError(f"the pattern '{pattern}' pairs files of {first} with themselves")
    if of_fused:
        return found, (one, of_fused[0])
    if not found.pairs and resolve(first) != resolve(second):
        alike = match_stems(first, second, prefer=prefer)
        if alike.pairs:
            return alike, (one, two)
    return found, None


def by_pair(
    images: Mapping[str, Location], names: Iterable[str], sides: tuple[Side, ...]
) -> Mapping[str, Location]:
    """Return a method's images by the names of their pairs.

    One folder may hold several methods' images, so what does not fit is left out. Where nothing
    fits, as in a batch's own folder beside those of other methods, images keep their stems.

    Args:
        images: The images, by stem.
        names: The names of the pairs.
        sides: A pattern's side for the name of a pair and its side for an image, or the other way
            round where only that fits.

    Raises:
        InputError: Two images fit one pair.
    """
    names = list(names)
    for of_pair, of_image in (sides, sides[::-1]):
        fused = of_image.by_key(images)
        keys = ((name, of_pair.key(name)) for name in names)
        found = {
            name: images[only_one(key, fused[key], images, of_image)]
            for name, key in keys
            if key is not None and key in fused
        }
        if found:
            return found
    return images
