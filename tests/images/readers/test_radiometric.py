from __future__ import annotations

import io
import re
import sys

import cv2
import numpy as np
import pytest
from flir_files import (
    CAMERA,
    app_segment,
    camera_record,
    celsius_of,
    counts_of,
    fff,
    in_segments,
    make_dji,
    make_flir,
    make_registered,
    shown_picture,
    with_segments,
)

from lkcfuse.errors import InputError, ResourceError
from lkcfuse.images import ReadOptions, read_image
from lkcfuse.images.reading import probe_image, radiometric_kind
from lkcfuse.notes import CodedWarning

THERMAL = ReadOptions(value_range="20,40", radiometric="thermal")
VISIBLE_PART = ReadOptions(radiometric="visible")


def read(data, options, name="IR_1.jpg"):
    return read_image(io.BytesIO(data), options, name=name)


def in_visible_pixels(options):
    return ReadOptions(**{**options.__dict__, "radiometric_grid": "visible"})


@pytest.mark.parametrize("as_png", [False, True])
def test_counts_become_temperatures_by_plancks_law(as_png):
    celsius = np.linspace(-10, 90, 12 * 16).reshape(12, 16)
    image = read(make_flir(celsius, as_png=as_png), ReadOptions("-10,90", radiometric="thermal"))
    expected = (celsius_of(counts_of(celsius)) + 10) / 100
    np.testing.assert_allclose(image.luma, np.clip(expected, 0, 1), atol=2e-5)
    assert image.dtype.kind == "f"


def test_a_grey_bodys_temperature_is_corrected_for_what_it_reflects():
    celsius = np.full((12, 16), 60.0)
    black, grey = (
        read(
            make_flir(celsius, camera=camera_record(emissivity=e)),
            ReadOptions("0,200", radiometric="thermal"),
        )
        for e in (1.0, 0.8)
    )
    # It reflects surroundings of 20 degrees: to send out as much, it is hotter.
    reflected = counts_of(np.array(20.0)) - 4405.0
    sent = (counts_of(np.array(60.0)) - 4405.0 - 0.2 * reflected) / 0.8
    assert black.luma.mean() * 200 == pytest.approx(60, abs=0.05)
    assert grey.luma.mean() * 200 == pytest.approx(
        float(celsius_of(np.array(sent + 4405.0))), abs=0.05
    )


@pytest.mark.parametrize(
    ("ratio", "right", "down", "zoom"),
    [(1.0, 0, 0, 1.0), (1.6, -14, 9, 1.0), (2.4, 20, -11, 1.5), (1.3, 0, 0, 1.3)],
)
@pytest.mark.parametrize("grid", ["thermal", "visible"])
def test_the_visible_picture_lies_where_the_file_says(ratio, right, down, zoom, grid):
    data, _ = make_registered(ratio=ratio, right=right, down=down, zoom=zoom)
    heat, seen = (
        read(data, ReadOptions(o.value_range, radiometric=o.radiometric, radiometric_grid=grid))
        for o in (THERMAL, VISIBLE_PART)
    )
    scale = 200 * zoom / ratio / 80
    size = (60, 80) if grid == "thermal" else (round(60 * scale), round(80 * scale))
    assert heat.size == seen.size == size
    assert seen.coverage is None
    # Half a pixel beside its place is .04 off on average.
    assert np.abs(heat.luma - seen.luma).mean() < 0.006
    assert np.abs(heat.luma - np.roll(seen.luma, 1, axis=1))[:, 2:].mean() > 0.006


def test_what_the_visible_camera_does_not_see_has_no_data():
    data, _ = make_registered(ratio=1.0, right=50, down=0)
    seen = read(data, VISIBLE_PART)
    assert seen.coverage is not None
    # A quarter of the visible picture's width is missing at the right.
    assert (seen.coverage[:, :60] == 255).all()
    assert (seen.coverage[:, 60:] == 0).all()
    assert [note.code for note in seen.notes] == ["no-data"]


