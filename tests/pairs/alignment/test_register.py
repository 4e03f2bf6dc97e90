from __future__ import annotations

import cv2
import numpy as np
import pytest
from scenes import about_middle, make_scene, warp

from lkcfuse.errors import InputError
from lkcfuse.images import image_from_array
from lkcfuse.pairs import PairOptions, prepare_pair
from lkcfuse.pairs.alignment import align_images, corner_errors

SIZE = (240, 320)


def images(first, second):
    return image_from_array(first, name="ir.png"), image_from_array(second, name="vis.png")


@pytest.mark.parametrize(
    ("model", "true"),
    [
        ("shift", about_middle(SIZE, shift=(11.3, -7.6))),
        ("affine", about_middle(SIZE, scale=0.93, degrees=2.6, shift=(-9, 12))),
        ("affine", np.array([[1.05, 0.02, -9], [-0.01, 0.97, 6], [0, 0, 1.0]])),
        ("homography", np.array([[1.03, 0.01, -9], [-0.01, 1.0, 3], [5e-5, 3e-5, 1]])),
    ],
    ids=["shift", "similarity", "affine", "homography"],
)
def test_a_known_transform_is_found(model, true):
    infrared, visible = make_scene(SIZE, seed=1)
    found = align_images(*images(infrared, warp(visible, true)), model)
    assert found.trusted
    assert found.gain > 0.05
    assert corner_errors(found.transform, true, SIZE).max() < 1.5


def test_a_registered_pair_stays_where_it_is():
    found = align_images(*images(*make_scene(SIZE, seed=2)), "affine")
    assert found.trusted
    assert corner_errors(found.transform, np.eye(3), SIZE).max() < 0.75


@pytest.mark.parametrize("inside", ["first", "second"])
def test_fields_of_view_and_sizes_may_differ(inside):
    infrared, visible = make_scene((480, 640), seed=3, shapes=150)
    # The narrow camera shows .4 of the width, in 240 x 180 pixels.
    view = np.array([[0.4 * 640 / 240, 0, 150], [0, 0.4 * 640 / 240, 120], [0, 0, 1.0]])
    if inside == "first":
        pair = images(warp(infrared, view, (180, 240)), visible)
        true, size = np.linalg.inv(view), (180, 240)
        found = align_images(*pair, "affine")
        error = corner_errors(np.linalg.inv(true), np.linalg.inv(found.transform), size)
    else:
        pair = images(infrared, warp(visible, view, (180, 240)))
        found = align_images(*pair, "affine")
        error = corner_errors(found.transform, view, (180, 240))
    assert found.trusted
    assert error.max() < 2.5


def test_a_black_border_is_not_taken_for_an_edge():
    infrared, visible = make_scene(SIZE, seed=4)
    true = about_middle(SIZE, scale=1.08, degrees=3, shift=(9, 9))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(visible, true, SIZE[::-1], flags=flags)
    assert (warped == 0).mean() > 0.05
    found = align_images(*images(infrared, warped), "affine")
    assert found.trusted
    assert corner_errors(found.transform, true, SIZE).max() < 1.5


@pytest.mark.parametrize(
    "second",
    [make_scene(SIZE, seed=6)[1], np.full(SIZE, 90, np.uint8)],
    ids=["another scene", "nothing"],
)
@pytest.mark.parametrize("model", ["shift", "affine"])
def test_what_does_not_belong_together_is_refused(model, second):
    pair = images(make_scene(SIZE, seed=5)[0], second)
    with pytest.raises(InputError, match=r"vis\.png could not be registered onto ir\.png.*0\.92"):
        prepare_pair(*pair, PairOptions(align=model))


def test_the_pair_is_brought_to_the_grid_asked_for_and_covered_where_both_see():
    infrared, visible = make_scene(SIZE, seed=7)
    true = about_middle(SIZE, shift=(-20, 0)) @ np.diag([0.5, 0.5, 1])
    larger = warp(visible, true, (480, 640))
    first = prepare_pair(*images(infrared, larger), PairOptions(align="affine"))
    assert first.size == SIZE
    assert first.second.coverage is not None
    assert not first.second.coverage[:, -15:].any()
    assert first.second.coverage[:, :-25].all()
    inside = np.s_[20:-20, 20:-40]
    difference = first.second.luma[inside] - visible[inside] / np.float32(255)
    assert np.abs(difference).mean() < 0.03
    second = prepare_pair(*images(infrared, larger), PairOptions(align="affine", grid="second"))
    assert second.size == (480, 640)
    assert second.second.coverage is None
