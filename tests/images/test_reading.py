from __future__ import annotations

import io
import os
import struct
import threading
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from lkcfuse.errors import InputError
from lkcfuse.images import image_to_array, read_image


def save(array_or_image, path, **options):
    image = array_or_image
    if isinstance(image, np.ndarray):
        image = PIL.Image.fromarray(image)
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "tif", "webp"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1), (1, 1, 3)])
def test_lossless_formats_are_read_exactly(tmp_path, noise, suffix, shape):
    array = noise(*shape)
    array.flat[0] = 200  # a lone pixel with equal channels would be grey
    path = save(array, tmp_path / f"x.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    image = read_image(path)
    np.testing.assert_array_equal(image_to_array(image), array)
    assert image.dtype == np.uint8
    assert image.name == str(path)
    assert image.notes == ()


def test_jpeg_is_read_as_pillow_decodes_it(tmp_path, noise):
    path = save(noise(16, 24, 3), tmp_path / "x.jpg", quality=90)
    np.testing.assert_array_equal(
        image_to_array(read_image(path)), np.asarray(PIL.Image.open(path))
    )


def test_equal_channels_are_grey(tmp_path, noise):
    grey = noise(6, 4)
    image = read_image(save(np.dstack([grey] * 3), tmp_path / "x.png"))
    assert image.chroma is None
    np.testing.assert_array_equal(image_to_array(image), grey)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 3)])
def test_16_bits_are_kept(tmp_path, noise, suffix, shape):
    array = noise(*shape, dtype=np.uint16)
    path = tmp_path / f"x.{suffix}"
    assert cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)
    image = read_image(path)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image_to_array(image), array)


def plain_tiff(array, order, photometric):
    """A 16-bit grey TIFF by the letter of its standard; `order` is < or >."""
    rows = array.astype(f"{order}u2").tobytes()
    height, width = array.shape
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: photometric, 273: 8, 277: 1}
    tags |= {278: height, 279: len(rows)}
    mark = b"II*\0" if order == "<" else b"MM\0*"
    data = mark + struct.pack(f"{order}I", 8 + len(rows)) + rows
    data += struct.pack(f"{order}H", len(tags))
    for tag, value in tags.items():
        data += struct.pack(f"{order}HHII", tag, 4, 1, value)
    return data + bytes(4)


@pytest.mark.parametrize(("order", "photometric"), [("<", 1), (">", 1), ("<", 0)])
def test_16_bit_tiff_of_either_order_and_polarity(noise, order, photometric):
    array = noise(6, 9, dtype=np.uint16)
    image = read_image(io.BytesIO(plain_tiff(array, order, photometric)))
    expected = array if photometric else 65535 - array
    np.testing.assert_array_equal(image_to_array(image), expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_deep_colour_tiff_is_read_exactly(
    tmp_path, noise, order, compression, channels, dtype, planes
):
    array = noise(6, 9, channels, dtype=np.uint16)
    array[..., 3:] = 65535
    if dtype == np.float32:
        array = (array / 65535).astype(np.float32)
    path = tmp_path / "x.tif"
    tifffile.imwrite(
        path,
        array.transpose(2, 0, 1) if planes == "separate" else array,
        photometric="rgb",
        planarconfig=planes,
        compression=compression,
        byteorder=order,
        extrasamples=["unassalpha"] if channels == 4 else None,
    )
    image = read_image(path)
    assert image.dtype == dtype
    np.testing.assert_allclose(image_to_array(image), array[..., :3], rtol=0, atol=1e-6)


def four_bands(path, dtype, extra):
    """Save the colour (.6, .5, .4) with a fourth band of .25, and what tag 338 says of that."""
    values = np.array([0.6, 0.5, 0.4, 0.25])
    if extra == 1:
        values[:3] *= 0.25  # as the standard asks of premultiplied alpha
    if np.dtype(dtype).kind == "u":
        values = np.rint(values * np.iinfo(dtype).max)
    array = np.broadcast_to(values.astype(dtype), (6, 9, 4))
    tifffile.imwrite(path, array, photometric="rgb", extrasamples=[extra or 0])
    if extra is None:
        data = path.read_bytes()
        entry = struct.pack("<HHI", 338, 3, 1)
        assert data.count(entry) == 1
        path.write_bytes(data.replace(entry, struct.pack("<HHI", 337, 3, 1)))
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_a_fourth_band_of_a_tiff_is_what_its_tag_says(tmp_path, dtype, extra):
    image = read_image(four_bands(tmp_path / "x.tif", dtype, extra))
    assert image.dtype == dtype
    # Premultiplied 8-bit colour has lost digits.
    np.testing.assert_allclose(image.luma, 0.5185, atol=0.004)
    assert (image.coverage is None) == (extra == 0)
    assert image.coverage is None or (image.coverage == 64).all()
    assert any("transparent" in note for note in image.notes) == (extra != 0)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_fourth_band_that_is_not_explained_is_left_out(tmp_path, dtype):
    image = read_image(four_bands(tmp_path / "x.tif", dtype, None))
    np.testing.assert_allclose(image.luma, 0.5185, atol=0.002)
    assert not any("transparent" in note for note in image.notes)


def test_float_colour_is_checked_like_the_rest(tmp_path, monkeypatch):
    colour = np.random.default_rng(0).random((6, 9, 3), np.float32)
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.stack([colour, colour]), photometric="rgb")
    assert "only the first is read" in read_image(path).notes[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(InputError, match="damaged"):
        read_image(path)
    colour[2, 3, 1] = np.nan
    tifffile.imwrite(path, colour, photometric="rgb")
    assert np.argwhere(read_image(path).coverage == 0).tolist() == [[2, 3]]
    monkeypatch.setenv("LKCFUSE_MAX_PIXELS", "50")
    with pytest.raises(InputError, match="LKCFUSE_MAX_PIXELS=54"):
        read_image(path)


def test_deep_cmyk_is_read_with_a_note(tmp_path, noise):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(6, 9, 4, dtype=np.uint16), photometric="separated")
    image = read_image(path)
    assert image.dtype == np.uint8
    assert "8 of them" in image.notes[0]


