from __future__ import annotations

import json

import numpy as np
import pytest
from scenes import about_middle, make_scene, warp

from lkcfuse.images import image_from_array, read_image, write_image
from lkcfuse.pairs import read_transform
from lkcfuse.pairs.alignment import corner_errors

SIZE = (180, 240)
TRUE = about_middle(SIZE, scale=0.95, degrees=2, shift=(6, -5))


def write(path, array):
    path.parent.mkdir(exist_ok=True)
    write_image(image_from_array(array), path)
    return path


@pytest.fixture
def rig(tmp_path):
    """Folders of four pairs of one rig, and of one whose visible picture is of another scene."""
    for seed in range(5):
        infrared, visible = make_scene(SIZE, seed=seed)
        if seed == 4:
            visible = make_scene(SIZE, seed=40)[1]
        write(tmp_path / "ir" / f"{seed}.png", infrared)
        write(tmp_path / "vis" / f"{seed}.png", warp(visible, TRUE))
    return tmp_path


@pytest.fixture
def settings(maximum_weights):
    return ["--weights", maximum_weights, "--device", "cpu", "--threads", "1"]


def test_fuse_registers_and_reports_the_transform(lkcfuse, settings, rig):
    out = rig / "out.png"
    pair = [rig / "ir" / "0.png", rig / "vis" / "0.png"]
    words = ["fuse", *pair, "-o", out, *settings]
    done = lkcfuse(*words, "--align", "affine", "--json")
    assert done.code == 0, done.err
    alignment = json.loads(done.text)["alignment"]
    assert corner_errors(np.array(alignment["transform"]), TRUE, SIZE).max() < 1.5
    assert alignment["confidence"] >= 0.92
    assert alignment["gain"] > 0
    assert read_image(out).size == SIZE
    other = ["fuse", pair[0], rig / "vis" / "4.png", "-o", rig / "none.png", *settings]
    lkcfuse(*other, "--align", "affine").assert_fails(3, "vis/4.png", "ir/0.png", "--transform")
    assert not (rig / "none.png").exists()
    lkcfuse(*other, "--align", "rigid").assert_fails(2, "--align rigid", "for scans")
    lkcfuse(*other, "--align", "affine", "--resize", "first").assert_fails(2, "exclude each other")


def test_batch_refuses_by_name_what_cannot_be_registered_and_records_the_rest(
    lkcfuse, settings, rig
):
    words = ["batch", rig / "ir", rig / "vis", "-o", rig / "fused", *settings, "--align", "affine"]
    done = lkcfuse(*words, "--json")
    assert done.code == 1
    records = {record["name"]: record for record in map(json.loads, done.text.splitlines())}
    assert sorted(name for name in records if records[name]["status"] == "failed") == ["4"]
    assert "could not be registered" in records["4"]["error"]
    for name in "0123":
        found = np.array(records[name]["alignment"]["transform"])
        assert corner_errors(found, TRUE, SIZE).max() < 2.5
    again = lkcfuse(*words, "--json")
    verified = {record["name"]: record for record in map(json.loads, again.text.splitlines())}
    assert verified["0"]["status"] == "verified"
    assert verified["0"]["alignment"] == records["0"]["alignment"]


def test_one_transform_is_found_for_a_rig_and_used(lkcfuse, settings, rig):
    file = rig / "rig.json"
    done = lkcfuse("align", rig / "ir", rig / "vis", "-o", file, "--json")
    assert done.code == 0, done.err
    record = json.loads(file.read_text())
    assert (record["pairs"], record["agreeing"]) == (5, 4)
    found = np.array(read_transform(file)).reshape(3, 3)
    assert corner_errors(found, TRUE, SIZE).max() < 1.5
    lkcfuse("align", rig / "ir", rig / "vis", "-o", file).assert_fails(2, "rig.json", "--force")
    used = lkcfuse(
        "batch", rig / "ir", rig / "vis", "-o", rig / "all", *settings, "--transform", file
    )
    assert used.code == 0, used.err
    assert len(used.text.splitlines()) == 5


def test_a_rig_that_tells_nothing_is_refused(lkcfuse, tmp_path):
    for seed in range(3):
        write(tmp_path / "ir" / f"{seed}.png", make_scene(SIZE, seed=seed)[0])
        write(tmp_path / "vis" / f"{seed}.png", make_scene(SIZE, seed=seed + 50)[1])
    words = ["align", tmp_path / "ir", tmp_path / "vis", "-o", tmp_path / "rig.json"]
    failed = lkcfuse(*words, "--quiet")
    failed.assert_fails(3, "of 3 pairs could be registered", "--transform")
    assert not (tmp_path / "rig.json").exists()
