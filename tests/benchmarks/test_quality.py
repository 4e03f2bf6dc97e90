"""benchmarks/quality.py from files to exit code, with small networks whose answers are known."""

import json

import cv2
import numpy as np
import pytest
import quality
from PIL import Image
from quality_picture import Chosen, luma_levels, measure
from quality_sheet import contact_sheet, row_of

from lkcfuse import Fuser
from lkcfuse.images import image_from_array, read_image, write_image


def write_pair(folder, name, *, task=("ir", "vis"), colour=True, seed=0, size=(40, 45)):
    """Write smooth noise, the second source in colour."""
    generator = np.random.default_rng(seed)
    paths = []
    for index, source in enumerate(task):
        channels = 3 if colour and index else 1
        pixels = generator.uniform(0, 255, (*size, channels))
        pixels = cv2.normalize(cv2.GaussianBlur(pixels, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)
        paths.append(folder / source / f"{name}.png")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        pixels = pixels.reshape(*size, channels).astype(np.uint8)
        image = image_from_array(pixels if channels == 3 else pixels[..., 0])
        write_image(image, paths[-1])
    return Chosen(name, *paths)


def test_pairs_belong_to_the_first_folder_of_their_name(tmp_path):
    for name in ("day/1", "day/2", "night/late/1", "alone"):
        write_pair(tmp_path, name)
    sets = quality.find_sets(tmp_path, "ir-vis")
    names = {name: [chosen.name for chosen in pairs] for name, pairs in sets.items()}
    assert names == {"": ["alone"], "day": ["1", "2"], "night": ["late/1"]}


def test_spread_takes_items_evenly():
    assert quality.spread(range(10), 3) == [0, 3, 6]
    assert quality.spread(range(3), 10) == quality.spread(range(3), None) == [0, 1, 2]


@pytest.mark.parametrize("colour", [True, False])
def test_what_is_scored_is_what_fuse_writes(tmp_path, make_weights, colour):
    chosen = write_pair(tmp_path, "1", colour=colour)
    fuser = Fuser("ir-vis", weights=make_weights("none"), threads=1)
    target = tmp_path / "fused.png"
    fuser.fuse_files(chosen.first, chosen.second, target)
    picture, views = measure(fuser, chosen, turn=False, keep=tmp_path / "kept")
    written = luma_levels(read_image(target))
    assert np.array_equal(luma_levels(views.ours), written)
    assert (tmp_path / "kept" / "1.png").read_bytes() == target.read_bytes()
    assert picture.scores["ours"]["SD"] == pytest.approx(written.std())


def test_a_network_that_gives_the_maximum_gains_and_differs_by_nothing(
    tmp_path, maximum_weights, capsys
):
    for index, name in enumerate(("day/1", "day/2", "day/3", "night/1")):
        write_pair(tmp_path, name, seed=index)
    outputs = ["--sheet", str(tmp_path / "sheets"), "--keep", str(tmp_path / "kept")]
    counts = ["--equivariance", "1", "--limit", "2", "--threads", "1"]
    code = quality.main(
        [str(tmp_path), "--weights", str(maximum_weights), "--json", *outputs, *counts]
    )
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert code == 1
    assert "missed: VIF less the maximum's: more than 0 is wanted; day +0, night +0" in captured.err
    assert {name: table["pairs"] for name, table in report["sets"].items()} == {
        "day": 2,
        "night": 1,
    }
    assert [row["name"] for row in report["sets"]["day"]["pictures"]] == ["1", "2"]
    for table in (*report["sets"].values(), report["mean"]):
        figures = table["figures"]
        # In colour rounding may move the written luma by a level.
        assert figures["gain.VIF"] == pytest.approx(0, abs=1e-3)
        assert figures["turns.largest"] == pytest.approx(0, abs=1e-3)
        assert figures["quarter.worst"] == pytest.approx(0, abs=0.1)
        assert figures["darkening.mean"] == pytest.approx(0, abs=0.1)
    assert sorted(
        p.relative_to(tmp_path / "kept").as_posix() for p in tmp_path.glob("kept/*/*")
    ) == [
        "day/1.png",
        "day/2.png",
        "night/1.png",
    ]
    with Image.open(tmp_path / "sheets" / "day.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert sheet.width > 4 * 45


def test_a_network_that_darkens_is_told_from_one_that_does_not(tmp_path, make_weights, capsys):
    def darken(network):
        network.head.conv.bias.fill_(-1 / 8)  # of the range from black to white: 32 levels

    write_pair(tmp_path, "1")
    weights = make_weights("max", change=darken)
    quality.main([str(tmp_path), "--weights", str(weights), "--json", "--threads", "1"])
    (table,) = json.loads(capsys.readouterr().out)["sets"].values()
    assert table["figures"]["tone"] == pytest.approx(-32, abs=1)
    assert table["figures"]["darkening.far_below"] == 1


def test_medical_pairs_have_their_sizes_and_hottest_pixels(tmp_path, make_weights, capsys):
    write_pair(tmp_path, "1", task=("mri", "pet"))
    weights = str(make_weights("max"))
    quality.main([str(tmp_path), "--task", "mri-pet", "--weights", weights, "--threads", "1"])
    text = capsys.readouterr().out
    assert "hottest pixels: " in text
    assert "size: fused at 512 pixels it differs by " in text
    assert "detail of the MRI under a brighter PET: " in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 3, "nowhere/ir does not exist"),
        (["data", "--weights", "nothing.safetensors"], 4, "nothing.safetensors"),
        (["data", "--sheet", "data/ir/1.png"], 2, "data/ir/1.png: the folder cannot be made"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    write_pair(tmp_path / "data", "1")
    assert quality.main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("quality: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_limit_below_one_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        quality.main(["data", "--limit", "0"])
    assert caught.value.code == 2
    assert "0 is too few: give 1 or more" in capsys.readouterr().err


def test_a_sheet_has_a_row_per_pair_and_no_picture_wider_than_640(tmp_path, maximum_weights):
    fuser = Fuser("ir-vis", weights=maximum_weights, threads=1)
    small = write_pair(tmp_path, "small", seed=1)
    _, views = measure(fuser, small, turn=False)
    wide = image_from_array(np.full((100, 1280, 3), (255, 0, 0), np.uint8))
    rows = [row_of("small", views), row_of("wide", type(views)(wide, wide, wide, wide))]
    assert [picture.size for picture in rows[0].pictures] == [(45, 40)] * 4
    assert [picture.size for picture in rows[1].pictures] == [(640, 50)] * 4
    sheet = contact_sheet(rows, ("infrared", "visible", "maximum", "ours"))
    assert sheet.width == 4 * 640 + 5 * 8
    # The second row stands below the first, and its four pictures beside each other.
    red = (np.asarray(sheet) == (255, 0, 0)).all(axis=2)
    assert red.sum() == 4 * 640 * 50
    assert red.any(axis=1).nonzero()[0][0] > 40