@pytest.mark.parametrize("shape", [(4, 5, 2), (4, 5, 3), (4, 5, 4)])
def test_every_16_bit_png_keeps_its_depth(make_png, noise, shape):
    array = noise(*shape, dtype=np.uint16)
    if shape[2] in (2, 4):
        array[..., -1] = 65535
    expected = array[..., :3] if shape[2] > 2 else array[..., 0]
    image = read_image(io.BytesIO(make_png(array)))
    np.testing.assert_array_equal(image_to_array(image), expected)


def test_1_bit_and_palette(tmp_path, noise):
    bits = noise(5, 9) > 127
    path = save(PIL.Image.fromarray(bits), tmp_path / "bits.png")
    np.testing.assert_array_equal(image_to_array(read_image(path)), bits * np.uint8(255))
    palette = PIL.Image.fromarray(noise(5, 9, 3)).quantize(16)
    path = save(palette, tmp_path / "palette.png")
    np.testing.assert_array_equal(
        image_to_array(read_image(path)), np.asarray(palette.convert("RGB"))
    )


def test_cmyk_becomes_rgb(tmp_path, noise):
    cmyk = PIL.Image.fromarray(noise(8, 8, 3)).convert("CMYK")
    path = save(cmyk, tmp_path / "x.tif")
    np.testing.assert_array_equal(image_to_array(read_image(path)), np.asarray(cmyk.convert("RGB")))


@pytest.mark.parametrize("channels", [2, 4])
def test_what_is_transparent_has_no_data_and_that_is_said(tmp_path, noise, channels):
    array = noise(4, 6, channels)
    array[..., -1] = 255
    opaque = array[..., : channels - 1].squeeze()
    image = read_image(save(array, tmp_path / "opaque.png"))
    np.testing.assert_array_equal(image_to_array(image), opaque)
    assert image.notes == ()
    array[:2, :, -1] = 0
    array[2, :, -1] = 128
    image = read_image(save(array, tmp_path / "x.png"))
    pixels = image_to_array(image)
    assert not pixels[:2].any()
    np.testing.assert_array_equal(pixels[2:], opaque[2:])
    assert image.coverage.tolist() == [[0] * 6] * 2 + [[128] * 6] + [[255] * 6]
    assert image.notes[0].code == "no-data"
    assert "x.png is transparent in 75.0% of its pixels" in image.notes[0]


def test_transparency_by_key_colour(tmp_path):
    grey = np.array([[10, 20], [30, 40]], np.uint8)
    path = save(PIL.Image.fromarray(grey), tmp_path / "x.png", transparency=40)
    assert image_to_array(read_image(path)).tolist() == [[10, 20], [30, 0]]


