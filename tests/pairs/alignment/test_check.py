from __future__ import annotations

import numpy as np
import pytest
from scenes import about_middle, make_scene, warp

from lkcfuse.errors import InputError
from lkcfuse.images import image_from_array
from lkcfuse.pairs import PairOptions, prepare_pair
from lkcfuse.tasks import get_task

SIZE = (240, 320)
CHECK = PairOptions(align="check")


def checked(infrared, visible):
    first = image_from_array(infrared, name="ir.png")
    return prepare_pair(first, image_from_array(visible, name="vis.png"), CHECK)


@pytest.mark.parametrize("shift", [(6, -4), (-9, 0)])
def test_a_shift_is_suspected_with_its_pixels_and_nothing_is_moved(shift):
    infrared, visible = make_scene(SIZE, seed=11)
    moved = warp(visible, about_middle(SIZE, shift=shift))
    pair = checked(infrared, moved)
    (warning,) = pair.notes(get_task("ir-vis"))
    assert warning.code == "misaligned"
    assert f"({-shift[0]:+d} to the right, {-shift[1]:+d} down)" in warning
    assert warning.startswith("vis.png")
    np.testing.assert_array_equal(pair.second.luma_samples, moved)


def test_nothing_is_suspected_of_a_registered_pair_of_two_scenes_or_of_nothing():
    infrared, visible = make_scene(SIZE, seed=12)
    for second in (visible, make_scene(SIZE, seed=13)[1], np.full(SIZE, 9, np.uint8)):
        assert checked(infrared, second).notes(get_task("ir-vis")) == ()


def test_a_look_changes_no_settings_and_scales_nothing():
    assert CHECK.to_record() == PairOptions().to_record()
    with pytest.raises(InputError, match="one size"):
        checked(np.zeros((9, 12), np.uint8), np.zeros((12, 9), np.uint8))
