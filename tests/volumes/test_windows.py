from __future__ import annotations

import numpy as np
import pytest
from phantoms import grid, head

from lkcfuse.errors import InputError, UsageError
from lkcfuse.volumes import Grid, Volume
from lkcfuse.volumes.windows import apply_window, find_window, parse_window

SHAPE = (12, 24, 24)
AFFINE = grid(SHAPE, (8, 8, 14))


def volume(values, **fields):
    return Volume(np.asarray(values, np.float32), Grid(SHAPE, AFFINE), "scan", **fields)


@pytest.mark.parametrize(
    "text", ["", "head", "40", "40,0", "40,-1", "80..0", "1..1", "40,80,1", "nan..1", "0..1e999"]
)
def test_what_is_no_window(text):
    with pytest.raises(UsageError, match="window"):
        parse_window(text)


def test_auto_takes_the_files_own():
    shown = volume(head("CT", SHAPE, AFFINE), modality="CT", window=(-10.0, 70.0))
    assert find_window(shown, "auto")[0] == (-10, 70)
    assert find_window(shown, "bone")[0] == (-770, 1730)
    assert find_window(shown, "-5..5.5")[0] == (-5, 5.5)


def test_auto_takes_the_brain_for_ct():
    for modality in ("CT", ""):
        shown = volume(head("CT", SHAPE, AFFINE), modality=modality)
        assert find_window(shown, "auto")[0] == (0, 80)


def test_auto_looks_at_the_head_and_not_at_the_air():
    values = head("MR", SHAPE, AFFINE, noise=5)
    values[0, 0, 0] = 30_000  # a spike
    low, high = find_window(volume(values, modality="MR"), "auto")[0]
    assert abs(low) < 8
    assert 860 < high < 940
    # Four times the air around it changes little.
    wide = np.pad(values, ((0, 0), (12, 12), (12, 12)))
    grown = Volume(wide.astype(np.float32), Grid(wide.shape, AFFINE), "scan")
    assert find_window(grown, "auto")[0][1] == pytest.approx(high, rel=0.05)


def test_no_data_decides_nothing():
    values = head("MR", SHAPE, AFFINE)
    values[:, :6] = -30_000
    limits = find_window(volume(values, valid=values > -20_000), "auto")[0]
    assert limits[0] == pytest.approx(0, abs=1)


def test_a_ct_window_is_for_ct():
    with pytest.raises(UsageError, match=r"scan is MR, and brain is a window of CT"):
        find_window(volume(head("MR", SHAPE, AFFINE), modality="MR"), "brain")


def test_one_value_everywhere_is_nothing_to_fuse():
    with pytest.raises(InputError, match="the value 7 everywhere"):
        find_window(volume(np.full(SHAPE, 7)), "auto")


def test_values_between_the_limits():
    values = np.array([-50, 0, 20, 40, 90], np.int16)
    np.testing.assert_allclose(apply_window(values, (0, 40)), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(apply_window(values, (0, 40), inverted=True), [1, 1, 0.5, 0, 0])
