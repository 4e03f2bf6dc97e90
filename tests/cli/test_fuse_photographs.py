"""`lkcfuse fuse` on exposures and focal planes: brackets, maps, and what they are refused for."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from networks import random_weight_map

from lkcfuse.images import image_from_array, image_to_array, read_image, write_image
from lkcfuse.models.checkpoint import save_checkpoint


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "map.safetensors"
    save_checkpoint(path, random_weight_map())
    return ["--weights", path, "--device", "cpu", "--threads", "1", "--task", "mff"]


@pytest.fixture
def bracket(tmp_path, monkeypatch):
    """Three coloured photographs, a.png to c.png, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        levels = np.random.default_rng(seed).integers(0, 256, (30, 40, 3)).astype(np.uint8)
        write_image(image_from_array(levels), tmp_path / name)
    return ["a.png", "b.png", "c.png"]


def pixels(path):
    return image_to_array(read_image(path)).astype(int)


def test_the_map_says_of_which_source_a_pixel_is(lkcfuse, bracket, settings):
    done = lkcfuse("fuse", "a.png", "b.png", "-o", "out.png", "--map", "map.png", *settings)
    assert done.code == 0, done.err
    share = pixels("map.png")[..., None] / 255
    assert share.shape == (30, 40, 1)
    assert np.ptp(share) > 0.1
    mixed = share * pixels("a.png") + (1 - share) * pixels("b.png")
    assert np.abs(mixed - pixels("out.png")).max() <= 1.1
    lkcfuse("fuse", "b.png", "a.png", "-o", "again.png", "--map", "other.png", *settings)
    assert np.abs(pixels("again.png") - pixels("out.png")).max() <= 1
    assert np.abs(pixels("map.png") + pixels("other.png") - 255).max() <= 1


def test_a_bracket_in_any_order(lkcfuse, bracket, settings):
    results = []
    for number, order in enumerate(permutations(bracket)):
        done = lkcfuse("fuse", *order, "-o", f"{number}.png", *settings)
        assert done.code == 0, done.err
        results.append(pixels(f"{number}.png"))
    assert np.ptp(results, axis=0).max() <= 1
    sources = [pixels(name) for name in bracket]
    assert (results[0] <= np.max(sources, axis=0)).all()
    assert (results[0] >= np.min(sources, axis=0)).all()


def test_the_record_names_all_sources_and_the_map(lkcfuse, bracket, settings):
    done = lkcfuse("fuse", *bracket, "-o", "out.png", "--map", "map.png", "--json", *settings)
    record = json.loads(done.text)
    assert [record["first"], record["second"], *record["others"]] == bracket
    assert record["map"] == "map.png"
    assert record["task"] == "mff"


def test_the_map_of_infrared_and_visible(lkcfuse, bracket, maximum_weights):
    words = ["--weights", maximum_weights, "--device", "cpu", "--map", "map.png"]
    done = lkcfuse("fuse", "a.png", "b.png", "-o", "out.png", *words)
    assert done.code == 0, done.err
    luma = [read_image(name).luma for name in ("a.png", "b.png")]
    brighter = luma[0] - luma[1]
    share = pixels("map.png")
    # Windows of 11 pixels of noise hold both, but more of the one that is brighter.
    assert np.corrcoef(share.ravel(), brighter.ravel())[0, 1] > 0.1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["a.png", "b.png", "c.png", "-t", "ir-vis"], 2, ["got 3", "--task mef or --task mff"]),
        (["a.png", "b.png", "a.png"], 2, ["a.png", "same file"]),
        (["a.png", "b.png", "b.png"], 2, ["b.png", "same file"]),
        (["a.png", "b.png", "c.png", "--strength", "0.5"], 2, ["--strength", "two sources"]),
        (["a.png", "b.png", "c.png", "--resize", "first"], 2, ["--resize", "two sources"]),
        (["a.png", "b.png", "--map", "a.png", "--force"], 2, ["--map a.png", "of its own"]),
        (["a.png", "b.png", "--map", "out.png"], 2, ["--map out.png", "of its own"]),
        (["a.png", "b.png", "--map", "map.txt"], 2, ["map.txt"]),
        (["a.png", "b.png", "small.png"], 3, ["small.png has 40x20", "a.png has 40x30"]),
        (["a.png", "b.png", "gone.png"], 3, ["gone.png"]),
        (["a.png", "-", "-"], 2, ["only one of the images"]),
    ],
)
def test_wrong_usage(lkcfuse, bracket, settings, words, code, said):
    write_image(image_from_array(np.zeros((20, 40), np.uint8)), "small.png")
    own = settings[:-2] if "-t" in words else settings  # a task is given once
    done = lkcfuse("fuse", *words[:1], "-o", "out.png", *own, *words[1:])
    done.assert_fails(code, *said)
    assert not Path("out.png").exists()
