"""Colours for scalar PET and SPECT: matplotlib's tables, as data.

`tables.npz` has one table of (256, 3) uint8 for each name; `matplotlib.colormaps[name]` made them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = (
    "hot",
    "afmhot",
    "bone",
    "cividis",
    "CMRmap",
    "cool",
    "copper",
    "cubehelix",
    "gist_heat",
    "gist_ncar",
    "gist_rainbow",
    "gnuplot",
    "gnuplot2",
    "gray",
    "inferno",
    "jet",
    "magma",
    "nipy_spectral",
    "pink",
    "plasma",
    "rainbow",
    "turbo",
    "viridis",
)
"""Names of the tables, as matplotlib has them."""


def colour_table(name: str) -> npt.NDArray[np.uint8]:
    """Return a table of colours, from low values to high ones.

    Args:
        name: One of `NAMES`, in lower or upper case; `_r` behind it turns it round.

    Returns:
        (256, 3) uint8 RGB.

    Raises:
        UsageError: No table has that name.
    """
    asked = name.strip().lower()
    turned = asked.endswith("_r")
    known = {each.lower(): each for each in NAMES}
    found = known.get(asked.removesuffix("_r"))
    if found is None:
        raise UsageError(
            f"no colour table is called '{name}': choose one of {', '.join(NAMES)}, or off"
        )
    table = _tables()[found]
    return table[::-1] if turned else table


def colour(unit: npt.NDArray[np.float32], table: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the colours of values between 0 and 1, as matplotlib chooses them.

    Args:
        unit: Values of any shape.
        table: (256, 3) uint8.

    Returns:
        RGB, one dimension more.
    """
    entries = np.minimum((unit * np.float32(len(table))).astype(np.intp), len(table) - 1)
    colours: npt.NDArray[np.uint8] = table[entries]
    return colours


@cache
def _tables() -> Mapping[str, npt.NDArray[np.uint8]]:
    with (files(__name__) / "tables.npz").open("rb") as file, np.load(file) as stored:
        return {name: stored[name] for name in NAMES}
