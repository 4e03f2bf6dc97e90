"""Which files of two folders belong together: those of one stem, whatever their extensions.

Where names differ (`ir_7.png`, `vis_7.png`), a pattern says how.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lkcfuse.pairs.listing import (
    IMAGE_SUFFIXES,
    Skipped,
    list_images,
    natural_key,
    scan_folder,
)
from lkcfuse.pairs.patterns import WHOLE, Key, Side, explain_no_pair, only_one, parse_pattern
from lkcfuse.remote import Location

__all__ = ["IMAGE_SUFFIXES", "Match", "Matching", "list_images", "match_stems", "natural_key"]


@dataclass(frozen=True)
class Match:
    """Two files that belong together.

    Attributes:
        stem: Path of the first below its folder without the extension, parts separated by `/`.
        first: The first folder's file.
        second: The second folder's file.
    """

    stem: str
    first: Location
    second: Location


@dataclass(frozen=True)
class Matching:
    """What `match_stems` finds.

    Attributes:
        pairs: The pairs, in the order of their stems.
        only_first: Files of the first folder without a partner, in the order of their stems.
        only_second: Likewise of the second.
        notes: What was skipped in which folder, and which names nearly agree, one line each.
        reason: Where there are no pairs, why; else empty.
    """

    pairs: tuple[Match, ...]
    only_first: tuple[Location, ...]
    only_second: tuple[Location, ...]
    notes: tuple[str, ...] = ()
    reason: str = ""


def match_stems(
    first: Location, second: Location, *, pattern: str | None = None, prefer: str | None = None
) -> Matching:
    """Pair the images of two folders by their stems; sub-folders are part of a stem.

    `ir/day/1.png` and `vis/day/1.jpg` are a pair of the stem `day/1`. See `scan_folder` for which
    files count.

    Args:
        first: Folder of the first images.
        second: Folder of the second images.
        pattern: Where stems differ, how they do, as `ir_{}=vis_{}`: see `patterns`. The first
            image's stem becomes the pair's.
        prefer: As `scan_folder` takes it.

    Returns:
        The pairs, and the files without a partner.

    Raises:
        InputError: As `scan_folder`, or two files of a folder have the same in place of `{}`.
        UsageError: The pattern is not valid.
    """
    sides = parse_pattern(pattern) if pattern is not None else (WHOLE, WHOLE)
    listings = scan_folder(first, prefer=prefer), scan_folder(second, prefer=prefer)
    firsts, seconds = (listing.images for listing in listings)
    keys = sides[0].by_key(firsts), sides[1].by_key(seconds)
    pairs = _pairs((firsts, seconds), keys, sides)
    # One folder may hold both: what a pattern takes for one side is not left over on the other.
    paired = {path for pair in pairs for path in (pair.first, pair.second)}
    alone = {path: None for path in firsts.values() if path not in paired}
    only_second = tuple(
        path for path in seconds.values() if path not in paired and path not in alone
    )
    notes = _skipped({first: listings[0].skipped, second: listings[1].skipped})
    hint = _nearly(
        {key: firsts[stems[0]] for key, stems in keys[0].items() if key not in keys[1]},
        {key: seconds[stems[0]] for key, stems in keys[1].items() if key not in keys[0]},
    )
    reason = ""
    if pairs:
        notes += [hint] if hint else []
    elif hint or pattern is None:
        reason = hint or "a pair is two files with the same stem; --match says how names differ"
    else:
        reason = explain_no_pair(pattern, sides, (first, second), (firsts, seconds))
    return Matching(pairs, tuple(alone), only_second, tuple(notes), reason)


def _pairs(
    images: tuple[Mapping[str, Location], Mapping[str, Location]],
    keys: tuple[Mapping[Key, list[str]], Mapping[Key, list[str]]],
    sides: tuple[Side, ...],
) -> tuple[Match, ...]:
    found = []
    for key in keys[0]:
        if key in keys[1]:
            stem, partner = (
                only_one(key, stems[key], files, side)
                for stems, files, side in zip(keys, images, sides, strict=True)
            )
            found.append(Match(stem, images[0][stem], images[1][partner]))
    return tuple(found)


def _skipped(folders: Mapping[Location, Skipped]) -> list[str]:
    return [
        f"skipped in {folder}: {words}"
        for folder, skipped in folders.items()
        if (words := skipped.describe())
    ]


def _nearly(firsts: Mapping[Key, Location], seconds: Mapping[Key, Location]) -> str:
    """Point to names that agree but for case or leading zeros; nothing where there are none."""
    partners = {_loose(key): path for key, path in seconds.items()}
    near = [
        (path, partners[_loose(key)]) for key, path in firsts.items() if _loose(key) in partners
    ]
    if not near:
        return ""
    one, two = near[0]
    names = f"the names of {one} and {two}"
    if len(near) > 1:
        names += f", and of {len(near) - 1} more,"
    return f"{names} differ only in upper and lower case or leading zeros: rename them alike"


def _loose(key: Key) -> Key:
    """Return a key with what people do not see as a difference taken out."""
    return tuple(re.sub(r"(?<![0-9])0+(?=[0-9])", "", part.casefold()) for part in key)
