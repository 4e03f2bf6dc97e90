"""What a file says about its picture comes through reading and writing, in every format."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import tifffile
from PIL import ExifTags, TiffImagePlugin

from lkcfuse.images import image_from_array, read_image, write_image
from lkcfuse.images.metadata import Metadata, from_pillow

EXIF, GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
FORMATS = ["png", "jpg", "tif", "webp"]


def rational(numerator, denominator=1):
    return TiffImagePlugin.IFDRational(numerator, denominator)


PICTURE = {
    271: "Maker",
    272: "Model 3",
    306: "2024:05:06 07:08:09",
    40092: "café".encode("utf-16-le"),
}
EXPOSURE = {
    36864: b"0232",
    36867: "2024:05:06 07:08:09",
    33434: rational(1, 125),
    37386: rational(24),
    37510: b"ASCII\0\0\0a street",
    41989: 24,
}
PLACE = {
    0: b"\2\3\0\0",
    1: "N",
    2: (rational(52), rational(31), rational(1234, 100)),
    3: "E",
    4: (rational(13), rational(24), rational(5)),
    5: b"\0",
    6: rational(341, 10),
}


def camera_exif(**base):
    exif = PIL.Image.Exif()
    for tag, value in PICTURE.items():
        exif[tag] = value
    for tag, value in base.items():
        exif[int(tag[1:])] = value
    exif.get_ifd(EXIF).update(EXPOSURE | {40962: 7, 40963: 5, 37500: b"note" * 20})
    exif.get_ifd(GPS).update(PLACE)
    return exif


@pytest.fixture
def photo(tmp_path, noise):
    """A JPEG as a camera writes it, on its side."""
    path = tmp_path / "photo.jpg"
    picture = PIL.Image.fromarray(noise(5, 7, 3))
    picture.save(path, exif=camera_exif(_274=6, _305="camera 1.0"), dpi=(72, 96))
    return path


def written(image, tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    write_image(image, path, overwrite=True)
    return path


def tags_of(path):
    with PIL.Image.open(path) as opened:
        exif = opened.getexif()
        return dict(exif), dict(exif.get_ifd(EXIF)), dict(exif.get_ifd(GPS))


@pytest.mark.parametrize("suffix", FORMATS)
def test_exif_and_gps_come_through(photo, tmp_path, suffix):
    main, exposure, place = tags_of(written(read_image(photo), tmp_path, suffix))
    assert {tag: main.get(tag) for tag in PICTURE} == PICTURE
    assert exposure == EXPOSURE | {40962: 5, 40963: 7}, "its size is that of the upright picture"
    assert place == PLACE
    assert ExifTags.Base.Orientation not in main, "the pixels are upright, and nothing turns them"
    assert ExifTags.Base.Software not in main


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_the_resolution_comes_through(photo, tmp_path, suffix):
    with PIL.Image.open(written(read_image(photo), tmp_path, suffix)) as opened:
        assert opened.info["dpi"] == pytest.approx((72, 96), abs=0.02)


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_was_written_is_read_as_it_was(photo, tmp_path, suffix):
    first = read_image(photo)
    again = read_image(written(first, tmp_path, suffix))
    assert (again.metadata.picture, again.metadata.place) == (
        first.metadata.picture,
        first.metadata.place,
    )
    size = (7, 5)
    assert again.metadata.to_exif(size) == first.metadata.to_exif(size)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("gap", [False, True])
def test_every_depth_keeps_pixels_profile_and_tags(
    tmp_path, noise, photo, rgb_profile, suffix, dtype, channels, gap
):
    array = noise(7, 5, channels).squeeze()
    array = array.astype(dtype) * {"uint8": 1, "uint16": 257, "float32": 1 / 255}[dtype]
    array = array.astype(dtype)
    image = replace(
        image_from_array(array),
        metadata=read_image(photo).metadata.made_by("a program"),
        icc_profile=rgb_profile if channels == 3 else None,
    )
    if gap:
        coverage = np.full((7, 5), 255, np.uint8)
        coverage[2:4] = 0
        image = replace(image, coverage=coverage)
    path = written(image, tmp_path, suffix)
    bare = written(replace(image, metadata=None, icc_profile=None), tmp_path / "..", suffix)
    try:
        there, without = read_image(path), read_image(bare)
    finally:
        bare.unlink()
    np.testing.assert_array_equal(there.luma, without.luma)
    if suffix != "jpg":
        data = slice(None) if not gap else coverage > 0
        step = 0.51 / 255 if there.dtype == np.uint8 else 0.51 / 65535
        np.testing.assert_allclose(there.luma[data], image.luma[data], atol=step)
    assert there.icc_profile == (rgb_profile if channels == 3 else None)
    assert there.metadata.place == image.metadata.place
    if suffix == "tif":  # Pillow does not open all of these
        with tifffile.TiffFile(path) as file:
            assert file.pages[0].tags[305].value == "a program"
            assert file.pages[0].tags[34853].value["GPSLatitudeRef"] == "N"
        return
    with PIL.Image.open(path) as opened:
        opened.verify()
    main, _, place = tags_of(path)
    assert main[305] == "a program"
    assert place == PLACE


def test_a_tiff_stays_one_page_of_ordered_tags(photo, tmp_path):
    path = written(read_image(photo), tmp_path, "tif")
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
        codes = [tag.code for tag in file.pages[0].tags]
    assert codes == sorted(codes)


def test_png_names_its_program_where_viewers_look(tmp_path, noise):
    image = replace(image_from_array(noise(5, 7)), metadata=Metadata().made_by("lkcfuse é"))
    with PIL.Image.open(written(image, tmp_path, "png")) as opened:
        assert opened.text["Software"] == "lkcfuse \\xe9"


@pytest.mark.parametrize("suffix", [*FORMATS, "bmp"])
def test_arrays_have_nothing_to_say(tmp_path, noise, suffix):
    path = written(image_from_array(noise(5, 7, 3)), tmp_path, suffix)
    main, exposure, place = tags_of(path)
    assert not exposure
    assert not place
    assert not {271, 272, 305, 306} & main.keys()


def test_two_writings_are_the_same_bytes(photo, tmp_path):
    image = read_image(photo)
    for suffix in FORMATS:
        first = written(image, tmp_path, suffix).read_bytes()
        assert written(image, tmp_path, suffix).read_bytes() == first


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_not_ascii_stays_what_it_was(tmp_path, noise, suffix):
    # UTF-8 stands in many cameras' ASCII fields; Pillow would write question marks.
    artist = "Jörg".encode().decode("latin-1")
    image = replace(image_from_array(noise(5, 7)), metadata=Metadata({315: artist}))
    assert "Jörg".encode() in written(image, tmp_path, suffix).read_bytes()


@pytest.mark.parametrize(
    "description", ["ImageJ=1.53\nimages=3", '{"shape": [3, 5, 7]}', "<?xml version='1.0'?><OME/>"]
)
def test_the_layout_of_the_old_file_is_left_behind(tmp_path, noise, description):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, noise(5, 7), description=description, metadata=None)
    assert read_image(path).metadata.picture == {}


def test_a_description_in_words_stays(tmp_path, noise):
    path = tmp_path / "x.tif"
    tifffile.imwrite(
        path, noise(5, 7), description="a street", metadata=None, resolution=(40, 40),
        resolutionunit="centimeter",
    )  # fmt: skip
    metadata = read_image(path).metadata
    assert metadata.picture == {270: "a street"}
    assert metadata.resolution == pytest.approx((101.6, 101.6))


@pytest.mark.parametrize(
    "dpi", [(0, 0), (1, 1), (float("nan"), 72), (1e9, 1e9), (-72, 72), "none", (72,)]
)
def test_a_resolution_that_cannot_be_is_not_kept(noise, dpi):
    picture = PIL.Image.fromarray(noise(5, 7))
    picture.info["dpi"] = dpi
    assert from_pillow(picture).resolution is None


def test_broken_exif_says_nothing_and_the_picture_is_read(photo):
    data = bytearray(photo.read_bytes())
    start = data.index(b"Exif\0\0") + 6
    for cut in range(8, 400, 7):
        broken = bytearray(data)
        broken[start + cut : start + cut + 4] = b"\xff\xff\xff\xff"
        image = read_image(io.BytesIO(bytes(broken)))
        out = io.BytesIO()
        write_image(image, out, format="jpeg")
        assert read_image(io.BytesIO(out.getvalue())).size == image.size


def test_a_value_as_large_as_a_picture_is_left_out(tmp_path, noise):
    exif = camera_exif()
    exif.get_ifd(EXIF)[37510] = b"ASCII\0\0\0" + b"x" * 20_000
    path = tmp_path / "x.jpg"
    PIL.Image.fromarray(noise(5, 7, 3)).save(path, exif=exif)
    metadata = read_image(path).metadata
    assert 37510 not in metadata.exposure
    assert metadata.place == PLACE


def test_what_would_burst_a_jpeg_is_left_out_as_a_whole(tmp_path, noise):
    exif = camera_exif()
    exif.get_ifd(EXIF).update({60000 + tag: b"x" * 4000 for tag in range(16)})
    path = tmp_path / "x.png"
    PIL.Image.fromarray(noise(5, 7, 3)).save(path, exif=exif, dpi=(72, 72))
    metadata = read_image(path).metadata
    assert (metadata.exposure, metadata.place) == ({}, {})
    assert metadata.resolution == pytest.approx((72, 72), abs=0.02)
    write_image(read_image(path), tmp_path / "x.jpg")


GEOTIFF = [
    (33550, 12, 3, (0.5, 0.5, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 389000.0, 5820000.25, 0.0), True),
    (34735, 3, 8, (1, 1, 1, 1, 3072, 0, 1, 25833), True),
    (34737, 2, 6, b"ETRS|\0", True),
]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_map_stays_where_it_lies(tmp_path, noise, dtype):
    path = tmp_path / "map.tif"
    array = noise(5, 7, 3).astype(dtype)
    tifffile.imwrite(path, array, photometric="rgb", metadata=None, extratags=GEOTIFF)
    there = written(read_image(path), tmp_path, "tif")
    with tifffile.TiffFile(path) as before, tifffile.TiffFile(there) as after:
        for code, *_ in GEOTIFF:
            old, new = before.pages[0].tags[code], after.pages[0].tags[code]
            assert (new.value, new.dtype, new.count) == (old.value, old.dtype, old.count)


def test_a_map_that_is_turned_or_scaled_says_no_wrong_place(tmp_path, noise):
    path = tmp_path / "map.tif"
    turned = [*GEOTIFF, (274, 3, 1, 6, True)]
    tifffile.imwrite(path, noise(5, 7), metadata=None, extratags=turned)
    assert read_image(path).metadata.map_grid == {}
    tifffile.imwrite(path, noise(5, 7), metadata=None, extratags=GEOTIFF)
    metadata = read_image(path).metadata
    assert metadata.map_grid.keys() == {33550, 33922, 34735, 34737}
    assert metadata.scaled(2, 2).map_grid == {}
    assert metadata.warped().map_grid == {}


def test_another_byte_order_is_read(tmp_path, noise):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(5, 7), byteorder=">", description="a street", metadata=None)
    assert struct.unpack(">H", path.read_bytes()[2:4]) == (42,)
    assert read_image(path).metadata.picture == {270: "a street"}


def test_scaling_scales_the_resolution():
    assert Metadata(resolution=(72, 96)).scaled(2, 0.5).resolution == (36, 192)
    assert Metadata().scaled(2, 2) == Metadata()
