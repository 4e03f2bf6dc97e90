from __future__ import annotations

import io

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile

from lkcfuse.errors import InputError
from lkcfuse.images import ReadOptions, read_image
from lkcfuse.images.readers.registry import READERS
from lkcfuse.images.reading import probe_image

HEIGHT, WIDTH = 21, 34


def write_one(path, noise):
    """Write an image of the format that a suffix stands for."""
    array = noise(HEIGHT, WIDTH, 3)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        PIL.Image.fromarray(array).save(path)
    return path


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "tif", "webp", "bmp", "gif", "ppm", "jp2", "avif", "npy"]
)
def test_every_format_tells_the_size_that_is_read(tmp_path, noise, suffix):
    path = write_one(tmp_path / f"x.{suffix}", noise)
    assert probe_image(path) == read_image(path).size == (HEIGHT, WIDTH)


def test_the_formats_above_are_all_there_are():
    suffixes = {".png", ".jpg", ".tif", ".webp", ".bmp", ".gif", ".ppm", ".jp2", ".avif", ".npy"}
    assert all(len(suffixes & set(reader.suffixes)) == 1 for reader in READERS.values())
    assert len(READERS) == len(suffixes)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.tif"])
def test_a_turned_picture_has_its_upright_size(tmp_path, noise, name, orientation):
    path = tmp_path / name
    if name == "x.tif":
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(path, noise(HEIGHT, WIDTH, dtype=np.uint16), extratags=[tag])
    else:
        exif = PIL.Image.Exif()
        exif[274] = orientation
        PIL.Image.fromarray(noise(HEIGHT, WIDTH)).save(path, exif=exif)
    size = (WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH)
    assert probe_image(path) == read_image(path).size == size


def test_pages_have_sizes_of_their_own(tmp_path, noise):
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for height in (4, 6):
            file.write(noise(height, 9), photometric="minisblack")
    np.save(tmp_path / "x.npy", noise(5, 7, 8))
    assert probe_image(tmp_path / "x.tif") == (4, 9)
    assert probe_image(tmp_path / "x.tif", ReadOptions(page=2)) == (6, 9)
    assert probe_image(tmp_path / "x.npy", ReadOptions(page=5)) == (7, 8)
    for name in ("x.tif", "x.npy"):
        with pytest.raises(InputError, match="--page 9 is not among them"):
            probe_image(tmp_path / name, ReadOptions(page=9))


@pytest.mark.parametrize("kind", ["palette", "cmyk", "1-bit", "16-bit colour", "float"])
def test_kinds_of_tiff(tmp_path, noise, kind):
    path = tmp_path / "x.tif"
    picture = PIL.Image.fromarray(noise(HEIGHT, WIDTH, 3))
    if kind == "palette":
        picture.quantize(16).save(path)
    elif kind == "cmyk":
        picture.convert("CMYK").save(path)
    elif kind == "1-bit":
        picture.convert("1").save(path, compression="group4")
    elif kind == "float":
        tifffile.imwrite(path, noise(HEIGHT, WIDTH) / np.float32(255), compression="zlib")
    else:
        tifffile.imwrite(path, noise(HEIGHT, WIDTH, 3, dtype=np.uint16), photometric="rgb")
    assert probe_image(path) == read_image(path).size == (HEIGHT, WIDTH)


def test_deep_colour_of_a_portable_map(tmp_path, noise):
    path = tmp_path / "x.ppm"
    assert cv2.imwrite(str(path), noise(HEIGHT, WIDTH, 3, dtype=np.uint16))
    assert probe_image(path) == read_image(path).size == (HEIGHT, WIDTH)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="rows are missing"):
        probe_image(path)


def npy_of(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def tiff_of(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        npy_of(np.zeros((3, 4), np.complex64)),
        npy_of(np.zeros(12)),
        npy_of(np.zeros((30, 40)))[:-8],
        tiff_of(np.zeros((30, 40), np.complex64)),
        tiff_of(np.zeros((30, 40, 5), np.uint8), photometric="minisblack", planarconfig="contig"),
        tiff_of(np.zeros((30, 40), np.uint16))[:-8],
        b"II*\0\xff\xff\xff\x7f",
    ],
)
def test_what_reading_refuses_is_refused_in_the_same_words(tmp_path, data):
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(InputError) as refused:
        read_image(path)
    with pytest.raises(InputError) as probed:
        probe_image(path)
    assert str(probed.value) == str(refused.value)


def test_paths_that_lead_nowhere_and_sizes_beyond_the_limit(tmp_path, noise, monkeypatch):
    with pytest.raises(InputError, match=r"none\.png does not exist"):
        probe_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="is a folder"):
        probe_image(tmp_path)
    monkeypatch.setenv("LKCFUSE_MAX_PIXELS", str(HEIGHT * WIDTH - 1))
    for suffix in ("png", "tif", "npy", "ppm"):
        with pytest.raises(InputError, match="LKCFUSE_MAX_PIXELS"):
            probe_image(write_one(tmp_path / f"x.{suffix}", noise))


def test_damage_behind_the_header_is_not_looked_for(tmp_path, noise):
    path = write_one(tmp_path / "x.png", noise)
    path.write_bytes(path.read_bytes()[:-200])
    assert probe_image(path) == (HEIGHT, WIDTH)
    with pytest.raises(InputError, match="damaged"):
        read_image(path)
