from __future__ import annotations

import io
import threading

import cv2
import numpy as np
import PIL.Image
import pytest

from lkcfuse.errors import InputError
from lkcfuse.images import ReadOptions, image_to_array, read_image
from lkcfuse.images.readers.kinds import describe_kind
from lkcfuse.images.readers.limits import pillow_may_read
from lkcfuse.images.readers.registry import READERS, find_reader
from lkcfuse.pairs.pairing import IMAGE_SUFFIXES


def save(array, path, **options):
    PIL.Image.fromarray(array).save(path, **options)
    return path


def smooth(height, width):
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 4 % 256, columns * 3 % 256, (rows + columns) * 2 % 256]).astype("u1")


@pytest.mark.parametrize("suffix", ["gif", "pgm", "pnm", "jp2", "j2k"])
def test_grey_of_further_formats_is_read_exactly(tmp_path, noise, suffix):
    array = noise(40, 50)
    image = read_image(save(array, tmp_path / f"x.{suffix}"))
    np.testing.assert_array_equal(image_to_array(image), array)
    assert image.notes == ()


@pytest.mark.parametrize("suffix", ["ppm", "jp2"])
def test_colour_of_further_formats_is_read_exactly(tmp_path, noise, suffix):
    array = noise(40, 50, 3)
    image = read_image(save(array, tmp_path / f"x.{suffix}"))
    np.testing.assert_array_equal(image_to_array(image), array)


@pytest.mark.parametrize("name", ["x.pgm", "x.ppm", "x.jp2"])
def test_16_bits_of_further_formats(tmp_path, noise, name):
    array = noise(40, 50, 3, dtype=np.uint16) if name != "x.pgm" else noise(4, 5, dtype=np.uint16)
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if name == "x.jp2" else []
    assert cv2.imwrite(
        str(tmp_path / name), array if array.ndim == 2 else array[..., ::-1].copy(), options
    )
    image = read_image(tmp_path / name)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image_to_array(image), array)


def test_the_highest_value_of_a_portable_map_is_white(tmp_path):
    levels = np.array([0, 500, 1000], ">u2")
    (tmp_path / "x.pgm").write_bytes(b"P5 3 1 # degrees\n1000\n" + levels.tobytes())
    np.testing.assert_allclose(read_image(tmp_path / "x.pgm").luma, [[0, 0.5, 1]], atol=1e-4)
    colours = np.array([[0, 0, 1000], [500, 1000, 0]], ">u2")
    (tmp_path / "x.ppm").write_bytes(b"P6\n# degrees\n2 1\n1000\n" + colours.tobytes())
    samples = image_to_array(read_image(tmp_path / "x.ppm"))
    np.testing.assert_allclose(samples / 65535, [[[0, 0, 1], [0.5, 1, 0]]], atol=1e-4)
    (tmp_path / "x.ppm").write_bytes(b"P6 2 1 1000\n" + colours.tobytes()[:-2])
    with pytest.raises(InputError, match="rows are missing"):
        read_image(tmp_path / "x.ppm")


def test_frames_of_a_gif(tmp_path, noise):
    frames = [PIL.Image.fromarray(noise(9, 9)), PIL.Image.fromarray(255 - noise(9, 9))]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    image = read_image(tmp_path / "x.gif")
    np.testing.assert_array_equal(image_to_array(image), frames[0])
    assert image.notes[0].code == "file"
    image = read_image(tmp_path / "x.gif", ReadOptions(page=2))
    np.testing.assert_array_equal(image_to_array(image), frames[1])
    assert image.notes == ()
    with pytest.raises(InputError, match=r"x\.gif has 2 pages: --page 3"):
        read_image(tmp_path / "x.gif", ReadOptions(page=3))


def test_an_avif_called_jpg_is_read(tmp_path):
    array = smooth(48, 64)
    path = save(array, tmp_path / "x.avif", quality=95)
    path = path.rename(tmp_path / "x.jpg")
    np.testing.assert_allclose(image_to_array(read_image(path)).astype(int), array, atol=24)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2"])
def test_npy(tmp_path, noise, shape, dtype):
    array = noise(*shape, dtype=np.dtype(dtype).newbyteorder("=")).astype(dtype)
    for name, kept in (("c.npy", array), ("f.npy", np.asfortranarray(array))):
        np.save(tmp_path / name, kept)
        expected = array[..., 0] if shape[-1] == 1 else array
        np.testing.assert_array_equal(image_to_array(read_image(tmp_path / name)), expected)


