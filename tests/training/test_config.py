"""Settings and recipes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lkcfuse.errors import InputError, LkcfuseError, UsageError
from lkcfuse.training.config import TrainingConfig, load_recipe, recipe_names


def test_settings_survive_json() -> None:
    config = TrainingConfig(tasks=("mri-ct", "mri-pet"), minutes=1.5, seed=4)
    assert TrainingConfig.from_dict(config.to_dict(), where="x") == config


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_says_what_it_is(name: str) -> None:
    assert load_recipe(name).base == "max"


def test_there_is_a_recipe_for_every_packaged_weight() -> None:
    assert {"ir-vis", "medical", "mri-ct", "mri-pet", "mri-spect"} <= set(recipe_names())


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
        ('{"learning_rate": NaN}', "learning_rate is nan"),
        ('{"minutes": NaN}', "minutes is nan"),
        ('{"seed": -1}', "seed is -1"),
        ('{"dropout": 5}', "dropout is 5: give a number from 0 to 1"),
        ('{"ema": "x"}', "ema is 'x'"),
        ('{"loss": {"vif": "a"}}', "loss: vif is 'a'"),
        ('{"loss": {"scd": -1}}', "loss: scd is -1"),
        ('{"loss": 3}', "loss is 3"),
        ('{"augmentation": {"tone": 2}}', "augmentation: tone is 2"),
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
    config = load_recipe(str(path))
    assert config.inner == 4
    assert config.loss.vif == 2
    assert config.loss.qabf == TrainingConfig().loss.qabf