@pytest.mark.parametrize("as_png", [False, True])
def test_colours_of_the_visible_picture_are_right(as_png):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:] = (200, 40, 30), (20, 60, 220)
    seen = read(make_flir(np.full((12, 16), 20.0), pixels, as_png=as_png), VISIBLE_PART)
    colours = seen.chroma_samples
    assert np.abs(colours[3:-3, 2:6].astype(int) - (200, 40, 30)).max() <= 4
    assert np.abs(colours[3:-3, -6:-2].astype(int) - (20, 60, 220)).max() <= 4


def test_headers_tell_the_size_that_is_read(tmp_path):
    data, _ = make_registered(ratio=1.6, orientation=6)
    path = tmp_path / "IR_1.jpg"
    path.write_bytes(data)
    for options in (
        THERMAL,
        VISIBLE_PART,
        in_visible_pixels(THERMAL),
        in_visible_pixels(VISIBLE_PART),
    ):
        assert probe_image(path, options) == read_image(path, options).size
    assert probe_image(path, THERMAL) == (80, 60)
    assert probe_image(path) == read_image(path).size == (32, 24)


def test_both_pictures_are_turned_alike():
    data, celsius = make_registered(ratio=1.6, orientation=6)
    heat, seen = read(data, THERMAL), read(data, VISIBLE_PART)
    np.testing.assert_allclose(heat.luma, np.rot90((celsius - 20) / 20, -1), atol=1e-2)
    assert np.abs(heat.luma - seen.luma).mean() < 0.006


def test_the_picture_that_it_shows_is_read_unless_told_otherwise():
    data, _ = make_registered(ratio=1.6)
    shown = read(shown_picture(zoom=1.0), None)
    np.testing.assert_array_equal(read(data, None).luma_samples, shown.luma_samples)


@pytest.mark.parametrize("options", [THERMAL, VISIBLE_PART])
def test_other_jpegs_are_read_as_they_are(options):
    data = shown_picture()
    plain = ReadOptions(value_range=options.value_range)
    np.testing.assert_array_equal(read(data, options).luma, read(data, plain).luma)
    # What FLIR's cameras save of their visible picture alone has records, but no counts.
    alone = with_segments(data, in_segments(fff([(CAMERA, camera_record())])))
    np.testing.assert_array_equal(read(alone, options).luma, read(data, plain).luma)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (make_flir(np.full((6, 8), 20.0)), ("no visible picture", "name the visible image")),
        (
            make_flir(np.full((6, 8), 20.0), np.zeros((6, 8, 3), np.uint8), has_place=False),
            ("exiftool -b -EmbeddedImage", "--transform"),
        ),
        (
            make_flir(np.full((6, 8), 20.0), np.zeros((6, 8, 3), np.uint8), ratio=float("nan")),
            ("exiftool",),
        ),
        (
            make_flir(np.full((6, 8), 20.0), np.zeros((6, 8, 3), np.uint8), right=3000),
            ("beside its thermal one", "--transform"),
        ),
        (make_flir(np.full((6, 8), 20.0), b"DAT" * 20), ("neither JPEG nor PNG",)),
        (
            make_flir(
                np.full((6, 8), 20.0),
                cv2.imencode(".png", np.zeros((6, 8), np.uint16))[1].tobytes(),
            ),
            ("of 8 bits",),
        ),
    ],
)
def test_what_the_visible_picture_lacks_is_told_with_the_cure(data, words):
    with pytest.raises(InputError) as caught:
        read(data, VISIBLE_PART)
    message = str(caught.value)
    assert message.startswith("IR_1.jpg ")
    assert "\n" not in message
    assert all(word in message for word in words)


@pytest.mark.parametrize("r1", [0.0, float("nan"), 1e30])
def test_counts_without_a_calibration_are_no_temperatures(r1):
    data = make_flir(np.full((6, 8), 20.0), camera=camera_record(r1=r1))
    with pytest.raises(InputError, match=r"calibration.*--radiometric off"):
        read(data, THERMAL)


def test_a_file_that_is_cut_off_is_refused_in_one_line(tmp_path):
    data, _ = make_registered(ratio=1.6)
    end = data.rindex(b"\xff\xdb") - 1  # where the picture that it shows begins
    for length in range(600, end, 977):
        for options in (THERMAL, VISIBLE_PART):
            with pytest.raises(InputError) as caught:
                read(data[:length], options)
            assert "\n" not in str(caught.value)


