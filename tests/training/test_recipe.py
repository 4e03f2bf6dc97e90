"""Recipes: of one stage and of several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lkcfuse.errors import InputError, LkcfuseError, UsageError
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.recipe import Recipe, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_says_what_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.last.base == "max"
    assert recipe.last.tasks == (name,)
    assert all(stage.config.minutes is None for stage in recipe.stages)


def test_there_is_a_recipe_for_every_packaged_weight() -> None:
    assert set(recipe_names()) == {"ir-vis", "mef", "mff", "mri-ct", "mri-pet", "mri-spect"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"steps": 10, "stepz": 1}', "stepz"),
        ('{"loss": {"vif": 1, "nice": 2}}', "nice"),
        ('{"tasks": ["ir-viz"]}', "ir-viz"),
        ('{"inner": 3}', "inner is 3"),
        ('{"steps": 0}', "steps"),
        ('{"steps": "a"}', "recipe.json: steps is 'a': give a whole number, 1 or more"),
        ('{"steps": 2.5}', "steps is 2.5"),
        ('{"steps": true}', "steps is True"),
        ('{"crops": [[8, 1]]}', "side of a crop is 8.* 48 or more"),
        ('{"crops": [[64, 0]]}', "number of crops is 0"),
        ('{"crops": []}', "crops"),
        ('{"crops": 5}', "recipe.json: crops is 5"),
        ('{"crops": [[64]]}', "crops"),
        ('{"tasks": "ir-vis"}', "tasks is .*give a list"),
        ('{"kernels": [15, 11]}', "kernels"),
        ('{"learning_rate": "x"}', "learning_rate is 'x': give a number above 0"),
        ('{"steps": 10, "cycle": 9}', "cycle is 9: give a whole number, 10 or more"),
        ('{"learning_rate": NaN}', "not valid JSON: the number NaN is out of range"),
        ('{"minutes": 1e999}', "not valid JSON: the number 1e999 is out of range"),
        ('{"seed": -1}', "seed is -1"),
        ('{"dropout": 5}', "dropout is 5: give a number from 0 to 1"),
        ('{"ema": "x"}', "ema is 'x'"),
        ('{"loss": {"vif": "a"}}', "loss: vif is 'a'"),
        ('{"loss": {"scd": -1}}', "loss: scd is -1"),
        ('{"loss": 3}', "loss is 3"),
        ('{"augmentation": {"tone": 2}}', "augmentation: tone is 2"),
        ('{"stages": []}', "stages is .*give a list"),
        ('{"stages": [3]}', "stage 1 is 3"),
        ('{"stages": [{}, {"steps": 0}]}', "recipe.json: stage 2: steps is 0"),
        ('{"stages": [{"inner": 8}, {"inner": 16}]}', "different networks"),
        ('{"stages": [{"name": "a"}, {"name": "a"}]}', "stage 2: its name"),
        ('{"stages": [{"from": "2"}, {}]}', "stage 1: from is .2.: name a stage before it"),
        ('{"stages": [{}, {"average": {"3": 1}}]}', "stage 2: average has .3."),
        ('{"stages": [{"average": {"1": -1}}]}', "stage 1: average: 1 is -1"),
        ('{"stages": [{"average": {}}]}', "stage 1: average"),
        ("[1]", "object"),
        ("{", "valid JSON"),
    ],
)
def test_a_bad_recipe_is_one_clear_error(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(content)
    with pytest.raises(LkcfuseError, match=words) as caught:
        load_recipe(str(path))
    assert "\n" not in str(caught.value)


def test_unknown_and_missing_recipes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ir-vis"):
        load_recipe("ir-viz")
    with pytest.raises(InputError, match=r"none\.json"):
        load_recipe(str(tmp_path / "none.json"))


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"comment": "mine", "inner": 4, "loss": {"vif": 2}}))
    (stage,) = load_recipe(str(path)).stages
    config = stage.config
    assert config.inner == 4
    assert config.loss.vif == 2
    assert config.loss.qabf == TrainingConfig().loss.qabf


STAGES = {
    "loss": {"vif": 2, "scd": 3},
    "steps": 10,
    "stages": [
        {"name": "start", "learning_rate": 1e-3},
        {"loss": {"scd": 4}, "average": {"2": 3, "start": 1}},
        {"name": "side", "from": "start", "steps": 5},
    ],
}


def test_stages_add_to_what_is_common() -> None:
    recipe = Recipe.from_dict(STAGES, where="x")
    first, second, third = recipe.stages
    assert [stage.name for stage in recipe.stages] == ["start", "2", "side"]
    assert [stage.start for stage in recipe.stages] == [None, "start", "start"]
    assert first.config.learning_rate == 1e-3
    assert second.config.learning_rate == TrainingConfig().learning_rate
    assert (second.config.loss.vif, second.config.loss.scd, first.config.loss.scd) == (2, 4, 3)
    assert second.average == {"2": 0.75, "start": 0.25}
    assert third.average == {"side": 1}
    assert recipe.steps == 25
    again = Recipe.from_dict({"stages": [stage.to_dict() for stage in recipe.stages]}, where="y")
    assert again == recipe


def test_one_stage_by_itself() -> None:
    recipe = Recipe.from_dict(STAGES, where="x")
    (alone,) = recipe.only("side").stages
    assert alone.config == recipe.stages[2].config
    assert (alone.start, alone.average) == (None, {"1": 1})
    with pytest.raises(UsageError, match="start, 2, side"):
        recipe.only("9")
