from __future__ import annotations

import io
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.images import (
    Image,
    check_output,
    choose_format,
    image_from_array,
    image_to_array,
    read_image,
    write_image,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "bmp", "webp"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1)])
def test_lossless_formats_come_back_exactly(tmp_path, noise, suffix, shape):
    array = noise(*shape)
    path = tmp_path / f"x.{suffix}"
    write_image(image_from_array(array), path)
    np.testing.assert_array_equal(image_to_array(read_image(path)), array)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_16_bits_are_written_where_they_fit(tmp_path, noise, suffix, shape):
    array = noise(*shape, dtype=np.uint16)
    path = tmp_path / f"x.{suffix}"
    write_image(image_from_array(array), path)
    image = read_image(path)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image_to_array(image), array)


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "webp"])
def test_16_bits_become_8_where_they_do_not_fit(tmp_path, noise, suffix):
    array = noise(8, 8, dtype=np.uint16)
    write_image(image_from_array(array), tmp_path / f"x.{suffix}")
    image = read_image(tmp_path / f"x.{suffix}")
    assert image.dtype == np.uint8
    if suffix != "jpg":
        np.testing.assert_array_equal(image_to_array(image), np.rint(array / 257).astype(np.uint8))


def test_floats_keep_what_the_format_holds(tmp_path):
    array = np.random.default_rng(0).random((6, 5))
    write_image(image_from_array(array), tmp_path / "x.tif")
    np.testing.assert_allclose(image_to_array(read_image(tmp_path / "x.tif")), array, atol=1e-6)
    write_image(image_from_array(array), tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").dtype == np.uint16


def test_float_colour_tiff_is_whole(tmp_path):
    array = np.random.default_rng(0).random((6, 5, 3), dtype=np.float32)
    write_image(image_from_array(array), tmp_path / "x.tif")
    import cv2

    back = cv2.imread(str(tmp_path / "x.tif"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_allclose(back, array, atol=2e-6)
    ours = read_image(tmp_path / "x.tif")
    assert ours.dtype == np.float32
    np.testing.assert_allclose(image_to_array(ours), array, atol=4e-6)


def test_jpeg_is_full_chroma_and_close(tmp_path):
    rows = np.linspace(0, 255, 64)
    array = np.stack(
        [
            np.tile(rows, (64, 1)),
            np.tile(rows[:, None], (1, 64)),
            np.full((64, 64), 90),
        ],
        axis=-1,
    ).astype(np.uint8)
    write_image(image_from_array(array), tmp_path / "x.jpg")
    with PIL.Image.open(tmp_path / "x.jpg") as written:
        assert [component[1:3] for component in written.layer] == [(1, 1)] * 3
        difference = np.abs(np.asarray(written, np.int16) - array)
    assert difference.mean() < 1


@settings(max_examples=30, deadline=None)
@given(
    suffix=st.sampled_from(["png", "tif", "bmp", "webp"]),
    luma=hnp.arrays(np.float32, (6, 5), elements=st.floats(0, 1, width=32)),
    rgb=hnp.arrays(np.float32, (6, 5, 3), elements=st.floats(0, 1, width=32)),
)
def test_the_file_has_the_fused_luma_within_a_level(tmp_path_factory, suffix, luma, rgb):
    path = tmp_path_factory.mktemp("luma") / f"x.{suffix}"
    write_image(Image(luma, rgb, np.dtype(np.uint8)), path)
    written = read_image(path).luma * 255
    assert np.abs(written - luma * 255).max() <= 0.52
    assert np.abs(np.rint(written) - np.rint(luma * 255)).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colour_profile_goes_along(tmp_path, noise, rgb_profile, suffix, dtype):
    array = noise(4, 5, 3, dtype=np.uint16)
    array = (array / 65535).astype(dtype) if dtype == np.float32 else array.astype(dtype)
    image = replace(image_from_array(array), icc_profile=rgb_profile)
    path = tmp_path / f"x.{suffix}"
    write_image(image, path)
    written = read_image(path)
    assert written.icc_profile == rgb_profile
    if suffix == "tif" and dtype == np.float32:
        with tifffile.TiffFile(path) as file:  # Pillow reads no such file
            assert file.pages[0].tags[34675].value == rgb_profile
    else:
        with PIL.Image.open(path) as opened:
            opened.load()
            assert opened.info["icc_profile"] == rgb_profile
    write_image(image_from_array(array), tmp_path / f"plain.{suffix}")
    plain = read_image(tmp_path / f"plain.{suffix}")
    assert written.dtype == plain.dtype
    np.testing.assert_array_equal(image_to_array(written), image_to_array(plain))


def test_to_a_stream_it_is_png_unless_told(noise):
    image = image_from_array(noise(4, 4))
    for name, magic in ((None, b"\x89PNG"), ("jpg", b"\xff\xd8"), ("tiff", b"II*\0")):
        buffer = io.BytesIO()
        write_image(image, buffer, format=name)
        assert buffer.getvalue().startswith(magic)


def test_the_format_asked_for_wins_over_the_suffix():
    assert choose_format(Path("x.png"), "JPEG").name == "jpeg"
    assert choose_format(Path("x"), "tif").name == "tiff"
    assert choose_format(Path("X.TIFF")).name == "tiff"


@pytest.mark.parametrize(
    ("path", "name", "words"),
    [
        ("x.gif", None, ".gif"),
        ("x", None, "no suffix"),
        (".png", None, "no suffix"),
        ("x.png", "heic", "heic"),
    ],
)
def test_unknown_formats_list_the_known(path, name, words):
    with pytest.raises(UsageError, match=rf"{words}.*png, jpeg, tiff, webp, bmp"):
        choose_format(Path(path), name)


def test_a_side_too_long_for_the_format(tmp_path):
    with pytest.raises(UsageError, match="webp holds at most 16383"):
        check_output(tmp_path / "x.webp", size=(10, 20_000))
    check_output(tmp_path / "x.png", size=(10, 20_000))
    with pytest.raises(UsageError, match="jpeg holds at most 65500"):
        check_output(None, format="jpeg", size=(70_000, 10))
    assert check_output(None, size=(70_000, 10)).name == "png"


def test_what_exists_stays_unless_forced(tmp_path, noise):
    path = tmp_path / "x.png"
    path.write_bytes(b"precious")
    image = image_from_array(noise(4, 4))
    with pytest.raises(UsageError, match=r"x\.png exists.*--force"):
        write_image(image, path)
    assert path.read_bytes() == b"precious"
    write_image(image, path, overwrite=True)
    np.testing.assert_array_equal(image_to_array(read_image(path)), image_to_array(image))


def test_what_no_encoder_takes_leaves_nothing(tmp_path, noise, monkeypatch):
    path = tmp_path / "x.webp"
    path.write_bytes(b"precious")
    monkeypatch.setattr("lkcfuse.images.writing._check_size", lambda *_: None)
    with pytest.raises(ResourceError, match="cannot be encoded as webp"):
        write_image(image_from_array(noise(2, 17_000)), path, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert names(tmp_path) == ["x.webp"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("name", ["png", "tiff", "jpeg", "bmp", "webp"])
def test_full_device(noise, name):
    with pytest.raises(ResourceError, match="/dev/full cannot be written"):
        write_image(image_from_array(noise(64, 64)), "/dev/full", format=name)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_has_no_data_is_transparent(tmp_path, suffix, dtype, channels):
    values = np.random.default_rng(0).random((9, 7, channels)).squeeze()
    scale = 1 if dtype == np.float32 else np.iinfo(dtype).max
    array = (values * scale).astype(dtype)
    array[:3] = 0
    coverage = np.full((9, 7), 255, np.uint8)
    coverage[:3] = 0
    image = replace(image_from_array(array), coverage=coverage)
    path = tmp_path / f"x.{suffix}"
    write_image(image, path)
    back = read_image(path)
    np.testing.assert_array_equal(back.coverage, coverage)
    np.testing.assert_allclose(back.luma, image.luma, atol=0.003)
    write_image(image, tmp_path / "x.jpg")
    assert read_image(tmp_path / "x.jpg").coverage is None
