"""How an image file's samples are to be read: options that one source of a pair has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadOptions:
    """How to read one source.

    Attributes:
        value_range: Which of the file's values become black and white, as `parse_value_range`
            takes it: `auto`, `full`, `p0.1,p99.9`, or `MIN,MAX` in the file's own numbers.
        nodata: A value that stands for no data, in the file's own numbers; None where there is
            none but what the file itself says.
        palette: What to do about heat in false colours: `off`, `auto` (recognise the palette), or
            the palette as `lkcfuse.images.palettes.find_palettes` takes it.
        page: Which page of a file of several to read, from 1 on.
        page_chosen: Whether somebody chose that page; else the first of several has a warning.
        fourth_channel: Read the fourth channel of a file as a grey image of its own, or leave it
            out: `only`, `drop`; None takes it for what the file says it is.
        radiometric: What to take of a thermal camera's radiometric file: `off` for the picture that
            it shows, `thermal` for its temperatures in degrees Celsius, `visible` for what its
            visible camera saw of the same view. Other files are read as they are.
        radiometric_grid: Whose pixels either of the two has then: `thermal` or `visible`.
    """

    value_range: str = "full"
    nodata: float | None = None
    palette: str = "off"
    page: int = 1
    fourth_channel: str | None = None
    radiometric: str = "off"
    radiometric_grid: str = "thermal"
    page_chosen: bool = False
