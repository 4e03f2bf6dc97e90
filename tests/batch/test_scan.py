from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from lkcfuse.batch.plan import plan_folders
from lkcfuse.batch.scan import scan_ranges
from lkcfuse.errors import InputError
from lkcfuse.images import ReadOptions
from lkcfuse.pairs import PairOptions

OPTIONS = PairOptions(first=ReadOptions(value_range="scan"))


@pytest.fixture
def plan(tmp_path):
    """Return a function that saves float pictures and plans a batch."""

    def make(*arrays):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir(exist_ok=True)
            for number, array in enumerate(arrays):
                tifffile.imwrite(tmp_path / folder / f"{number}.tif", array.astype(np.float32))
        return plan_folders(tmp_path / "a", tmp_path / "b", tmp_path / "fused")

    return make


def test_one_range_is_found_for_all_files(plan):
    ramp = np.linspace(0, 1, 300 * 400).reshape(300, 400)
    found = scan_ranges(plan(20 + 5 * ramp, 30 + 5 * ramp), OPTIONS)
    low, high = map(float, found.first.value_range.split(","))
    assert low == pytest.approx(20, abs=0.05)
    assert high == pytest.approx(35, abs=0.05)
    assert found.second == OPTIONS.second


def test_no_data_and_single_pixels_move_nothing(plan):
    array = 20 + 5 * np.linspace(0, 1, 300 * 400).reshape(300, 400)
    array[0, 0], array[1, 1] = 900, -900
    array[5:9] = -9999
    first = replace(OPTIONS.first, nodata=-9999)
    found = scan_ranges(plan(array), replace(OPTIONS, first=first))
    low, high = map(float, found.first.value_range.split(","))
    assert 20 <= low < high <= 25


def test_what_has_no_range_is_named(plan):
    with pytest.raises(InputError, match=r"0\.tif.*one value everywhere \(7\)"):
        scan_ranges(plan(np.full((9, 9), 7)), OPTIONS)
    with pytest.raises(InputError, match=r"0\.tif.*no data"):
        scan_ranges(plan(np.full((9, 9), np.nan)), OPTIONS)