def test_a_page_of_npy_and_bools(tmp_path, noise):
    stack = noise(6, 5, 7) > 127
    np.save(tmp_path / "x.npy", stack)
    image = read_image(tmp_path / "x.npy", ReadOptions(page=4))
    np.testing.assert_array_equal(image_to_array(image), stack[3] * np.uint8(255))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones(5), "shape"),
        (np.ones((2, 3), complex), "complex"),
        (np.array([[{}]]), "object"),
        (np.ones((0, 5)), "no pixels"),
    ],
)
def test_npy_that_is_no_image(tmp_path, array, words):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=rf"x\.npy.*{words}"):
        read_image(tmp_path / "x.npy")


def test_npy_that_is_cut_off(tmp_path, noise):
    np.save(tmp_path / "x.npy", noise(30, 40))
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data[:-1])
    with pytest.raises(InputError, match="cut off"):
        read_image(tmp_path / "x.npy")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("shape", [(48, 64, 3), (37, 51)])
@pytest.mark.parametrize("marker", [b"", b"\xff"])
def test_jpeg_without_its_end_marker_is_read_with_a_warning(
    tmp_path, noise, options, shape, marker
):
    whole = save(noise(*shape), tmp_path / "whole.jpg", quality=90, **options)
    data = whole.read_bytes()
    assert data.endswith(b"\xff\xd9")
    (tmp_path / "x.jpg").write_bytes(data[:-2] + marker)
    image = read_image(tmp_path / "x.jpg")
    np.testing.assert_array_equal(image_to_array(image), image_to_array(read_image(whole)))
    assert image.notes[0].code == "file"
    assert "end marker" in image.notes[0]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_that_lacks_more_is_refused(tmp_path, noise, options):
    path = save(noise(64, 96, 3), tmp_path / "x.jpg", quality=90, **options)
    data = path.read_bytes()
    for missing in (500, len(data) // 4, len(data) // 2):
        path.write_bytes(data[:-missing])
        with pytest.raises(InputError, match="damaged or cut off"):
            read_image(path)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (bytes(128) + b"DICM", "DICOM"),
        (bytes(344) + b"n+1\0", "NIfTI"),
        (b"\0\0\0\x20ftypisom", "MP4"),
        (b"\0\0\0\x14ftypqt  ", "MOV"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"%PDF-1.7\n", "PDF"),
        (b"20.5,21,22\n23,24,25\n", "CSV"),
        (b"20.5 21 nan\n", "CSV"),
        ("Grüße\n".encode(), "text"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "LFS"),
    ],
)
def test_an_unsupported_file_is_named_with_a_cure(tmp_path, head, what):
    assert what in describe_kind(head)[0]
    path = tmp_path / "x.png"
    path.write_bytes(head)
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is ")
    assert "\n" not in message
    assert what in message
    assert "{name}" not in message


def test_what_nobody_knows_is_only_said_not_to_be_an_image():
    assert describe_kind(b"\x00\x07\xfe\x81" * 40) is None
    with pytest.raises(InputError, match=r"x is not an image .* AVIF or NPY"):
        read_image(io.BytesIO(b"\x00\x07\xfe\x81" * 40), name="x")


def test_suffixes_come_from_the_readers():
    assert {".jfif", ".jpe", ".tif", ".gif", ".pgm", ".ppm", ".jp2", ".avif", ".npy"} <= (
        IMAGE_SUFFIXES
    )
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in IMAGE_SUFFIXES)
    assert all(find_reader(bytes([value]) * 600) is None for value in range(256))
    assert set(READERS) >= {"PNG", "TIFF", "NPY"}


def test_pillows_limit_returns_when_the_last_large_image_is_read(monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 20)
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with pillow_may_read(21):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    with pillow_may_read(20):
        assert PIL.Image.MAX_IMAGE_PIXELS == 20
    with pillow_may_read(21):
        thread.start()
        assert inside.wait(60)
    assert PIL.Image.MAX_IMAGE_PIXELS is None
    leave.set()
    thread.join()
    assert PIL.Image.MAX_IMAGE_PIXELS == 20
