from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
BRAIN = {
    "brain_mri.png": ("L", (256, 256)),
    "brain_ct.png": ("L", (256, 256)),
    "brain_pet.png": ("RGB", (256, 256)),
    "brain_spect.png": ("RGB", (256, 256)),
}
STREET = {"street_ir.png": ("L", (640, 480))} | {
    f"street_{name}.png": ("RGB", (640, 480)) for name in ("vis", "under", "over")
}
DESK = {"desk_near.png": ("RGB", (640, 480)), "desk_far.png": ("RGB", (640, 480))}


def run(
    *arguments: str, cwd: Path, script: str = "make_examples.py"
) -> subprocess.CompletedProcess[str]:
    # An empty PYTHONPATH: the script has to find its own modules from any folder.
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def load(path: Path) -> npt.NDArray[np.float32]:
    with Image.open(path) as picture:
        return np.asarray(picture, np.float32)


def luma(name: str) -> npt.NDArray[np.float32]:
    picture = load(EXAMPLES / name)
    return picture if picture.ndim == 2 else picture @ np.float32([0.299, 0.587, 0.114])


def assert_same_pixels(made: Path, kept: Path) -> None:
    difference = np.abs(load(made) - load(kept))
    # Another libm or OpenCV may round a sample the other way and move an edge by a hair.
    assert difference.mean() < 0.1
    assert (difference <= 2).mean() > 0.995


@pytest.mark.parametrize(("name", "form"), [*BRAIN.items(), *STREET.items(), *DESK.items()])
def test_form_and_size_of_the_pictures(name: str, form: tuple[str, tuple[int, int]]) -> None:
    path = EXAMPLES / name
    with Image.open(path) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", *form)
        assert not picture.info, "no metadata that could differ from machine to machine"
    assert path.stat().st_size < (100_000 if name in BRAIN else 600_000)


