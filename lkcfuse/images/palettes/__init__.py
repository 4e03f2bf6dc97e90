"""Heat in false colours: known palettes, how a picture's is found, and the way back to heat."""

from lkcfuse.images.palettes.apply import (
    find_palettes,
    load_palette,
    portable_choice,
    undo_palette,
)
from lkcfuse.images.palettes.index import to_index
from lkcfuse.images.palettes.known import known_names
from lkcfuse.images.palettes.palette import Palette
from lkcfuse.images.palettes.recognise import Match, recognise

__all__ = [
    "Match",
    "Palette",
    "find_palettes",
    "known_names",
    "load_palette",
    "portable_choice",
    "recognise",
    "to_index",
    "undo_palette",
]
