"""Settings."""

from __future__ import annotations

import pytest

from lkcfuse.errors import InputError
from lkcfuse.training.config import TrainingConfig


def test_settings_survive_json() -> None:
    config = TrainingConfig(tasks=("mri-ct", "mri-pet"), minutes=1.5, seed=4)
    assert TrainingConfig.from_dict(config.to_dict(), where="x") == config


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("keep", "first", "it must be best or last"),
        ("optimizer", "sgd", "it must be adamw or muon"),
        ("mixed_precision", "yes", "give true or false"),
    ],
)
def test_a_choice_that_is_none_is_named(name: str, value: str, cure: str) -> None:
    with pytest.raises(InputError, match=f"x: {name} is '{value}': {cure}"):
        TrainingConfig.from_dict({name: value}, where="x")
