from __future__ import annotations

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile

from lkcfuse.errors import InputError
from lkcfuse.images import ReadOptions
from lkcfuse.images.readers.tiff import read


def decode(path, page=1):
    with path.open("rb") as file:
        return read(file, ReadOptions(page=page), str(path))


NUMBERS = {
    np.uint8: (0, 255),
    np.int8: (-128, 127),
    np.int16: (-2731, 12_000),
    np.uint16: (0, 65_535),
    np.int32: (-70_000, 2**31 - 1),
    np.uint32: (0, 2**32 - 1),
    np.float16: (-40, 120),
    np.float32: (-40, 120.5),
    np.float64: (-40, 120.5),
}


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_samples_keep_their_numbers_and_type(tmp_path, dtype, order, compression):
    array = np.linspace(*NUMBERS[dtype], 63).astype(dtype).reshape(7, 9)
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, array, byteorder=order, compression=compression)
    decoded = decode(path)
    assert decoded.dtype == dtype
    assert decoded.dtype.isnative
    np.testing.assert_array_equal(decoded.samples, array)
    assert decoded.notes == []


@pytest.mark.parametrize("compression", ["zlib", "lzw"])
@pytest.mark.parametrize(
    ("dtype", "predictor"),
    [
        (dtype, predictor)
        for dtype in (np.uint16, np.int16, np.uint32, np.float32, np.float64)
        for predictor in (1, 3 if dtype in (np.float32, np.float64) else 2)
    ],
)
def test_compressed_tiff_of_other_programs(tmp_path, dtype, compression, predictor):
    array = np.linspace(*NUMBERS[dtype], 64 * 48).astype(dtype).reshape(48, 64)
    code = {"zlib": 8, "lzw": 5}[compression]
    path = tmp_path / "x.tif"
    flags = [cv2.IMWRITE_TIFF_COMPRESSION, code, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    bits = {np.uint32: np.int32}.get(dtype, dtype)
    assert cv2.imwrite(str(path), array.view(bits), flags)
    if dtype is np.uint32:
        mark(path, 339, 1)
    decoded = decode(path)
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded.samples, array)


def mark(path, code, value):
    """Give a short tag of a little-endian TIFF another value."""
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags[code].overwrite(value)


def test_no_data_is_what_the_tag_of_gdal_says(tmp_path):
    array = np.array([[-9999, 20.5], [21, 22]], np.float32)
    path = tmp_path / "x.tif"
    for text, expected in (("-9999", -9999), ("nan", np.nan), ("none", None)):
        tifffile.imwrite(path, array, extratags=[(42113, 2, 0, text, True)])
        np.testing.assert_equal(decode(path).nodata, expected)
    tifffile.imwrite(path, array.astype(np.uint8), extratags=[(42113, 2, 0, "-9999", True)])
    assert decode(path).nodata is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32])
def test_white_is_zero_turns_integers_over_within_their_type(tmp_path, dtype):
    limits = np.iinfo(dtype)
    array = np.array([[limits.min, limits.min + 1], [limits.max - 3, limits.max]], dtype)
    extra = [(42113, 2, 0, str(limits.min), True)]
    tifffile.imwrite(tmp_path / "x.tif", array, photometric="miniswhite", extratags=extra)
    decoded = decode(tmp_path / "x.tif")
    expected = [[limits.max, limits.max - 1], [limits.min + 3, limits.min]]
    np.testing.assert_array_equal(decoded.samples, expected)
    assert decoded.nodata == limits.max


def test_white_is_zero_keeps_the_range_of_floats(tmp_path):
    array = np.array([[20, 35], [50, -9999]], np.float32)
    extra = [(42113, 2, 0, "-9999", True)]
    tifffile.imwrite(tmp_path / "x.tif", array, photometric="miniswhite", extratags=extra)
    decoded = decode(tmp_path / "x.tif")
    np.testing.assert_array_equal(decoded.samples, [[50, 35], [20, -9999]])
    assert decoded.nodata == -9999


