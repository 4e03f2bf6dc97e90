from __future__ import annotations

import cv2
import numpy as np
import pytest

from lkcfuse.images.palettes.index import to_index
from lkcfuse.images.palettes.known import usual_palettes
from lkcfuse.images.palettes.recognise import recognise

PALETTES = usual_palettes()


def correlation(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


@pytest.mark.parametrize("quality", [None, 90, 60])
@pytest.mark.parametrize("number", range(len(PALETTES)))
def test_a_coloured_picture_gives_back_its_heat(heat, colour, as_jpeg, number, quality):
    # Two palettes may share their curve, so it is the heat that counts, not the name.
    palette = PALETTES[number]
    rgb = colour(heat, palette)
    if quality is not None:
        rgb = as_jpeg(rgb, quality)
    found = recognise(rgb)
    assert found is not None
    back = to_index(rgb, found.palette)
    if quality is None and found.palette is palette and not palette.ends_meet:
        assert np.abs(back.astype(int) - heat).max() <= 1
    assert correlation(back, heat) > (0.999 if quality is None else 0.98)


def test_names_of_the_usual_ones(heat, colour):
    names = {palette.name: recognise(colour(heat, palette)) for palette in PALETTES}
    for name in ("iron", "lava", "arctic", "glowbow", "rainbow", "jet", "inferno", "turbo"):
        assert names[name].palette.name == name


def test_a_scale_a_logo_and_text_may_lie_on_it(heat, colour, as_jpeg):
    palette = next(each for each in PALETTES if each.name == "iron")
    rgb = colour(heat, palette)
    rgb[200:230, 10:70] = (20, 120, 60)
    rgb[:12] = 255
    cv2.putText(rgb, "23.4 C", (90, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
    found = recognise(as_jpeg(rgb))
    assert found is not None
    assert found.palette is palette
    assert found.share < 0.99


def test_photographs_and_grey_pictures_are_on_no_palette(photograph, heat, as_jpeg):
    assert recognise(photograph) is None
    assert recognise(as_jpeg(photograph)) is None
    grey = np.repeat(heat[..., None], 3, axis=-1)
    assert recognise(grey) is None
    assert recognise(as_jpeg(grey)) is None


def test_a_night_with_a_few_lamps_is_on_no_palette(photograph):
    night = photograph // 12
    night[20:60, 30:80] = (210, 150, 90)
    night[100:130, 200:260] = (230, 225, 200)
    assert recognise(night) is None


def test_a_cold_picture_is_not_read_from_the_hot_end(heat, colour):
    # Red to yellow is the cold end of OpenCV's rainbow and the hot end of others.
    palette = next(each for each in PALETTES if each.name == "rainbow")
    cold = heat // 4
    rgb = colour(cold, palette)
    found = recognise(rgb)
    assert correlation(to_index(rgb, found.palette), cold) > 0.99


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2)])
def test_small_pictures(heat, colour, size):
    palette = PALETTES[0]
    assert recognise(colour(heat[: size[0], : size[1]], palette)) is not None