def test_brain_comes_out_the_same_from_any_folder(tmp_path: Path) -> None:
    done = run("--only", "brain", "--out", "new/folder", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "new" / "folder"
    assert sorted(path.name for path in made.iterdir()) == sorted(BRAIN)
    for name in BRAIN:
        assert_same_pixels(made / name, EXAMPLES / name)


def test_desk_comes_out_the_same(tmp_path: Path) -> None:
    done = run("--only", "desk", "--out", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in DESK:
        assert_same_pixels(tmp_path / name, EXAMPLES / name)


@pytest.mark.slow
def test_street_comes_out_the_same(tmp_path: Path) -> None:
    done = run("--only", "street", "--out", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in STREET:
        assert_same_pixels(tmp_path / name, EXAMPLES / name)


def test_another_seed_is_another_brain(tmp_path: Path) -> None:
    assert run("--only", "brain", "--seed", "8", "--out", ".", cwd=tmp_path).returncode == 0
    difference = np.abs(load(tmp_path / "brain_mri.png") - load(EXAMPLES / "brain_mri.png"))
    assert (difference > 20).mean() > 0.03


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    done = run("--only", "brain", "--out", "taken", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "taken" in done.stderr


def edges(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # The logarithm weighs an edge in the dark like one in the light.
    smooth = cv2.GaussianBlur(np.log(picture + 8), (0, 0), 1.0)
    size = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return np.minimum(size, np.quantile(size, 0.98))


def best_shift(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], reach: int = 5
) -> tuple[int, int]:
    """Return the (row, column) shift of `second` at which the edges agree best."""
    inner = edges(first)[reach:-reach, reach:-reach]
    moved = edges(second)
    rows, columns = inner.shape
    scores = {
        (i, j): np.corrcoef(
            inner.ravel(),
            moved[reach + i : reach + i + rows, reach + j : reach + j + columns].ravel(),
        )[0, 1]
        for i in range(-reach, reach + 1)
        for j in range(-reach, reach + 1)
    }
    return max(scores, key=lambda shift: scores[shift])


@pytest.mark.parametrize(
    ("pair", "part"),
    [
        (("street_ir.png", "street_vis.png"), np.s_[:, :]),
        # Inside the skull: both edges of the bone lie a little apart, black in MRI, white in CT.
        (("brain_mri.png", "brain_ct.png"), np.s_[60:200, 75:185]),
    ],
)
def test_edges_of_a_pair_coincide(pair: tuple[str, str], part: tuple[slice, slice]) -> None:
    first, second = luma(pair[0])[part], luma(pair[1])[part]
    assert best_shift(first, second) == (0, 0)
    assert best_shift(first, np.roll(second, (2, -3), axis=(0, 1))) == (2, -3)


@pytest.mark.parametrize("name", ["brain_pet.png", "brain_spect.png"])
def test_uptake_fills_the_brain_of_the_mri(name: str) -> None:
    brain = inside_of_the_skull()
    uptake = luma(name) > 60
    # Both are blurred by some millimetres, but about the same middle.
    assert (uptake & brain).sum() / uptake.sum() > 0.93
    assert uptake[brain].mean() > 0.6
    offset = np.argwhere(uptake).mean(axis=0) - np.argwhere(brain).mean(axis=0)
    assert np.abs(offset).max() < 3
    assert not luma(name)[:10].max() > 40, "black outside"


def inside_of_the_skull() -> npt.NDArray[np.bool_]:
    bone = (luma("brain_ct.png") > 250).astype(np.uint8)
    _, labels = cv2.connectedComponents(1 - bone, connectivity=4)
    enclosed = labels == labels[128, 128]
    assert 0.2 < enclosed.mean() < 0.5, "the ring of the skull is closed"
    return enclosed


def test_ventricles_are_bright_in_mri_and_dark_in_ct() -> None:
    brain = cv2.erode(inside_of_the_skull().astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    mri, ct = luma("brain_mri.png"), luma("brain_ct.png")
    fluid = brain & (mri > 190) & (ct < 250)
    assert fluid.sum() > 300
    assert np.median(ct[fluid]) < 60
    assert np.median(ct[brain]) > 85


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("rendering.street")


def test_people_are_where_the_scene_puts_them(street: Any) -> None:
    """Heads are hot in infrared at the projected place; the man by the shutter is dark."""
    camera = street.dashcam()
    infrared, visible = luma("street_ir.png"), luma("street_vis.png")
    people = [thing for _, thing in street.build_street(7).of(street.Person)]
    walking = [p for p in people if p.place[1] < 20 and p.place[0] < 0 and type(p) is street.Person]
    assert len(walking) >= 5
    for person in walking:
        height = person.ground + 0.93 * person.height
        column, row, _ = camera.project([(person.place[0], height, person.place[1])])[0] / 2
        left = max(int(column) - 25, 0)
        around = infrared[int(row) - 25 : int(row) + 25, left : int(column) + 25]
        head = infrared[int(row) - 1 : int(row) + 2, int(column) - 1 : int(column) + 2]
        assert head.mean() > np.median(around) + 60
    nearest = min(walking, key=lambda person: person.place[1])
    chest = (nearest.place[0], nearest.ground + 1.2, nearest.place[1])
    column, row, _ = camera.project([chest])[0] / 2
    assert visible[int(row) - 3 : int(row) + 4, int(column) - 3 : int(column) + 4].mean() < 50


def test_each_camera_sees_what_the_other_cannot(street: Any) -> None:
    camera = street.dashcam()
    infrared, colour = luma("street_ir.png"), load(EXAMPLES / "street_vis.png")
    hotel = next(s for _, s in street.build_street(7).of(street.Sign) if s.kind == "hotel")
    (x, y, z), (width, height) = hotel.centre, hotel.half
    corners = camera.project([(x - width, y + height, z), (x + width, y, z)])[:, :2] / 2
    (left, top), (right, bottom) = corners.astype(int)
    letters = colour[top:bottom, left:right]
    dark, bright = np.quantile(letters[..., 0], [0.05, 0.95])
    assert bright > 220, "red neon"
    assert bright - dark > 100
    assert infrared[top:bottom, left:right].std() < 15, "letters are no warmer than their sign"
    # Exhaust leaves on one side of the waiting car only: hot, but without a colour of its own.
    car = next(c for _, c in street.build_street(7).of(street.Car) if c.braking)
    sides = [car.to_world((x, 0.32, -car.length / 2 - 0.1)) for x in (0.45, -0.45)]
    pipe, mirrored = (
        np.s_[int(row) - 2 : int(row) + 3, int(column) - 2 : int(column) + 3]
        for column, row, _ in camera.project(sides) / [2, 2, 1]
    )
    assert infrared[pipe].mean() > infrared[mirrored].mean() + 40
    assert abs(colour[pipe].mean() - colour[mirrored].mean()) < 20


def test_walk_through_names_only_what_is_there() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    named = re.findall(r"\bexamples/(\S+\.(?:png|py))", text)
    assert len(links) >= 6
    assert len(named) >= 8
    for name in (*links, *named):
        assert (EXAMPLES / name).is_file(), name


def test_results_come_from_the_command_with_the_weights_given(tmp_path: Path) -> None:
    from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
    from lkcfuse.models.checkpoint import save_checkpoint

    # Any network will do: what is tested is that every pair goes through the command.
    network = LKCFUNet(NetworkConfig(inner=2, kernels=(3, 3, 3), base="max"))
    ranges = {"input_range": "[-1.0, 1.0]", "output_range": "[-1.0, 1.0]"}
    save_checkpoint(tmp_path / "tiny.safetensors", network, metadata=ranges)
    options = ("--out", "made", "--", "--weights", "tiny.safetensors", "--threads", "1", "--quiet")
    done = run(*options, cwd=tmp_path, script="make_results.py")
    assert done.returncode == 0, done.stderr
    forms = {}
    for path in (tmp_path / "made").iterdir():
        with Image.open(path) as picture:
            forms[path.name] = (picture.mode, picture.size)
    assert forms == {
        "street.png": ("RGB", (640, 480)),
        "street_exposures.png": ("RGB", (640, 480)),
        "desk.png": ("RGB", (640, 480)),
        "brain_mri_ct.png": ("L", (256, 256)),
        "brain_mri_pet.png": ("RGB", (256, 256)),
        "brain_mri_spect.png": ("RGB", (256, 256)),
    }


def test_results_stop_with_the_exit_code_of_the_command(tmp_path: Path) -> None:
    options = ("--out", "made", "--", "--weights", "absent.safetensors")
    done = run(*options, cwd=tmp_path, script="make_results.py")
    assert done.returncode == 4
    assert "absent.safetensors" in done.stderr
    assert list((tmp_path / "made").iterdir()) == []
