"""What a fused image's file says, through `fuse` and `batch`."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import PIL.Image
import pytest

from lkcfuse.version import __version__


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def save(path, array, model):
    exif = PIL.Image.Exif()
    exif[272] = model
    exif.get_ifd(34853)[1] = "N"
    path.parent.mkdir(exist_ok=True)
    PIL.Image.fromarray(array).save(path, exif=exif, dpi=(300, 300))
    return path


@pytest.fixture
def pair(tmp_path):
    return (
        save(tmp_path / "a" / "x.png", noise(12, 9), "thermal camera"),
        save(tmp_path / "b" / "x.png", noise(12, 9, 3, seed=1), "phone"),
    )


def said(path):
    with PIL.Image.open(path) as opened:
        exif = opened.getexif()
        place = dict(exif.get_ifd(34853))
        return exif.get(272), exif.get(305), place, round(opened.info.get("dpi", (0,))[0])


@pytest.fixture
def settings(maximum_weights):
    return ["--weights", maximum_weights, "--device", "cpu", "--threads", "1"]


def made_by(task, weights):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    return f"lkcfuse {__version__}, task {task}, weights {weights.name} (sha256 {digest})"


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_colour_and_its_camera_go_together(
    lkcfuse, pair, settings, maximum_weights, tmp_path, suffix
):
    output = tmp_path / f"out.{suffix}"
    assert lkcfuse("fuse", *pair, "-o", output, *settings).code == 0
    model, software, place, dpi = said(output)
    assert (model, place) == ("phone", {1: "N"})
    assert software == made_by("ir-vis", maximum_weights)
    assert dpi == (0 if suffix == "webp" else 300)


def test_without_colour_it_is_the_first_picture(lkcfuse, pair, settings, maximum_weights, tmp_path):
    output = tmp_path / "out.png"
    assert lkcfuse("fuse", *pair, "-o", output, "--task", "mri-ct", *settings).code == 0
    assert said(output)[:2] == ("thermal camera", made_by("mri-ct", maximum_weights))


def test_where_one_source_is_constant_it_is_the_other(lkcfuse, pair, settings, tmp_path):
    save(pair[1], np.full((12, 9, 3), 7, np.uint8), "phone")
    output = tmp_path / "out.png"
    assert lkcfuse("fuse", *pair, "-o", output, *settings).code == 0
    assert said(output)[:2] == ("thermal camera", f"lkcfuse {__version__}, task ir-vis")


def test_no_metadata_writes_none(lkcfuse, pair, settings, tmp_path):
    output = tmp_path / "out.png"
    assert lkcfuse("fuse", *pair, "-o", output, "--no-metadata", *settings).code == 0
    assert said(output) == (None, None, {}, 0)
    assert not re.search(rb"eXIf|tEXt|pHYs", output.read_bytes())


def test_a_picture_scaled_to_another_has_its_own_resolution(lkcfuse, pair, settings, tmp_path):
    save(pair[1], noise(24, 18, 3), "phone")
    output = tmp_path / "out.png"
    done = lkcfuse("fuse", *pair, "-o", output, "--resize", "first", *settings)
    assert done.code == 0, done.err
    assert said(output)[3] == 150


def test_batch_keeps_it_and_takes_the_option_for_another_setting(
    lkcfuse, pair, settings, maximum_weights, tmp_path
):
    command = ["batch", pair[0].parent, pair[1].parent, "-o", tmp_path / "fused", *settings]
    assert lkcfuse(*command).code == 0
    output = tmp_path / "fused" / "x.png"
    assert said(output)[:2] == ("phone", made_by("ir-vis", maximum_weights))
    before = output.read_bytes()
    other = lkcfuse(*command, "--no-metadata")
    assert other.code != 0
    assert "--force" in other.err
    assert output.read_bytes() == before
    assert lkcfuse(*command, "--no-metadata", "--force").code == 0
    assert said(output) == (None, None, {}, 0)
