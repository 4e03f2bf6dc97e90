"""`lkcfuse train`, end to end on tiny networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from lkcfuse.models.checkpoint import load_checkpoint, save_checkpoint
from lkcfuse.training.claim import claim
from lkcfuse.training.log import is_finished

Run = Callable[..., Any]
TINY = ("--width", "2", "--kernels", "5,3,3", "--threads", "1", "--steps", "3")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    for part, count in (("train", 3), ("val", 1)):
        for name in ("ir", "vis"):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                texture = cv2.GaussianBlur(rng.random((60, 64)), (0, 0), 1.2) * 250
                cv2.imwrite(str(folder / part / name / f"{index}.png"), texture.astype(np.uint8))
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.json"
    # Steps as few as these may well make the weights worse: the last ones count.
    path.write_text(json.dumps({"crops": [[48, 1]], "validate_every": 2, "keep": "last"}))
    return path


def test_folders_to_checkpoint_to_fused_image(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "w.safetensors"
    done = lkcfuse("train", "--data", data, "-o", weights, "--recipe", recipe, "--json", *TINY)
    assert done.code == 0, done.err
    record = json.loads(done.text)
    assert record["checkpoint"] == str(weights)
    assert record["reporting"]["ir-vis"]["pairs"] == 1
    assert {"VIF", "Qabf", "SSIM", "SCD", "MI"} <= set(record["choosing"]["ir-vis"]["maximum"])
    assert "2 pairs to learn from, 1 to choose by, 1 to report on" in done.err
    assert "step 2 (67%" in done.err
    assert is_finished(weights)
    assert load_checkpoint(weights).config.inner == 2

    pair = (data / "val" / "ir" / "0.png", data / "val" / "vis" / "0.png")
    fused = tmp_path / "fused.png"
    assert lkcfuse("fuse", *pair, "-o", fused, "--weights", weights, "--threads", "1").code == 0
    image = cv2.imread(str(fused), cv2.IMREAD_GRAYSCALE)
    assert image.shape == (60, 64)
    # Three steps from the maximum, a trained network is still close to it.
    maximum = np.maximum(*(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in pair))
    assert np.abs(image.astype(int) - maximum).mean() < 20


def test_the_output_is_named_after_the_recipe_or_the_task(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert lkcfuse("train", "--data", data, "--recipe", recipe, "-q", *TINY).code == 0
    assert is_finished(Path("small.safetensors"))
    Path("ir-vis.safetensors").write_bytes(b"precious")
    lkcfuse("train", "--data", data).assert_fails(2, "ir-vis.safetensors", "--force")


def test_a_recipe_of_stages(lkcfuse: Run, data: Path, tmp_path: Path) -> None:
    recipe, weights = tmp_path / "staged.json", tmp_path / "w.safetensors"
    common = {"inner": 2, "kernels": [5, 3, 3], "crops": [[48, 1]], "steps": 2}
    stages = [{"name": "start"}, {"average": {"2": 1, "start": 1}}]
    recipe.write_text(json.dumps({**common, "stages": stages}))
    words = ("train", "--data", data, "-o", weights, "--recipe", recipe, "--threads", "1")
    lkcfuse(*words, "--steps", "3").assert_fails(2, "2 stages", "steps", "--stage")
    lkcfuse(*words, "--stage", "end").assert_fails(2, "no stage 'end'", "start, 2")
    done = lkcfuse(*words)
    assert done.code == 0, done.err
    assert "stage 2 of 2, step 2 (100%)" in done.err
    assert "weights of step 4" in done.text
    assert sorted(path.name for path in tmp_path.glob("w.*")) == [
        f"w{number}{end}" for number in (".01", ".02", "") for end in (".log.jsonl", ".safetensors")
    ]
    lkcfuse(*words).assert_fails(2, "w.safetensors exists")
    weights.unlink()
    lkcfuse(*words).assert_fails(2, "w.log.jsonl exists")
    (tmp_path / "w.log.jsonl").unlink()
    lkcfuse(*words).assert_fails(2, "w.01.safetensors exists")
    assert lkcfuse(*words, "--resume").code == 0
    alone = lkcfuse(*words, "--stage", "2", "--steps", "3", "--init", weights, "--force")
    assert alone.code == 0, alone.err
    assert "step 3 (100%" in alone.err


def test_two_folders_and_init_from_a_file(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    folders = (data / "train" / "ir", data / "train" / "vis")
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert lkcfuse("train", *folders, "-o", first, "--recipe", recipe, "-q", *TINY).code == 0
    more = ("--steps", "2", "--recipe", recipe, "--threads", "1")
    done = lkcfuse("train", *folders, "-o", second, "--init", first, *more)
    assert done.code == 0, done.err
    assert load_checkpoint(second).config == load_checkpoint(first).config
    wrong = lkcfuse("train", *folders, "-o", second, "--init", first, "--width", "4", "--force")
    wrong.assert_fails(2, "width 2")


def test_an_output_that_exists_is_kept(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"precious")
    lkcfuse("train", "--data", data, "-o", weights).assert_fails(2, "w.safetensors", "--force")
    assert weights.read_bytes() == b"precious"
    words = ("train", "--data", data, "-o", weights, "--recipe", recipe, "-q", *TINY)
    assert lkcfuse(*words, "--force").code == 0
    before = weights.read_bytes()
    lkcfuse(*words, "--resume").assert_fails(2, "finished", "--init")
    assert weights.read_bytes() == before


def test_nothing_that_is_not_its_own_is_overwritten(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    weights, log = tmp_path / "w.safetensors", tmp_path / "w.log.jsonl"
    words = ("train", "--data", data, "-o", weights, "--recipe", recipe, "-q", *TINY)
    weights.write_bytes(b"precious")
    lkcfuse(*words, "--resume").assert_fails(2, "w.safetensors", "cannot be resumed")
    assert weights.read_bytes() == b"precious"
    weights.unlink()
    log.write_bytes(b"notes")
    lkcfuse(*words).assert_fails(2, "w.log.jsonl", "--force")
    assert log.read_bytes() == b"notes"
    log.unlink()
    weights.mkdir()
    lkcfuse(*words, "--force").assert_fails(2, "w.safetensors is a folder")
    assert sorted(tmp_path.glob("w.*")) == [weights]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["-o", "w.safetensors"], 2, "two folders"),
        (["train/ir", "-o", "w.safetensors"], 2, "two"),
        (["train/ir", "train/vis", "--data", ".", "-o", "w.safetensors"], 2, "--data"),
        (["train/ir", "nowhere", "-o", "w.safetensors"], 3, "nowhere"),
        (["--data", ".", "-o", "w.pth"], 2, ".safetensors"),
        (["--data", ".", "-o", "none/w.safetensors"], 2, "does not exist"),
        (["--data", ".", "-t", "mri-ct", "-o", "w.safetensors"], 3, "mri-ct"),
        (["--data", ".", "-t", "ir-viz", "-o", "w.safetensors"], 2, "ir-viz"),
        (["--data", ".", "--recipe", "nice", "-o", "w.safetensors"], 2, "nice"),
        (["--data", ".", "--kernels", "5,3", "-o", "w.safetensors"], 2, "--kernels"),
        (["--data", ".", "--kernels", "4,3,3", "-o", "w.safetensors"], 2, "odd"),
        (["--data", ".", "--minutes", "0", "-o", "w.safetensors"], 2, "minutes"),
        (["--data", ".", "--minutes", "nan", "-o", "w.safetensors"], 2, "minutes is nan"),
        (["--data", ".", "--learning-rate", "-1", "-o", "w.safetensors"], 2, "learning_rate is -1"),
        (["--data", ".", "--init", "none.safetensors", "-o", "w.safetensors"], 4, "none"),
    ],
)
def test_mistakes_are_one_clear_line(
    lkcfuse: Run,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(data)
    lkcfuse("train", *words, "--threads", "1").assert_fails(code, message)
    assert not list(data.glob("w.*"))


def test_a_damaged_image_stops_before_anything_is_written(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    (data / "train" / "vis" / "1.png").write_bytes(b"no image")
    weights = tmp_path / "w.safetensors"
    done = lkcfuse("train", "--data", data, "-o", weights, "--recipe", recipe, "-q", *TINY)
    done.assert_fails(3, "1.png")
    assert not list(tmp_path.glob("w.*"))


def test_two_runs_do_not_share_an_output(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "w.safetensors"
    words = ("train", "--data", data, "-o", weights, "--recipe", recipe, "-q", *TINY)
    with claim(weights):
        for more in ((), ("--resume",), ("--force",)):
            lkcfuse(*words, *more).assert_fails(2, "w.safetensors", "another run")
    assert not any(path.name.startswith(("w", ".w")) for path in tmp_path.iterdir())
    assert lkcfuse(*words).code == 0


def test_channels_in_the_other_order_are_turned(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    words = ("train", "--data", data, "--recipe", recipe, "-q", "--json", *TINY)
    assert lkcfuse(*words, "-o", tmp_path / "a.safetensors").code == 0
    found = load_checkpoint(tmp_path / "a.safetensors")
    swapped = {**found.state_dict}
    swapped["stem.conv.weight"] = swapped["stem.conv.weight"].flip(1)
    order = {"channel_order": json.dumps(["first", "second"])}
    other = replace(found, state_dict=swapped, metadata={})
    save_checkpoint(
        tmp_path / "b.safetensors", other, metadata={**found.metadata, **order}, dtype=torch.float16
    )
    curves = []
    for name in "ab":
        output = tmp_path / f"from-{name}.safetensors"
        init = ("--init", tmp_path / f"{name}.safetensors", "-o", output)
        done = lkcfuse("train", "--data", data, "--recipe", recipe, *TINY[4:], *init)
        assert done.code == 0, done.err
        curves.append(load_checkpoint(output).state_dict)
    assert all(torch.equal(curves[0][name], curves[1][name]) for name in curves[0])


def test_what_is_odd_about_the_images_is_told_once(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    for path in (data / "train").rglob("*.png"):
        counts = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16) + 7000
        cv2.imwrite(str(path), counts)
    words = ("train", "--data", data, "-o", tmp_path / "w.safetensors", "--recipe", recipe, *TINY)
    done = lkcfuse(*words)
    assert done.code == 0
    told = [line for line in done.err.splitlines() if "fills less than a quarter" in line]
    assert len(told) == 2
    assert "6 warnings of this kind (flat-range), the first: " in told[1]


def test_names_that_are_no_text(lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path) -> None:
    for path in list((data / "train").rglob("*.png")):
        path.rename(path.with_name(f"caf\udce9-{path.name}"))
    words = ("train", "--data", data, "-o", tmp_path / "w.safetensors", "--recipe", recipe, *TINY)
    done = lkcfuse(*words)
    assert done.code == 0, done.err


def test_how_long_a_run_is_is_said_before_it_starts(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    words = ("train", "--data", data, "-o", tmp_path / "w.safetensors", "--recipe", recipe)
    done = lkcfuse(*words, *TINY)
    assert done.code in (0, 1), done.err
    lines = done.err.splitlines()
    (said,) = (line for line in lines if line.startswith("lkcfuse: 3 steps: about "))
    assert said.endswith(" s on cpu (1 thread)")
    assert lines.index(said) < min(i for i, line in enumerate(lines) if "step 0" in line)
    assert "about" not in lkcfuse(*words, "--force", "-q", *TINY).err


def test_the_default_length_is_said_to_be_one(
    lkcfuse: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(plan: Any, find: Any, *_: object, **_settings: object) -> None:
        find(plan.stages[0].config)
        raise KeyboardInterrupt

    monkeypatch.setattr("lkcfuse.training.stages.run_recipe", stop)
    words = ("train", "--data", data, "-o", tmp_path / "w.safetensors", *TINY[:-2])
    done = lkcfuse(*words)
    assert done.code == 130
    assert "1000 steps (the default; --steps or --minutes set another length): about" in done.err
    assert done.err.endswith(
        "lkcfuse: interrupted: run the same command with --resume to continue\n"
    )
    bound = lkcfuse(*words, "--minutes", "0.001")
    assert "1000 steps at most: about 0 s on cpu" in bound.err


@pytest.fixture
def spoilt(data: Path, tmp_path: Path) -> tuple[object, ...]:
    """A command whose steps make its weights worse: the rate is far too high."""
    recipe = tmp_path / "spoiling.json"
    settings = {"crops": [[48, 1]], "validate_every": 1, "ema": 0.0}
    recipe.write_text(json.dumps({**settings, "learning_rate": 10.0, "warmup": 0.0}))
    return ("train", "--data", data, "-o", tmp_path / "w.safetensors", "--recipe", recipe, *TINY)


def test_weights_that_no_step_improved_are_not_written_without_force(
    lkcfuse: Run, spoilt: tuple[object, ...], tmp_path: Path
) -> None:
    weights = tmp_path / "w.safetensors"
    for _ in range(2):  # the log of such a run is in nobody's way
        done = lkcfuse(*spoilt)
        assert done.code == 1
        first = done.text.splitlines()[0]
        assert first == f"no step improved on the start: {weights} is not written"
        assert "this network / maximum / mean" in done.text
        assert "--force" in done.err.splitlines()[-1]
        assert not weights.exists()
    record = json.loads(lkcfuse(*spoilt, "--json").text)
    assert (record["checkpoint"], record["improved"], record["step"]) == (None, False, 0)
    done = lkcfuse(*spoilt, "--force")
    assert done.code == 0
    first = done.text.splitlines()[0]
    assert first == f"no step improved on the start: {weights} has the weights of the start"
    assert load_checkpoint(weights).config.inner == 2


def test_weights_that_are_trained_already_learn_slowly_unless_told_otherwise(
    lkcfuse: Run, data: Path, recipe: Path, tmp_path: Path
) -> None:
    first = tmp_path / "a.safetensors"
    start = ("train", "--data", data, "--threads", "1", "--steps", "1", "-q", "--force")
    small = ("--width", "2", "--kernels", "5,3,3")
    assert lkcfuse(*start, *small, "-o", first).code == 0

    def settings(*words: object) -> tuple[float, float]:
        output = tmp_path / "b.safetensors"
        assert lkcfuse(*start, "--init", first, "-o", output, *words).code == 0
        run = json.loads(output.with_suffix(".log.jsonl").read_text().splitlines()[0])
        return run["settings"]["learning_rate"], run["settings"]["freeze_statistics"]

    assert settings() == (1e-4, 0.0)
    assert settings("--learning-rate", "0.002") == (0.002, 0.0)
    assert settings("--recipe", recipe) == (1e-3, 0.3)