@pytest.mark.parametrize(
    ("bits", "levels"),
    [(1, [0, 1]), (2, [0, 2, 1]), (4, [0, 9, 15]), (8, [0, 99, 255]), (16, [0, 40_000, 65_535])],
)
def test_every_depth_of_grey_has_its_key_level(tmp_path, make_grey_png, bits, levels):
    path = tmp_path / "x.png"
    path.write_bytes(make_grey_png(levels, bits, levels[1]))
    image = read_image(path)
    wanted = [level / (2**bits - 1) for level in levels]
    wanted[1] = 0
    np.testing.assert_allclose(image.luma, [wanted], atol=1e-6)
    assert image.coverage.tolist() == [[255, 0, 255][: len(levels)]]
    assert image.dtype == (np.uint16 if bits == 16 else np.uint8)
    assert "transparent" in image.notes[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    array = np.zeros((16, 32), np.uint8)
    array[:8, :8] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(array, tmp_path / f"x.{suffix}", exif=exif, **options)
    # The bright corner, turned as the tag's definition says: (row, column) of the top left.
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1)}
    bottom, right = corner.get(orientation, (1, 0))
    luma = read_image(path).luma
    assert luma.shape == ((32, 16) if orientation > 4 else (16, 32))
    rows = slice(-8, None) if bottom else slice(8)
    columns = slice(-8, None) if right else slice(8)
    assert luma[rows, columns].min() > 0.9
    assert luma.sum() == pytest.approx(64, abs=2)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_exif_orientation_of_16_bit_colour(make_png, noise, orientation):
    array = noise(4, 6, 3, dtype=np.uint16)
    exif = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x112, 3, 1, orientation, 0) + bytes(4)
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    turned = {
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        6: np.rot90(array, -1),
        8: np.rot90(array),
    }[orientation]
    image = read_image(io.BytesIO(make_png(array, chunk)))
    np.testing.assert_array_equal(image_to_array(image), turned)


def test_float_tiff(tmp_path):
    array = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    image = read_image(save(array, tmp_path / "x.tif"))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image.luma, array)
    save(array * 300, tmp_path / "x.tif")
    with pytest.raises(InputError, match=r"x\.tif.*300.*scale"):
        read_image(tmp_path / "x.tif")


def test_float_tiff_whose_white_is_zero(tmp_path):
    array = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    tifffile.imwrite(tmp_path / "x.tif", array, photometric="miniswhite")
    np.testing.assert_allclose(read_image(tmp_path / "x.tif").luma, 1 - array)
    tifffile.imwrite(tmp_path / "x.tif", array * 300, photometric="miniswhite")
    with pytest.raises(InputError, match=r"x\.tif has float values from 0 to 300: scale"):
        read_image(tmp_path / "x.tif")


def test_integers_of_other_types_are_16_bit_where_they_fit(tmp_path):
    array = np.arange(12, dtype=np.int32).reshape(3, 4) * 5000
    image = read_image(save(array, tmp_path / "x.tif"))
    np.testing.assert_array_equal(image_to_array(image), array.astype(np.uint16))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32])
def test_other_integers_fill_their_type(tmp_path, dtype):
    limits = np.iinfo(dtype)
    middle = (int(limits.min) + int(limits.max)) // 2
    tifffile.imwrite(tmp_path / "x.tif", np.array([[limits.min, middle, limits.max]], dtype))
    image = read_image(tmp_path / "x.tif")
    np.testing.assert_allclose(image.luma, [[0, 0.5, 1]], atol=0.003)
    assert image.dtype == (np.uint8 if dtype == np.int8 else np.uint16)


def test_of_several_pages_the_first_is_read_and_said(tmp_path, noise):
    first = PIL.Image.fromarray(noise(5, 5))
    first.save(tmp_path / "x.tif", save_all=True, append_images=[PIL.Image.fromarray(noise(6, 6))])
    image = read_image(tmp_path / "x.tif")
    assert image.size == (5, 5)
    assert "first" in image.notes[0]


def test_streams_that_cannot_seek(make_png, noise):
    array = noise(30, 40, 3)
    reader, writer = os.pipe()

    def feed():
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(make_png(array))

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(reader, "rb") as pipe:
        image = read_image(pipe, name="standard input")
    thread.join()
    np.testing.assert_array_equal(image_to_array(image), array)
    assert image.name == "standard input"


def test_colour_profile_comes_along_with_colour(tmp_path, noise, rgb_profile):
    path = save(noise(4, 4, 3), tmp_path / "x.png", icc_profile=rgb_profile)
    assert read_image(path).icc_profile == rgb_profile
    path = save(noise(4, 4), tmp_path / "x.png", icc_profile=rgb_profile)
    assert read_image(path).icc_profile is None


