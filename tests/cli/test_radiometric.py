from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
from flir_files import make_dji, make_flir, make_registered, shown_picture
from pairs import write_noise

from lkcfuse.images import ReadOptions, read_image

RATIO = {"ratio": 1.6, "right": -14, "down": 9}


@pytest.fixture
def flir(tmp_path, monkeypatch):
    """A radiometric file in the working folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "IR_1.jpg"
    path.write_bytes(make_registered(**RATIO)[0])
    return path


def maximum(path, low=20, high=40):
    """Return the larger luma of what both cameras saw, as levels of 8 bits."""
    heat, seen = (
        read_image(path, ReadOptions(text, radiometric=part)).luma
        for text, part in ((f"{low},{high}", "thermal"), ("full", "visible"))
    )
    return np.maximum(heat, seen) * 255


def levels(path):
    return read_image(path).luma * 255


def test_one_file_gives_both_pictures(lkcfuse, settings, flir):
    done = lkcfuse("fuse", flir, "-o", "out.png", "--range-first", "20,40", "--json", *settings)
    assert done.code == 0, done.err
    assert np.abs(levels("out.png") - maximum(flir)).max() < 1
    record = json.loads(done.text)
    assert (record["width"], record["height"]) == (80, 60)
    assert record["first"] == record["second"] == str(flir)
    assert record["warnings"] == []


def test_the_range_is_in_degrees(lkcfuse, settings, flir):
    lkcfuse("fuse", flir, "-o", "hot.png", "--range-first", "30,60", *settings)
    assert np.abs(levels("hot.png") - maximum(flir, 30, 60)).max() < 1


def test_the_result_may_have_the_visible_pictures_pixels(lkcfuse, settings, flir):
    done = lkcfuse("fuse", flir, "-o", "out.png", "--grid", "second", *settings)
    assert done.code == 0, done.err
    assert read_image("out.png").size == (94, 125)


def test_the_same_file_twice_is_one_file(lkcfuse, settings, flir):
    for number, words in enumerate(([flir], [flir, flir])):
        assert lkcfuse("fuse", *words, "-o", f"{number}.png", *settings).code == 0
    np.testing.assert_array_equal(levels("0.png"), levels("1.png"))


def test_beside_another_picture_its_temperatures_are_taken_with_a_note(lkcfuse, settings, flir):
    write_noise(flir.parent / "vis.png", 60, 80, 3)
    done = lkcfuse("fuse", flir, "vis.png", "-o", "o.png", "--range-first", "20,40", *settings)
    assert done.code == 0, done.err
    assert f"{flir} is a radiometric FLIR file: its temperatures are taken" in done.err
    assert "--radiometric off" in done.err
    heat = read_image(flir, ReadOptions("20,40", radiometric="thermal")).luma
    expected = np.maximum(heat, read_image("vis.png").luma) * 255
    # The colour leaves no room for some of the luma.
    assert np.abs(levels("o.png") - expected).max() < 1.5


def test_as_the_second_its_visible_picture_is_taken_with_a_note(lkcfuse, settings, flir):
    write_noise(flir.parent / "ir.png", 60, 80)
    done = lkcfuse("fuse", "ir.png", flir, "-o", "out.png", *settings)
    assert done.code == 0, done.err
    assert "its visible picture is taken" in done.err
    seen = read_image(flir, ReadOptions(radiometric="visible")).luma
    expected = np.maximum(read_image("ir.png").luma, seen) * 255
    assert np.abs(levels("out.png") - expected).max() < 1


def test_off_takes_the_picture_that_it_shows(lkcfuse, settings, flir):
    write_noise(flir.parent / "vis.png", 24, 32, 3)
    off = ["--radiometric", "off", "--palette", "off"]
    done = lkcfuse("fuse", flir, "vis.png", "-o", "out.png", *off, *settings)
    assert done.code == 0, done.err
    assert "radiometric" not in done.err
    expected = np.maximum(read_image(flir).luma, read_image("vis.png").luma) * 255
    assert np.abs(levels("out.png") - expected).max() < 1.5
    done = lkcfuse("fuse", flir, "-o", "no.png", *off, *settings)
    done.assert_fails(2, "fuse takes two images and got one")
    wrong = ["--radiometric", "on", *settings]
    lkcfuse("fuse", flir, "vis.png", "-o", "no.png", *wrong).assert_fails(2, "give auto or off")


def test_a_forgotten_output_gets_the_line_to_type(lkcfuse, flir):
    lkcfuse("fuse", "IR_1.jpg").assert_fails(2, "lkcfuse fuse IR_1.jpg -o fused.png")
    lkcfuse("fuse", "IR_1.jpg", "out.png").assert_fails(2, "lkcfuse fuse IR_1.jpg -o out.png")


def test_what_a_file_lacks_is_one_line(lkcfuse, settings, flir):
    flir.write_bytes(make_flir(np.full((12, 16), 20.0)))
    lkcfuse("fuse", flir, "-o", "o.png", *settings).assert_fails(
        3, "no visible picture", "IR_1.jpg"
    )
    whole = make_registered(**RATIO)[0]
    for length in (400, 4000, len(whole) // 2):
        flir.write_bytes(whole[:length])
        done = lkcfuse("fuse", flir, "-o", "o.png", *settings)
        assert done.code in (2, 3)
        done.assert_fails(done.code, "IR_1.jpg")
    done.assert_fails(3, "damaged or cut off")


def test_djis_file_needs_the_visible_one(lkcfuse, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DJI_1_T.JPG").write_bytes(make_dji())
    done = lkcfuse("fuse", "DJI_1_T.JPG", "-o", "out.png", *settings)
    done.assert_fails(2, "got one", "DJI saves as a file of its own")
    write_noise(tmp_path / "vis.png", 24, 32, 3)
    done = lkcfuse("fuse", "DJI_1_T.JPG", "vis.png", "-o", "out.png", "--json", *settings)
    assert done.code == 0, done.err
    assert "dji_irp" in done.err
    assert "radiometric" in [warning["code"] for warning in json.loads(done.text)["warnings"]]


def test_without_flyr_one_line_says_what_to_install(lkcfuse, settings, flir, monkeypatch):
    monkeypatch.setitem(sys.modules, "flyr", None)
    done = lkcfuse("fuse", flir, "-o", "out.png", *settings)
    done.assert_fails(5, "pip install 'lkcfuse[thermal]'", "IR_1.jpg")


def test_medical_images_are_no_radiometric_files(lkcfuse, machine, flir):
    done = lkcfuse("fuse", flir, "-o", "out.png", "-t", "mri-ct", *machine)
    done.assert_fails(2, "fuse takes two images and got one")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A camera's folder: two radiometric files, a visible picture alone, and a note."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shots" / "day").mkdir(parents=True)
    for name in ("IR_2.jpg", "day/IR_10.JPG"):
        (tmp_path / "shots" / name).write_bytes(make_registered(**RATIO)[0])
    (tmp_path / "shots" / "DC_3.jpg").write_bytes(shown_picture())
    (tmp_path / "shots" / "notes.txt").write_text("sunny")
    return tmp_path / "shots"


def test_a_batch_of_one_folder(lkcfuse, settings, folder):
    words = ["batch", "shots", "-o", "fused", "--range-first", "20,40", *settings]
    done = lkcfuse(*words)
    assert done.code == 0, done.err
    assert "2 pairs" in done.err
    assert "1 image that is not a radiometric FLIR file" in done.err
    assert "(.txt)" in done.err
    for name, source in (("IR_2", "IR_2.jpg"), ("day/IR_10", "day/IR_10.JPG")):
        assert np.abs(levels(f"fused/{name}.png") - maximum(folder / source)).max() < 1
    lines = (folder.parent / "fused/.lkcfuse/run.jsonl").read_text().splitlines()
    record = json.loads(lines[1])
    assert record["first"] == record["second"]
    again = lkcfuse(*words)
    assert "2 verified" in again.err
    assert lkcfuse(*words, "--dry-run").code == 0


def test_one_range_is_scanned_in_degrees(lkcfuse, settings, folder):
    done = lkcfuse("batch", "shots", "-o", "fused", "--range-first", "scan", *settings)
    assert done.code == 0, done.err
    low, high = done.err.split("--range-first ")[1].split()[0].split(",")
    assert 20 < float(low) < 22
    assert 38 < float(high) < 40


@pytest.mark.parametrize("grid", ["first", "second"])
def test_scores_and_report_are_of_what_was_fused(lkcfuse, settings, folder, grid):
    words = ["--metrics", "scores.json", "--report", "report.html", "--grid", grid]
    done = lkcfuse("batch", "shots", "-o", "fused", "--range-first", "20,40", *words, *settings)
    assert done.code == 0, done.err
    rows = json.loads((folder.parent / "scores.json").read_text())["rows"]
    scores = {row["name"]: row["CC"] for row in rows if row["name"] in ("IR_2", "day/IR_10")}
    # The fusion is the larger of the two, which nearly agree.
    assert len(scores) == 2
    assert min(scores.values()) > 0.98
    assert (folder.parent / "report.html").stat().st_size > 10_000
    done = lkcfuse("eval", "--metrics", "CC", "--json")
    assert done.code == 0, done.err
    again = {row["name"]: row["CC"] for row in json.loads(done.text)["rows"]}
    assert {name: again[name] for name in scores} == pytest.approx(scores, abs=1e-6)


def test_a_folder_without_such_files_is_one_line(lkcfuse, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "DC_3.jpg").write_bytes(shown_picture())
    done = lkcfuse("batch", "shots", "-o", "fused", *settings)
    done.assert_fails(3, "shots is one folder", "none of its images holds a pair")
    (tmp_path / "shots" / "DJI_1_T.JPG").write_bytes(make_dji())
    lkcfuse("batch", "shots", *settings).assert_fails(3, "DJI saves the visible pictures")
    off = ["--radiometric", "off", *settings]
    lkcfuse("batch", "shots", *off).assert_fails(2, "batch needs two folders")
    lkcfuse("batch", "shots", "-o", "shots/fused", *settings).assert_fails(2, "is inside")


def test_a_batch_of_four_channels_in_one_folder(lkcfuse, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("1", "2"):
        write_noise_of_four_channels(tmp_path / "rgbt" / f"{name}.png", int(name))
    done = lkcfuse("batch", "rgbt", "--split", "-o", "fused", *settings)
    assert done.code == 0, done.err
    for name in ("1", "2"):
        path = tmp_path / "rgbt" / f"{name}.png"
        heat = read_image(path, ReadOptions(fourth_channel="only")).luma
        seen = read_image(path, ReadOptions(fourth_channel="drop")).luma
        expected = np.maximum(heat, seen) * 255
        assert np.abs(levels(f"fused/{name}.png") - expected).max() < 1.5


def write_noise_of_four_channels(path, seed):
    import PIL.Image

    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(1, 255, (20, 24, 4)).astype(np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    path.write_bytes(file.getvalue())
