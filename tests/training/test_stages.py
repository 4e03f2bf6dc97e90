"""Recipes of several stages, from files to checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lkcfuse.errors import UsageError
from lkcfuse.models.checkpoint import load_checkpoint
from lkcfuse.training import loop
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.log import is_finished
from lkcfuse.training.loop import TrainingData, TrainingResult, train
from lkcfuse.training.recipe import Recipe, Stage
from lkcfuse.training.setup import gather
from lkcfuse.training.stages import StageProgress, run_recipe

Folder = Callable[..., Path]
Run = Callable[..., TrainingResult]


@pytest.fixture
def recipe(tiny: TrainingConfig) -> Recipe:
    """Return a start, a stage after it, and one beside that, averaged with both."""
    # From nothing every step improves it: no stage leaves the weights it began with.
    config = replace(tiny, steps=4, validate_every=2, base="none")
    return Recipe(
        (
            Stage("1", config, average={"1": 1.0}),
            Stage("2", replace(config, seed=1), "1", {"2": 1.0}),
            Stage("3", replace(config, seed=2), "1", {"3": 0.5, "2": 0.25, "1": 0.25}),
        )
    )


@pytest.fixture
def run(recipe: Recipe, pair_folder: Folder, tmp_path: Path) -> Run:
    data = pair_folder()

    def call(output: str = "out.safetensors", what: Recipe = recipe, **more: Any) -> TrainingResult:
        return run_recipe(what, lambda c: gather(c, data=data), tmp_path / output, **more)

    return call


def test_stages_go_on_from_each_other_and_are_averaged(
    run: Run, recipe: Recipe, pair_folder: Folder, tmp_path: Path
) -> None:
    seen: list[StageProgress] = []
    result = run(on_progress=seen.append)
    assert result.checkpoint == tmp_path / "out.safetensors"
    paths = [tmp_path / f"out.0{number}.safetensors" for number in (1, 2, 3)]
    assert all(is_finished(path) for path in (*paths, result.checkpoint))
    one, two, three = (load_checkpoint(path).state_dict for path in paths)
    final = load_checkpoint(result.checkpoint)
    for name, tensor in final.state_dict.items():
        expected = 0.5 * three[name] + 0.25 * two[name] + 0.25 * one[name]
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, expected, rtol=2e-3, atol=1e-6)
    assert any(not torch.equal(one[name], three[name]) for name in one)
    # By hand, a stage gives the same weights.
    data = gather(recipe.stages[2].config, data=pair_folder("again"))
    by_hand = tmp_path / "hand.safetensors"
    train(recipe.stages[2].config, data, by_hand, init=load_checkpoint(paths[0]))
    ours = load_checkpoint(by_hand).state_dict
    assert all(torch.equal(ours[name], three[name]) for name in three)

    assert json.loads(final.metadata["stages"])[2]["average"] == {"3": 0.5, "2": 0.25, "1": 0.25}
    assert json.loads(final.metadata["tasks"]) == ["ir-vis"]
    assert json.loads(final.metadata["validation"])["choosing"]["ir-vis"]["pairs"] == 1
    assert [(s.number, s.within.step) for s in seen if s.within.validation is None] == [
        (number, step) for number in (1, 2, 3) for step in (1, 2, 3, 4)
    ]
    shares = [progress.share for progress in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert result.step == 12


def test_a_run_that_was_stopped_goes_on_in_its_stage(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)

    def stop(progress: StageProgress) -> None:
        if progress.number == 2 and progress.within.step == 3:
            raise KeyboardInterrupt

    whole = run("whole.safetensors")
    with pytest.raises(KeyboardInterrupt):
        run(on_progress=stop)
    assert not (tmp_path / "out.safetensors").exists()
    before = (tmp_path / "out.01.safetensors").stat().st_mtime_ns
    resumed = run(resume=True)
    assert (tmp_path / "out.01.safetensors").stat().st_mtime_ns == before
    ours, theirs = (load_checkpoint(r.checkpoint).state_dict for r in (resumed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_stages_of_another_run_are_refused_and_not_left(
    run: Run, recipe: Recipe, tmp_path: Path
) -> None:
    def stop(progress: StageProgress) -> None:
        if progress.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(on_progress=stop)
    other = recipe.map(lambda config: replace(config, learning_rate=1e-4))
    with pytest.raises(UsageError, match=r"out\.01\.safetensors was made with other settings"):
        run(what=other, resume=True)
    run(resume=True)
    weights = (tmp_path / "out.safetensors").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        run(what=other, on_progress=stop)
    # Nothing of the run before is taken for this one's, and its weights stand until the end.
    assert sorted(path.name for path in tmp_path.glob("out.*")) == [
        *(f"out.0{number}{end}" for number in (1, 2) for end in (".log.jsonl", ".safetensors")),
        "out.safetensors",
    ]
    assert (tmp_path / "out.safetensors").read_bytes() == weights
    run(what=other, resume=True)
    assert (tmp_path / "out.safetensors").read_bytes() != weights


def test_one_stage_is_a_plain_run(run: Run, recipe: Recipe, tmp_path: Path) -> None:
    result = run(what=recipe.only("2"))
    assert sorted(path.name for path in tmp_path.glob("out.*")) == [
        "out.log.jsonl",
        "out.safetensors",
    ]
    assert result.step <= 4


def test_only_the_end_of_all_stages_reports(
    recipe: Recipe, pair_folder: Folder, tmp_path: Path
) -> None:
    data = pair_folder("train", 6)
    given: list[int] = []

    def find(config: TrainingConfig) -> TrainingData:
        found = gather(config, data=data)
        return replace(found, reporting=found.choosing)

    result = run_recipe(
        recipe,
        find,
        tmp_path / "out.safetensors",
        on_progress=lambda progress: given.append(progress.number),
    )
    assert result.reporting == result.choosing
    for name in ("out.01", "out.02"):
        scores = load_checkpoint(tmp_path / f"{name}.safetensors").metadata["validation"]
        assert json.loads(scores)["reporting"] == {}