@pytest.mark.parametrize(
    ("mode", "space", "name"),
    [("CMYK", b"CMYK", "x.jpg"), ("CMYK", b"CMYK", "x.tif"), ("LAB", b"Lab ", "x.tif")],
)
def test_a_profile_of_other_colours_than_rgb_stays_behind(
    tmp_path, noise, rgb_profile, mode, space, name
):
    picture = PIL.Image.frombytes(mode, (8, 8), noise(8, 8, len(mode)).tobytes())
    profile = rgb_profile[:16] + space + rgb_profile[20:]
    image = read_image(save(picture, tmp_path / name, icc_profile=profile))
    assert image.chroma is not None
    assert image.icc_profile is None


def assert_unfit(path, *words):
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message


def test_missing(tmp_path):
    assert_unfit(tmp_path / "nope.png", "does not exist")
    assert_unfit(tmp_path / "no" / "such" / "folder.png", "does not exist")


def test_folder(tmp_path):
    assert_unfit(tmp_path, "folder")


def test_empty(tmp_path):
    (tmp_path / "x.png").touch()
    assert_unfit(tmp_path / "x.png", "empty")


def test_text_named_png(tmp_path):
    (tmp_path / "x.png").write_text("these are no pixels")
    assert_unfit(tmp_path / "x.png", "not an image", "PNG, JPEG")


def test_unreadable(tmp_path):
    (tmp_path / "x.png").symlink_to("x.png")
    assert_unfit(tmp_path / "x.png", "cannot be read", "symbolic links")


def test_a_path_no_system_has():
    assert_unfit("x\0.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_cut_off(tmp_path, noise, suffix, part):
    path = save(noise(40, 50, 3), tmp_path / f"x.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert_unfit(path, "damaged or cut off")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_cut_off_16_bit_colour(tmp_path, make_png, noise, part):
    data = make_png(noise(40, 50, 3, dtype=np.uint16))
    (tmp_path / "x.png").write_bytes(data[: int(len(data) * part)])
    assert_unfit(tmp_path / "x.png", "damaged or cut off")


def test_decompression_bomb(tmp_path):
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 1, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    (tmp_path / "x.png").write_bytes(data)
    assert_unfit(tmp_path / "x.png", "40000x40000", "LKCFUSE_MAX_PIXELS=1600000000")


def test_the_limit_on_pixels_can_be_moved(tmp_path, noise, monkeypatch):
    path = save(noise(10, 10), tmp_path / "x.png")
    monkeypatch.setenv("LKCFUSE_MAX_PIXELS", "99")
    assert_unfit(path, "10x10")
    monkeypatch.setenv("LKCFUSE_MAX_PIXELS", "100")
    assert read_image(path).size == (10, 10)


def test_more_pixels_than_pillow_warns_of(monkeypatch, tmp_path, noise):
    path = save(noise(10, 10), tmp_path / "x.png")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 20)
    assert read_image(path).size == (10, 10)
    assert PIL.Image.MAX_IMAGE_PIXELS == 20


@pytest.fixture(scope="module")
def samples():
    """One small file of each kind, to be damaged."""
    rng = np.random.default_rng(4)
    colour = PIL.Image.fromarray(rng.integers(0, 256, (9, 11, 3)).astype(np.uint8))
    grey16 = PIL.Image.fromarray(rng.integers(0, 65536, (9, 11)).astype(np.uint16))
    files = []
    for image, kind, options in (
        (colour, "PNG", {}),
        (colour.quantize(8), "PNG", {}),
        (colour, "JPEG", {}),
        (colour, "BMP", {}),
        (colour, "WEBP", {}),
        (colour, "TIFF", {}),
        (grey16, "PNG", {}),
        (grey16, "TIFF", {}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        files.append(buffer.getvalue())
    return files


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None)
@given(which=st.integers(0, 7), flips=st.lists(st.tuples(st.integers(0), st.integers(1, 255))))
def test_a_damaged_file_is_an_image_or_an_input_error(samples, which, flips):
    data = bytearray(samples[which])
    for place, bits in flips:
        data[place % len(data)] ^= bits
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LKCFUSE_MAX_PIXELS", "1000000")
            image = read_image(io.BytesIO(bytes(data)), name="x")
    except InputError:
        pass  # as it should be; any other error fails the test
    else:
        assert image.luma.dtype == np.float32
        assert 0 <= image.luma.min() <= image.luma.max() <= 1
