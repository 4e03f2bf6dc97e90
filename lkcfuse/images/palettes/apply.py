"""What is done to a picture that may show heat in false colours."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from lkcfuse.errors import InputError, UsageError
from lkcfuse.images.image import image_from_samples
from lkcfuse.images.palettes.files import colour_of, is_table, palette_of_bar, read_table
from lkcfuse.images.palettes.index import Pixels, to_index
from lkcfuse.images.palettes.known import known_names, palettes_called
from lkcfuse.images.palettes.palette import Palette, palette_of
from lkcfuse.images.palettes.recognise import fit, recognise
from lkcfuse.images.samples import Samples, full_scale, has_colour
from lkcfuse.notes import CodedWarning

AUTO, OFF = "auto", "off"

# Mean distance (Euclidean, of 255) of a picture from a palette that it is said to be coloured by.
_POOR_FIT = 20.0


def undo_palette(
    samples: Samples, choice: str, name: str
) -> tuple[Samples, tuple[CodedWarning, ...]]:
    """Turn false colours back into heat.

    Args:
        samples: The picture; a grey one is returned as it is.
        choice: `off`, `auto`, or a palette as `find_palettes` takes it.
        name: What messages call the picture.

    Returns:
        The heat, (H, W) uint8, 255 the hottest; the samples as they were where `auto` finds no
        palette. Then what the user should know.

    Raises:
        UsageError: No palette has that name.
        InputError: The palette's file cannot be used.
    """
    if choice == OFF or not has_colour(samples):
        return samples, ()
    rgb = _to_bytes(samples)
    notes: tuple[CodedWarning, ...] = ()
    if choice == AUTO:
        match = recognise(rgb)
        if match is None:
            return samples, _unknown(samples, name)
        palette = match.palette
        notes = (
            CodedWarning(
                "palette",
                f"{name} shows heat in false colours, {match.share:.0%} of it on the palette "
                f"'{palette.name}': they are turned back into heat; --palette off leaves them, "
                f"and --palette {palette.name}-reversed takes the other end for hot",
            ),
        )
    else:
        best = fit(rgb, find_palettes(choice))
        palette = best.palette
        if best.distance > _POOR_FIT:
            notes = (
                CodedWarning(
                    "false-colours",
                    f"few colours of {name} are on the palette that --palette names: is it a "
                    "different one?",
                ),
            )
    heat = to_index(rgb, palette)
    return heat, notes


def find_palettes(choice: str) -> tuple[Palette, ...]:
    """Return the palettes that a word stands for.

    Args:
        choice: A known name, also with `-reversed` after it; colours as `#rrggbb,#rrggbb,...`,
            coldest first; or the path of a colour bar's picture or of a table (`read_table`).

    Raises:
        UsageError: No palette has that name.
        InputError: The file cannot be used.
    """
    named = palettes_called(choice.strip().lower())
    if named:
        return named
    if choice.lstrip().startswith("#"):
        colours = [colour_of(word) for word in choice.split(",")]
        if len(colours) < 2 or None in colours:
            raise UsageError(
                f"{_shortened(choice)} is not a list of colours: write #000000,#ff8000,#ffffff"
            )
        return (palette_of("colours", [colour for colour in colours if colour is not None]),)
    path = Path(choice)
    if not path.exists() and not path.suffix and os.sep not in choice:
        raise UsageError(
            f"no palette is called '{choice}': choose auto, off, a file, or one of "
            f"{', '.join(known_names())}"
        )
    return (load_palette(path),)


def load_palette(path: str | os.PathLike[str]) -> Palette:
    """Read a palette from a picture of its colour bar, or from a table of colours.

    Raises:
        InputError: The file cannot be read, or shows no palette.
    """
    return _load(Path(path))


def portable_choice(choice: str) -> str:
    """Return a choice that means the same on another machine: a file becomes its colours.

    Raises:
        UsageError: No palette has that name.
        InputError: The palette's file cannot be used.
    """
    word = choice.strip().lower()
    if word in (AUTO, OFF):
        return word
    palettes = find_palettes(choice)
    if palettes_called(word):
        return word
    colours = np.rint(palettes[0].colours).astype(np.uint8)
    return ",".join(f"#{bytes(colour).hex()}" for colour in colours)


@lru_cache(maxsize=8)
def _load(path: Path) -> Palette:
    if is_table(path):
        return read_table(path)
    # The reader of images is what calls this module.
    from lkcfuse.images.reading import read_image

    samples = read_image(path).chroma_samples
    if samples is None:
        raise InputError(f"{path} is grey: a colour bar has the colours of a palette")
    return palette_of_bar(_to_bytes(samples[..., :3]), str(path))


def _unknown(samples: Samples, name: str) -> tuple[CodedWarning, ...]:
    if not image_from_samples(samples, name=name).is_coloured():
        return ()
    return (
        CodedWarning(
            "false-colours",
            f"{name} is coloured, and its palette is not known: its brightness is taken for "
            "heat. If it shows heat in false colours, name the palette with --palette (a "
            "name, a picture of the colour bar, or a table); otherwise give --palette off",
        ),
    )


def _to_bytes(samples: Samples) -> Pixels:
    if samples.dtype == np.uint8:
        return np.ascontiguousarray(samples).view(np.uint8)
    scale = np.float32(255 / full_scale(samples.dtype))
    levels: Pixels = np.rint(np.clip(samples.astype(np.float32) * scale, 0, 255)).astype(np.uint8)
    return levels


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