def refusal(data, options):
    try:
        read(data, options)
    except InputError as error:
        return str(error)
    return ""


def test_a_file_that_is_damaged_is_read_or_refused_in_one_line():
    data, _ = make_registered(ratio=1.6, as_png=True)
    random = np.random.default_rng(0)
    refused = 0
    for number in range(150):
        broken = bytearray(data)
        # Half of them in the directory and the records' heads.
        at = random.integers(20, 4000 if number % 2 else len(broken), 12)
        for place in at:
            broken[place] = random.integers(256)
        for options in (THERMAL, VISIBLE_PART):
            message = refusal(bytes(broken), options)
            refused += bool(message)
            assert "\n" not in message
    assert refused > 20


def test_a_segment_that_is_missing_is_told():
    data, _ = make_registered(size=(200, 200), ratio=1.6)
    first = data.index(b"\xff\xe1", data.index(b"FLIR\0\x01\x00"))
    assert data[first + 4 : first + 12] == b"FLIR\0\x01\x01\x01"
    length = int.from_bytes(data[first + 2 : first + 4], "big")
    with pytest.raises(InputError, match=r"damaged or cut off.*1 of 2 segments"):
        read(data[:first] + data[first + 2 + length :], THERMAL)


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setenv("LKCFUSE_MAX_PIXELS", "100")
    with pytest.raises(InputError, match="16x12"):
        read(make_flir(np.full((12, 16), 20.0)), THERMAL)


def test_without_flyr_one_line_says_what_to_install(monkeypatch):
    data, _ = make_registered(ratio=1.6)
    monkeypatch.setitem(sys.modules, "flyr", None)
    with pytest.raises(ResourceError, match=r"pip install 'lkcfuse\[thermal\]'"):
        read(data, THERMAL)
    assert read(data, None).size == (24, 32)
    assert read(shown_picture(), THERMAL).size == (24, 32)


def test_djis_files_are_read_as_shown_with_the_commands_to_run(tmp_path, monkeypatch):
    plain = read(make_dji(counts=0), None)
    image = read(make_dji(), ReadOptions(radiometric="thermal"), name="DJI_0001_T.JPG")
    np.testing.assert_array_equal(image.luma_samples, plain.luma_samples)
    (warning,) = image.notes
    assert isinstance(warning, CodedWarning)
    assert warning.code == "radiometric"
    assert "dji_irp -a measure --measurefmt float32 -s DJI_0001_T.JPG -o DJI_0001_T.raw" in warning
    # What is to be typed works.
    celsius = np.linspace(10, 40, 24 * 32, dtype="<f4").reshape(24, 32)
    monkeypatch.chdir(tmp_path)
    celsius.tofile("DJI_0001_T.raw")
    exec(re.search(r'python -c "(.*?)"`', warning)[1])
    made = read_image("DJI_0001_T.npy", ReadOptions("10,40"))
    np.testing.assert_allclose(made.luma, (celsius - 10) / 30, atol=1e-6)
    assert not read(make_dji(), ReadOptions(radiometric="visible")).notes


def test_kinds_are_told_apart(tmp_path):
    files = {
        "FLIR": make_registered(ratio=1.6)[0],
        "DJI": make_dji(),
        None: shown_picture(),
    }
    for kind, data in files.items():
        path = tmp_path / f"{kind}.jpg"
        path.write_bytes(data)
        assert radiometric_kind(path) == kind
    path.write_bytes(b"not a JPEG")
    assert radiometric_kind(path) is None
    with pytest.raises(InputError, match="does not exist"):
        radiometric_kind(tmp_path / "missing.jpg")


def test_other_segments_do_not_confuse():
    odd = [app_segment(1, b"FLIR\0"), app_segment(1, b"FLIR\0\x01\0\0rest"), app_segment(15, b"")]
    data = with_segments(shown_picture(), [*odd, b"\xff" + app_segment(14, b"x")])
    assert read(data, ReadOptions(radiometric="thermal")).size == (24, 32)
