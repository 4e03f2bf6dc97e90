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
        ('{"crops": [[8, 1]]}', "crops"),
        ('{"crops": 5}', "recipe.json"),
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
