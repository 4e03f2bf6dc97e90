from __future__ import annotations

import cv2
import numpy as np
import pytest

from lkcfuse.images.palettes.index import nearest, to_index
from lkcfuse.images.palettes.known import palettes_called
from lkcfuse.images.palettes.palette import palette_of


def test_the_colours_of_a_palette_are_its_places():
    for name in ("jet", "iron", "viridis", "lava", "rainbow-lepton"):
        for palette in palettes_called(name):
            bar = np.rint(palette.colours)[None].astype(np.uint8)
            assert np.abs(to_index(bar, palette)[0] - np.arange(256.0)).max() <= 3


def test_between_two_colours_the_curve_is_straight():
    palette = palette_of("two", [(0, 0, 0), (200, 100, 0)])
    rgb = np.array([[(0, 0, 0), (100, 50, 0), (50, 25, 0), (200, 100, 0)]], np.uint8)
    assert to_index(rgb, palette).tolist() == [[0, 128, 64, 255]]


def test_off_the_curve_the_nearest_place_counts():
    palette = palette_of("two", [(0, 0, 0), (255, 0, 0)])
    found = nearest(np.array([[51, 0, 30], [300, 40, 0]], np.float32), palette.colours)
    assert found.place == pytest.approx([51, 255])
    assert found.distance == pytest.approx([30, np.hypot(45, 40)])


def test_where_ends_meet_the_surroundings_tell(heat):
    (palette,) = palettes_called("hsv")
    assert palette.ends_meet
    rgb = np.rint(palette.colours[heat]).astype(np.uint8)
    back = to_index(rgb, palette)
    assert np.corrcoef(back.ravel(), heat.ravel())[0, 1] > 0.99
    # A hot spot that ends in the colour that cold begins with.
    spot = np.full((40, 40), 225, np.uint8)
    spot[18:22, 18:22] = 255
    hot = to_index(np.rint(palette.colours[spot]).astype(np.uint8), palette)
    assert hot[20, 20] > 240


def test_heat_keeps_its_order(heat):
    for palette in palettes_called("iron"):
        rgb = np.rint(palette.colours[heat]).astype(np.uint8)
        back = to_index(rgb, palette)
        means = [back[heat == level].mean() for level in np.unique(heat)]
        assert (np.diff(means) >= 0).all()


def test_a_reversed_palette_gives_the_other_end(heat):
    (palette,) = palettes_called("jet")
    (swapped,) = palettes_called("jet-reversed")
    rgb = cv2.applyColorMap(heat, cv2.COLORMAP_JET)[..., ::-1]
    one, other = to_index(rgb, palette), to_index(rgb, swapped)
    assert np.abs(255 - one.astype(int) - other).max() <= 1