def test_pages_are_counted_and_chosen(tmp_path, noise):
    stack = noise(5, 8, 9)
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, stack, imagej=True)
    assert decode(path).notes[0].code == "file"
    for page in range(2, 6):
        decoded = decode(path, page)
        np.testing.assert_array_equal(decoded.samples, stack[page - 1])
        assert decoded.notes == []
    with pytest.raises(InputError, match=r"has 5 pages: --page 6"):
        decode(path, 6)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_a_page_of_a_palette_and_of_lzw(tmp_path, noise, compression):
    pages = [PIL.Image.fromarray(noise(6, 7)), PIL.Image.fromarray(noise(6, 7, 3)).quantize(8)]
    path = tmp_path / "x.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:], compression=compression)
    np.testing.assert_array_equal(decode(path).samples, np.asarray(pages[0]))
    np.testing.assert_array_equal(decode(path, 2).samples, np.asarray(pages[1].convert("RGB")))


def test_smaller_copies_are_no_pages(tmp_path, noise):
    array = noise(16, 16)
    with tifffile.TiffWriter(tmp_path / "x.tif") as tiff:
        tiff.write(array)
        tiff.write(array[::2, ::2], subfiletype=1)
    assert decode(tmp_path / "x.tif").notes == []


def test_four_slices_written_as_planes_are_told_from_rgb_and_alpha(tmp_path):
    rows, columns = np.mgrid[:40, :40]
    slices = np.stack([(rows * 3 + columns * 2 + step * 7) for step in range(4)]).astype(np.uint8)
    path = tmp_path / "x.tif"
    options = {"photometric": "rgb", "planarconfig": "separate", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(path, slices, **options)
    decoded = decode(path)
    np.testing.assert_array_equal(decoded.samples, slices[0])
    assert "slices" in decoded.notes[0]
    np.testing.assert_array_equal(decode(path, 3).samples, slices[2])
    slices[3] = np.where(rows > 10, 255, 0)
    tifffile.imwrite(path, slices, **options)
    decoded = decode(path)
    np.testing.assert_array_equal(decoded.samples, np.moveaxis(slices, 0, -1))
    assert decoded.notes == []


@pytest.mark.parametrize(("kind", "value"), [(2, "an ASCII profile"), (3, (1, 2, 3)), (12, 0.5)])
def test_a_profile_of_another_type_is_left_out(tmp_path, noise, kind, value):
    count = 0 if kind == 2 else np.size(value)
    extra = [(34675, kind, count, value, True)]
    for name, compression in (("x.tif", None), ("y.tif", "zlib")):
        path = tmp_path / name
        tifffile.imwrite(
            path, noise(5, 6, 3), photometric="rgb", extratags=extra, compression=compression
        )
        assert decode(path).icc_profile is None


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_more_rows_than_the_file_has_are_refused(tmp_path, noise, compression):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(20, 30), compression=compression, rowsperstrip=20)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="samples are missing"):
        decode(path)


def test_compression_that_is_not_read_is_named(tmp_path, noise):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(5, 6).astype(np.float32))
    mark(path, 259, 34887)
    with pytest.raises(InputError, match=r"32-bit floats.*lerc.*imagecodecs"):
        decode(path)


def test_complex_numbers_are_named(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.ones((3, 4), np.complex64))
    with pytest.raises(InputError, match="complex"):
        decode(tmp_path / "x.tif")


def test_more_pixels_than_pillow_allows_are_read(tmp_path, noise, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 20)
    for compression in (None, "tiff_lzw", "tiff_deflate"):
        array = noise(10, 10, 3)
        PIL.Image.fromarray(array).save(tmp_path / "x.tif", compression=compression)
        np.testing.assert_array_equal(decode(tmp_path / "x.tif").samples, array)
    assert PIL.Image.MAX_IMAGE_PIXELS == 20


def test_a_file_of_one_page_is_read_whatever_page_is_asked_for(tmp_path, noise):
    tifffile.imwrite(tmp_path / "x.tif", noise(5, 6))
    np.testing.assert_array_equal(decode(tmp_path / "x.tif", 3).samples, noise(5, 6))
