"""How names of files that belong together differ: `ir_{}=vis_{}`, `{}/lwir/{}={}/visible/{}`.

Each side of `=` describes a stem. `{}` stands for what the files have in common, `*` for anything
within a name that they have not. A side that contains `/` describes the whole stem; one that does
not, the file's name, sub-folders being the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from lkcfuse.errors import InputError, UsageError
from lkcfuse.pairs.listing import IMAGE_SUFFIXES
from lkcfuse.remote import Location

_MOST_PLACEHOLDERS = 2

Key = tuple[str, ...]
"""What a stem has in place of each `{}`; the first begins with its folder, if that is shared."""


@dataclass(frozen=True)
class Side:
    """One side of a pattern.

    Attributes:
        text: As it was given.
    """

    text: str

    def key(self, stem: str) -> Key | None:
        """Return what a stem has in place of `{}`, with its folder; None where it does not fit.

        Example:
            >>> Side("DJI_*_{}_T").key("day/DJI_2023_0001_T")
            ('day/0001',)
        """
        folder, name = "", stem
        if "/" not in self.text and "/" in stem:
            folder, _, name = stem.rpartition("/")
            folder += "/"
        parts = (
            "(.+)" if part == "{}" else "[^/]*" if part == "*" else re.escape(part)
            for part in re.split(r"(\{\}|\*)", self.text)
        )
        found = re.fullmatch("".join(parts), name, re.DOTALL)
        if found is None:
            return None
        first, *rest = found.groups()
        return folder + first, *rest

    def by_key(self, images: Mapping[str, Location]) -> dict[Key, list[str]]:
        """Return the stems that fit, by what they have in place of `{}`."""
        found: dict[Key, list[str]] = {}
        for stem in images:
            key = self.key(stem)
            if key is not None:
                found.setdefault(key, []).append(stem)
        return found


WHOLE = Side("{}")
"""Fits every stem: files belong together by their stems alone."""


def parse_pattern(pattern: str, *, most_sides: int = 2) -> tuple[Side, ...]:
    """Return the sides of a pattern.

    Args:
        pattern: Two sides or more, separated by `=`.
        most_sides: How many there may be.

    Raises:
        UsageError: The pattern is not valid.

    Example:
        >>> [side.text for side in parse_pattern("ir_{}=vis_{}")]
        ['ir_{}', 'vis_{}']
    """
    sides = unicodedata.normalize("NFC", pattern).split("=")
    numbers = {side.count("{}") for side in sides}
    if (
        not 2 <= len(sides) <= most_sides
        or len(numbers) > 1
        or not 1 <= max(numbers) <= _MOST_PLACEHOLDERS
    ):
        third = ", or three for two sources and the fused image" if most_sides > 2 else ""
        raise UsageError(
            f"the pattern '{pattern}' cannot be used: give two names with one {{}} each, "
            f"such as 'ir_{{}}=vis_{{}}', or two each, such as "
            f"'{{}}/lwir/{{}}={{}}/visible/{{}}'" + third
        )
    for side in sides:
        suffix = PurePosixPath(side).suffix
        if suffix.lower() in IMAGE_SUFFIXES:
            raise UsageError(
                f"the pattern '{pattern}' is compared with names without their extensions: "
                f"leave out {suffix}"
            )
    return tuple(map(Side, sides))


def only_one(key: Key, stems: list[str], images: Mapping[str, Location], side: Side) -> str:
    """Return the stem of a key.

    Raises:
        InputError: Several files have it, so that it is not known which is meant.
    """
    if len(stems) > 1:
        common = " and ".join(f"'{text}'" for text in key)
        raise InputError(
            f"{images[stems[0]]} and {images[stems[1]]} both have {common} in place of {{}} in "
            f"'{side.text}', so it is not known which is meant: put {{}} where the names differ"
        )
    return stems[0]


def explain_no_pair(
    pattern: str,
    sides: Sequence[Side],
    folders: Sequence[Location],
    images: Sequence[Mapping[str, Location]],
) -> str:
    """Say why a pattern pairs nothing.

    Args:
        pattern: As it was given.
        sides: Its sides.
        folders: The two folders.
        images: The images in them, by stem.
    """
    examples = []
    for side, folder, files in zip(sides, folders, images, strict=True):
        key, stems = next(iter(side.by_key(files).items()), ((), []))
        if not stems:
            return (
                f"no names fit the pattern '{pattern}': '{side.text}' fits none in {folder}, "
                f"where one is '{next(iter(files))}'"
            )
        examples.append(f"{' and '.join(map(repr, key))} in '{stems[0]}'")
    return (
        f"names in both folders fit the pattern '{pattern}', but no two have the same in place "
        f"of {{}}: it is {examples[0]}, and {examples[1]}; put * where they differ"
    )
