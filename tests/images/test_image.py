from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lkcfuse.errors import InputError, UsageError
from lkcfuse.images import Image, image_from_array, image_to_array, read_image, samples

shapes = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9).map(lambda shape: (*shape, 3)),
)


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), shapes))
def test_integers_come_back_exactly(array):
    image = image_from_array(array)
    back = image_to_array(image)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3)])
def test_floats_come_back_in_their_type(dtype, shape):
    array = np.random.default_rng(1).random(shape).astype(dtype)
    back = image_to_array(image_from_array(array))
    assert back.dtype == dtype
    np.testing.assert_allclose(back, array, atol=1e-3 if dtype == np.float16 else 2e-6)


def test_white_is_one_in_every_type():
    for white in (np.uint8(255), np.uint16(65535), np.float32(1)):
        assert image_from_array(np.full((2, 2), white)).luma.tolist() == [[1, 1], [1, 1]]


def test_other_byte_orders_read_alike():
    array = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    swapped = array.astype(array.dtype.newbyteorder())
    np.testing.assert_array_equal(image_to_array(image_from_array(swapped)), array)
    assert image_from_array(swapped).dtype == np.uint16


def test_bands_do_not_show(monkeypatch):
    array = np.random.default_rng(2).integers(0, 256, (37, 11, 3)).astype(np.uint8)
    image = image_from_array(array)
    luma, chroma = image.luma, image.chroma
    monkeypatch.setattr(samples, "_BAND_PIXELS", 25)
    np.testing.assert_array_equal(image.luma, luma)
    np.testing.assert_array_equal(image.chroma, chroma)
    np.testing.assert_array_equal(image_to_array(image), array)


def test_luma_beyond_the_range_is_clipped():
    luma = np.array([[-0.5, 0.5, 1.5]], np.float32)
    grey = image_to_array(Image(luma, None, np.dtype(np.uint8)))
    assert grey.tolist() == [[0, 128, 255]]
    purple = np.broadcast_to(np.float32([0.9, 0.1, 0.9]), (1, 3, 3))
    colour = image_to_array(Image(luma, purple, np.dtype(np.uint8)))
    assert colour[0, 0].tolist() == [0, 0, 0]
    assert colour[0, 2].tolist() == [255, 255, 255]


def test_resampling_overshoot_is_forgiven():
    luma = image_from_array(np.array([[-1e-4, 1 + 1e-4]], np.float32)).luma
    assert luma.tolist() == [[0, 1]]


def test_coloured_means_visibly_so():
    grey = np.full((8, 8, 3), 120, np.uint8)
    assert not image_from_array(grey).is_coloured()
    assert not image_from_array(grey[..., 0]).is_coloured()
    assert not image_from_array(grey + np.array([1, 0, 0], np.uint8)).is_coloured()
    assert image_from_array(grey + np.array([40, 0, 0], np.uint8)).is_coloured()


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((4,), np.uint8), "shape"),
        (np.zeros((4, 4, 4), np.uint8), r"alpha channel.*\[\.\.\., :3\]"),
        (np.zeros((4, 4, 2), np.uint8), r"alpha channel.*\[\.\.\., :1\]"),
        (np.zeros((3, 4, 5), np.uint8), "np.moveaxis"),
        (np.zeros((4, 4), np.int16), "int16.*scale raw counts"),
        (np.zeros((1, 4, 4, 3), np.uint8), "shape"),
        (np.zeros((0, 4), np.uint8), "no pixels"),
        (np.zeros((4, 4), np.int32), "int32"),
        (np.zeros((4, 4), bool), "bool"),
        (np.full((4, 4), 255.0), "255"),
        (np.full((4, 4), -0.5, np.float32), "-0.5"),
        (np.array([[0.1, np.nan]]), "NaN"),
        (np.array([[0.1, np.inf]]), "inf"),
    ],
)
def test_unfit_arrays_are_named(array, word):
    with pytest.raises(InputError, match=rf"^IR .*{word}"):
        image_from_array(array, name="IR")


@pytest.mark.parametrize("mode", ["L", "RGB", "F", "I;16"])
def test_pillow_images_count_as_their_arrays(mode):
    levels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    if mode == "I;16":
        picture = PIL.Image.fromarray(levels.astype(np.uint16) * 257)
    elif mode == "F":
        picture = PIL.Image.fromarray(levels.astype(np.float32) / 255)
    else:
        picture = PIL.Image.fromarray(levels).convert(mode)
    assert picture.mode == mode
    image = image_from_array(picture)
    np.testing.assert_allclose(image.luma, levels / 255, atol=1e-6)
    assert (image.chroma is not None) == (mode == "RGB")


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "CMYK", "YCbCr", "1", "I"])
def test_pillow_images_whose_arrays_mean_something_else_are_refused(mode):
    picture = PIL.Image.new("RGB", (4, 3), (200, 20, 30))
    picture = picture.convert("L").convert("I") if mode == "I" else picture.convert(mode)
    with pytest.raises(InputError, match=rf"^IR is a Pillow image of mode {mode}: .*convert"):
        image_from_array(picture, name="IR")


def test_a_single_channel_is_grey():
    array = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    np.testing.assert_array_equal(image_from_array(array).array, array[..., 0])


def test_an_image_is_shown_in_a_line_and_in_a_notebook():
    pixels = np.random.default_rng(5).integers(0, 256, (30, 1500, 3)).astype(np.uint8)
    image = image_from_array(pixels, name="street.png")
    assert repr(image) == "<Image 'street.png': 1500x30 RGB uint8>"
    assert repr(image_from_array(pixels[..., 0] / 255)) == "<Image 'array': 1500x30 grey float64>"
    shown = PIL.Image.open(io.BytesIO(image._repr_png_()))
    assert (shown.format, shown.size) == ("PNG", (1024, 20))
    small = PIL.Image.open(io.BytesIO(image_from_array(pixels[:, :40])._repr_png_()))
    np.testing.assert_array_equal(small, pixels[:, :40])


def test_an_image_has_its_array_and_is_saved(tmp_path):
    pixels = np.random.default_rng(6).integers(0, 65536, (6, 7, 3)).astype(np.uint16)
    image = image_from_array(pixels)
    np.testing.assert_array_equal(image.array, pixels)
    image.save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png").array, pixels)
    with pytest.raises(UsageError, match="exists"):
        image.save(tmp_path / "x.png")
    image.save(tmp_path / "x.png", overwrite=True)
    image.save(tmp_path / "y", format="tiff")
    np.testing.assert_array_equal(read_image(tmp_path / "y").array, pixels)


def test_images_are_compared_as_objects():
    array = np.zeros((3, 4), np.uint8)
    image = image_from_array(array)
    assert image == image
    assert image != image_from_array(array)
    assert len({image, image}) == 1
