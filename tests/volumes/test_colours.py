from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from lkcfuse.errors import UsageError
from lkcfuse.volumes.colours import NAMES, colour, colour_table


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_matplotlibs(name):
    unit = np.linspace(0, 1, 1001, dtype=np.float32)
    wanted = matplotlib.colormaps[name].resampled(256)(unit, bytes=True)[:, :3]
    found = colour(unit, colour_table(name.upper()))
    # A version of matplotlib may round its tables in another way.
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_turned_round():
    np.testing.assert_array_equal(colour_table("hot_r"), colour_table("hot")[::-1])


def test_unknown():
    with pytest.raises(UsageError, match="'heat': choose one of hot, "):
        colour_table("heat")
