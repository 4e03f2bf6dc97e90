"""Settings."""

from __future__ import annotations

from lkcfuse.training.config import TrainingConfig


def test_settings_survive_json() -> None:
    config = TrainingConfig(tasks=("mri-ct", "mri-pet"), minutes=1.5, seed=4)
    assert TrainingConfig.from_dict(config.to_dict(), where="x") == config
