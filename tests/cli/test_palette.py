from __future__ import annotations

import cv2
import numpy as np
import PIL.Image
import pytest

from lkcfuse.images import read_image


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """A folder with heat, the same in false colours, a visible picture, and one of all colours."""
    monkeypatch.chdir(tmp_path)
    rows, columns = np.mgrid[:60, :80]
    heat = (60 + 1.5 * columns + 40 * np.sin(rows / 9)).clip(0, 255).astype(np.uint8)
    random = np.random.default_rng(3)
    mixture = cv2.resize(random.integers(0, 256, (6, 8, 3)).astype(np.uint8), (80, 60))
    pictures = {
        "heat": heat,
        "jet": cv2.applyColorMap(heat, cv2.COLORMAP_JET)[..., ::-1],
        "viridis": cv2.applyColorMap(heat, cv2.COLORMAP_VIRIDIS)[..., ::-1],
        "mixture": mixture,
        "vis": mixture // 3,
    }
    for name, pixels in pictures.items():
        PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(f"{name}.png")
    return tmp_path


@pytest.fixture
def settings(maximum_weights):
    """Options that make a run quick, with a known answer: the maximum of the lumas."""
    return ["--weights", maximum_weights, "--device", "cpu", "--threads", "1", "--force"]


@pytest.fixture
def fuse(lkcfuse, scene, settings):
    """Fuse a first picture with vis.png; return the luma from 0 to 255 and what was said."""

    def fuse(first, *words):
        done = lkcfuse("fuse", first, "vis.png", "-o", "out.png", *words, *settings)
        assert done.code == 0, done.err
        warnings = [line for line in done.err.splitlines() if "warning" in line]
        return read_image("out.png").luma * 255, warnings

    return fuse


def test_false_colours_are_heat_without_being_asked(fuse):
    wanted, silence = fuse("heat.png")
    assert silence == []
    for name in ("jet", "viridis"):
        luma, (warning,) = fuse(f"{name}.png")
        assert np.abs(luma - wanted).max() <= 1.6
        assert warning.startswith(f"lkcfuse: warning: {name}.png shows heat in false colours")
        assert f"'{name}'" in warning


def test_off_takes_them_as_they_are(fuse):
    wanted, _ = fuse("heat.png")
    luma, warnings = fuse("jet.png", "--palette", "off")
    assert np.abs(luma - wanted).max() > 50
    assert warnings == []


def test_colours_on_no_palette_get_a_warning(fuse):
    _, (warning,) = fuse("mixture.png")
    assert "mixture.png is coloured, and its palette is not known" in warning
    assert "--palette" in warning


def test_a_name_and_a_file(fuse):
    wanted, _ = fuse("heat.png")
    ramp = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)[:, 0, ::-1]
    np.savetxt("jet.csv", ramp, fmt="%d", delimiter=",")
    for choice in ("jet", "jet.csv"):
        luma, warnings = fuse("jet.png", "--palette", choice)
        assert np.abs(luma - wanted).max() <= 1.6
        assert warnings == []


def test_batch_does_the_same_and_remembers_it(lkcfuse, scene, settings):
    for folder, name in (("ir", "jet"), ("vis", "vis")):
        (scene / folder).mkdir()
        (scene / f"{name}.png").rename(scene / folder / "1.png")
    words = [word for word in settings if word != "--force"]
    done = lkcfuse("batch", "ir", "vis", *words)
    assert done.code == 0, done.err
    assert "ir/1.png shows heat in false colours" in done.err
    assert lkcfuse("fuse", "heat.png", "vis/1.png", "-o", "out.png", *settings).code == 0
    wanted = read_image("out.png").luma * 255
    assert np.abs(read_image("fused/1.png").luma * 255 - wanted).max() <= 1.6
    # Other colours make another picture, so the folder refuses them.
    other = lkcfuse("batch", "ir", "vis", "--palette", "off", *words)
    assert other.code == 2
    assert "--force" in other.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--palette", "irn"], 2, "no palette is called 'irn': choose auto, off, a file, or one"),
        (["--palette", "bar.png"], 3, "bar.png does not exist: check the path"),
        (["--palette", "jet", "--task", "mri-pet"], 2, "--palette is for infrared images"),
    ],
)
def test_mistakes_are_one_line(lkcfuse, scene, settings, words, code, message):
    done = lkcfuse("fuse", "jet.png", "vis.png", "-o", "out.png", *words, *settings)
    assert done.code == code
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert not (scene / "out.png").exists()


def test_medical_colours_are_left_alone(lkcfuse, scene, settings):
    done = lkcfuse("fuse", "heat.png", "jet.png", "-o", "o.png", "--task", "mri-pet", *settings)
    assert done.code == 0, done.err
    assert "palette" not in done.err
