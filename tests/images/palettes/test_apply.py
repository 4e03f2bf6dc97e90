from __future__ import annotations

import io

import cv2
import numpy as np
import PIL.Image
import pytest

from lkcfuse import Fuser
from lkcfuse.errors import InputError, UsageError
from lkcfuse.images import ReadOptions, image_to_array, read_image
from lkcfuse.images.palettes import find_palettes, known_names, portable_choice, undo_palette
from lkcfuse.images.palettes.known import usual_palettes


def jet(heat):
    return cv2.applyColorMap(heat, cv2.COLORMAP_JET)[..., ::-1].copy()


def off(one, other):
    return np.abs(one.astype(float) - other).max()


def test_auto_finds_the_palette_and_says_so(heat):
    back, (note,) = undo_palette(jet(heat), "auto", "ir.png")
    assert off(back, heat) <= 1
    assert note.code == "palette"
    assert note.startswith("ir.png shows heat in false colours, 100% of it on the palette 'jet'")
    assert "--palette off" in note
    assert "--palette jet-reversed" in note


def test_a_named_palette_is_taken_without_a_word(heat):
    for choice in ("jet", "Jet", " JET "):
        back, notes = undo_palette(jet(heat), choice, "ir.png")
        assert off(back, heat) <= 1
        assert notes == ()
    back, notes = undo_palette(jet(heat), "jet-reversed", "ir.png")
    assert off(255 - back, heat) <= 1
    assert notes == ()


def test_off_leaves_colours(heat):
    rgb = jet(heat)
    samples, notes = undo_palette(rgb, "off", "ir.png")
    assert samples is rgb
    assert notes == ()


@pytest.mark.parametrize("choice", ["off", "auto", "jet"])
def test_grey_stays_as_it_is(heat, choice):
    samples, notes = undo_palette(heat, choice, "ir.png")
    assert samples is heat
    assert notes == ()


def test_colours_on_no_palette_are_left_with_a_warning_that_names_the_option(photograph):
    samples, (note,) = undo_palette(photograph, "auto", "ir.png")
    assert samples is photograph
    assert note.code == "false-colours"
    assert note.startswith("ir.png is coloured, and its palette is not known")
    assert "--palette" in note


def test_traces_of_colour_are_no_reason_to_warn(heat, as_jpeg):
    grey = as_jpeg(np.repeat(heat[..., None], 3, axis=-1))
    grey[..., 0] = np.minimum(grey[..., 0] + 1, 255)
    samples, notes = undo_palette(grey, "auto", "ir.png")
    assert samples is grey
    assert notes == ()


def test_a_palette_that_does_not_fit_is_doubted(photograph):
    heat, (note,) = undo_palette(photograph, "jet", "ir.png")
    assert heat.shape == photograph.shape[:2]
    assert note.code == "false-colours"
    assert note.startswith("few colours of ir.png are on the palette")


def test_depth(heat):
    rgb = jet(heat)
    for deep in (rgb.astype(np.uint16) * 257, rgb.astype(np.float32) / 255):
        back, _ = undo_palette(deep, "auto", "ir.tif")
        assert back.dtype == np.uint8
        assert off(back, heat) <= 1


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        ("irn", UsageError, "no palette is called 'irn': choose auto, off, a file, or one of"),
        ("auto-reversed", UsageError, "no palette is called 'auto-reversed'"),
        ("#000000", UsageError, "#000000 is not a list of colours"),
        ("#000000,#ff", UsageError, "is not a list of colours"),
        ("bar.png", InputError, "bar.png does not exist"),
    ],
)
def test_palettes_that_are_none(heat, choice, error, message):
    with pytest.raises(error) as caught:
        undo_palette(jet(heat), choice, "ir.png")
    assert message in str(caught.value)


def test_every_name_is_a_palette():
    for name in known_names():
        assert portable_choice(name) == name
        assert portable_choice(f"{name}-reversed") == f"{name}-reversed"
        assert find_palettes(name)
    assert portable_choice("AUTO") == "auto"


def test_a_file_becomes_its_colours(tmp_path, heat):
    bar = np.repeat(jet(np.arange(256, dtype=np.uint8)[None]), 12, axis=0)
    PIL.Image.fromarray(bar).save(tmp_path / "bar.png")
    choice = portable_choice(str(tmp_path / "bar.png"))
    assert choice.startswith("#000080,#000084,")
    (tmp_path / "bar.png").unlink()
    back, notes = undo_palette(jet(heat), choice, "ir.png")
    assert off(back, heat) <= 1
    assert notes == ()


def test_read_image_does_it_when_asked_alone(heat):
    file = io.BytesIO()
    PIL.Image.fromarray(jet(heat)).save(file, "PNG")
    file.seek(0)
    assert read_image(file).is_coloured()
    file.seek(0)
    image = read_image(file, ReadOptions(palette="auto"), name="ir.png")
    assert off(image_to_array(image), heat) <= 1
    assert [note.code for note in image.notes] == ["palette"]


@pytest.mark.parametrize("number", range(0, len(usual_palettes()), 3))
def test_the_fusion_is_that_of_the_heat(heat, photograph, colour, as_jpeg, number):
    # The packaged weights, as they come: what users see. A quarter of the picture will do.
    fuser = Fuser("ir-vis", device="cpu")
    palette = usual_palettes()[number]
    back, _ = undo_palette(as_jpeg(colour(heat, palette)), "auto", "ir.jpg")
    part = slice(60, 180), slice(80, 240)
    wanted, got = (
        np.asarray(fuser.fuse(plane[part], photograph[part])) @ np.array([0.299, 0.587, 0.114])
        for plane in (heat, back)
    )
    assert np.corrcoef(wanted.ravel(), got.ravel())[0, 1] > 0.98
