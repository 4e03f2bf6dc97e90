from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from lkcfuse.batch.journal import read_state
from lkcfuse.images import read_image


def test_batch_gives_all_frames_one_tone(lkcfuse, tmp_path, maximum_weights):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        for name, low, high in (("0", 20, 25), ("1", 30, 40)):
            array = np.linspace(low, high, 600, dtype=np.float32).reshape(20, 30)
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", array)
    words = ("batch", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "fused", "--format", "tiff")
    ranges = ("--range-first", "scan", "--range-second", "0,1000", "--weights", maximum_weights)
    done = lkcfuse(*words, *ranges)
    assert done.code == 0, done.err
    assert "one range for all: --range-first 20" in done.err
    means = [read_image(tmp_path / "fused" / f"{name}.tif").luma.mean() for name in "01"]
    assert means[0] == pytest.approx((22.5 - 20) / 20, abs=0.01)
    assert means[1] == pytest.approx((35 - 20) / 20, abs=0.01)
    assert "--range-first" in lkcfuse("fuse", "a", "b", "-o", "c.png", *ranges[:2]).err


@pytest.fixture
def raw_pair(tmp_path):
    """A raw first picture, and a second one of 8 bits."""
    array = 51_000 + np.arange(600, dtype=np.uint16).reshape(20, 30)
    tifffile.imwrite(tmp_path / "ir.tif", array)
    tifffile.imwrite(tmp_path / "vis.tif", (array % 250).astype(np.uint8))
    return tmp_path / "ir.tif", tmp_path / "vis.tif"


def test_warnings_are_in_the_record(lkcfuse, raw_pair, tmp_path, maximum_weights):
    settings = ("-o", tmp_path / "out.png", "--weights", maximum_weights, "--json")
    record = json.loads(lkcfuse("fuse", *raw_pair, *settings).out)
    assert [warning["code"] for warning in record["warnings"]] == ["flat-range"]
    assert "ir.tif" in record["warnings"][0]["message"]


def test_a_warning_can_be_a_failure(lkcfuse, raw_pair, tmp_path, maximum_weights):
    settings = ("--weights", maximum_weights, "--fail-on-warning")
    output = tmp_path / "out.png"
    done = lkcfuse("fuse", *raw_pair, "-o", output, *settings, "--task", "ir-vis", "-q")
    done.assert_fails(1, "ir.tif", "not fused")
    assert not output.exists()
    asked = ("--range-first", "51000,51600")
    assert lkcfuse("fuse", *raw_pair, "-o", output, *settings, *asked).code == 0


def test_a_batch_keeps_its_warnings(lkcfuse, raw_pair, tmp_path, maximum_weights):
    for folder, path in zip("ab", raw_pair, strict=True):
        (tmp_path / folder).mkdir()
        path.rename(tmp_path / folder / "1.tif")
    words = ("batch", tmp_path / "a", tmp_path / "b", "--weights", maximum_weights, "--json")
    done = lkcfuse(*words, "-o", tmp_path / "fused", "--report", tmp_path / "report.html")
    assert [w["code"] for w in json.loads(done.out)["warnings"]] == ["flat-range"]
    kept = read_state(tmp_path / "fused").pairs["1"].warnings
    assert [warning["code"] for warning in kept] == ["flat-range"]
    assert "flat-range: " in (tmp_path / "report.html").read_text()
    refused = lkcfuse(*words, "-o", tmp_path / "other", "--fail-on-warning")
    assert refused.code == 1
    assert json.loads(refused.out)["status"] == "failed"
    assert not (tmp_path / "other" / "1.png").exists()


@pytest.mark.parametrize("option", ["--range-first", "--range-second"])
@pytest.mark.parametrize("value", ["hot", "5,3", "p1,p101", "scan"])
def test_a_range_that_makes_no_sense_is_named(lkcfuse, raw_pair, tmp_path, option, value):
    done = lkcfuse("fuse", *raw_pair, "-o", tmp_path / "out.png", option, value)
    done.assert_fails(2, option)
