"""One batch with several weights: a folder for each, and one table and report of all."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage


@pytest.fixture
def scene(tmp_path, monkeypatch, maximum_weights):
    """Two pairs in `ir/` and `vis/`, weights `a` and `b`; work from above them."""
    monkeypatch.chdir(tmp_path)
    numbers = np.random.default_rng(0)
    for folder in ("ir", "vis"):
        (tmp_path / folder).mkdir()
        for name in ("1", "2"):
            pixels = numbers.integers(0, 256, (40, 48)).astype(np.uint8)
            PillowImage.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    for name in ("a", "b"):
        shutil.copy(maximum_weights, tmp_path / f"{name}.safetensors")
    return tmp_path


BOTH = ("batch", "ir", "vis", "-w", "./a.safetensors", "-w", "./b.safetensors", "--device", "cpu")


def test_a_folder_for_each_and_one_table_and_report_of_all(lkcfuse, scene):
    words = (*BOTH, "--metrics", "m.csv", "--report", "r.html")
    done = lkcfuse(*words)
    assert done.code == 0, done.err
    assert done.text.splitlines() == [f"fused/{w}/{name}.png" for w in "ab" for name in "12"]
    assert "lkcfuse: wrote m.csv: 2 methods" in done.err
    rows = list(csv.DictReader(io.StringIO((scene / "m.csv").read_text())))
    assert [(row["name"], row["method"]) for row in rows] == [
        (name, w) for w in "ab" for name in "12"
    ]
    summary = list(csv.DictReader(io.StringIO((scene / "m.summary.csv").read_text())))
    assert {row["method"]: row["weights"] for row in summary}.keys() == {"a", "b"}
    assert all(len(row["weights_sha256"]) == 64 for row in summary)
    assert (scene / "r.html").exists()

    again = lkcfuse(*words)
    assert again.code == 0, again.err
    assert again.err.count("2 verified and left as they were") == 2


def test_a_pair_that_fails_fails_for_each_and_the_others_are_done(lkcfuse, scene):
    Path("ir/1.png").write_bytes(b"torn")
    done = lkcfuse(*BOTH)
    assert done.code == 1
    assert done.text.splitlines() == ["fused/a/2.png", "fused/b/2.png"]
    assert done.err.splitlines()[-1].startswith(
        "lkcfuse: error: pairs failed with 2 of 2 sets of weights: a, b"
    )


def test_what_cannot_be_done_is_refused_before_anything_is(lkcfuse, scene):
    (scene / "x").mkdir()
    shutil.copy("a.safetensors", "x/a.safetensors")
    shutil.copy("a.safetensors", "mean.safetensors")
    for extra, code, message in (
        (("-w", "x/a.safetensors"), 2, "two sets of weights are called 'a'"),
        (("-w", "./mean.safetensors"), 2, "called 'mean' like a baseline"),
        (("-w", "nope"), 4, "no weights are called 'nope'"),
        (("--shard", "1/2", "--metrics", "m.csv"), 2, "lkcfuse eval"),
        (("--metrics", "absent/m.csv"), 2, "does not exist"),
    ):
        lkcfuse(*BOTH, *extra).assert_fails(code, message)
    assert not (scene / "fused").exists()


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("batch", "ir", "vis", "-o", "x", "--output", "y"), "--output"),
        (("fuse", "ir/1.png", "vis/1.png", "-o", "x.png", "-w", "a", "-w", "b"), "--weights"),
        (("eval", "--metrics", "EN", "--metrics", "SD"), "--metrics"),
    ],
)
def test_an_option_of_one_value_given_twice_is_refused(lkcfuse, scene, words, option):
    lkcfuse(*words).assert_fails(2, f"{option} is given twice: give it once")
