"""What chooses a checkpoint: means over sets, their worst, and what a picture may not lose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lkcfuse.metrics import evaluate
from lkcfuse.training.data import PairSet, find_pairs
from lkcfuse.training.validation import (
    GOALS,
    Validation,
    Worst,
    block_darkening,
    combine,
    validate_tasks,
)


def scores(gain: float, *, darkening: float = 0.0, pairs: int = 4) -> Validation:
    """Every metric `gain` above the maximum's."""
    maximum, mean = dict.fromkeys(GOALS, 1.0), dict.fromkeys(GOALS, 0.9)
    fused = dict.fromkeys(GOALS, 1.0 + gain)
    worst = {name: Worst(f"picture {gain}", gain - 0.1) for name in GOALS}
    return Validation(fused, maximum, mean, 0.0, darkening, worst, pairs)


def test_a_set_counts_as_much_as_another_and_the_worst_as_much_as_all() -> None:
    good, bad = scores(0.3, pairs=90), scores(0.1, pairs=10)
    both = combine({"good": good, "bad": bad})
    assert both.fused["VIF"] == pytest.approx(1.2)
    assert both.pairs == 100
    assert both.worst["VIF"] == Worst("picture 0.1", pytest.approx(0.0))
    mean = (good.score + bad.score) / 2
    assert both.score == pytest.approx((mean + bad.score) / 2)
    assert both.worst_dataset == "bad"


def test_one_set_is_its_own_table() -> None:
    only = scores(0.2)
    assert combine({"": only}) is only
    assert only.worst_dataset is None
    assert "datasets" not in only.to_dict()


def test_a_metric_that_is_defined_in_one_set_alone_has_that_sets_mean() -> None:
    part = scores(0.2)
    del part.fused["SCD"], part.maximum["SCD"], part.mean["SCD"], part.worst["SCD"]
    both = combine({"a": part, "b": scores(0.4)})
    assert both.fused["SCD"] == pytest.approx(1.4)
    assert both.fused["VIF"] == pytest.approx(1.3)


def test_darker_pictures_score_lower_beyond_what_is_free() -> None:
    assert scores(0.2, darkening=1.0).score == scores(0.2).score
    assert scores(0.2, darkening=6.0).score < scores(0.2).score - 0.3


def test_block_darkening_by_hand() -> None:
    first, second = np.full((40, 48), 60, np.float32), np.full((40, 48), 20, np.float32)
    second[:, 16:32] = 100
    fused = np.maximum(first, second)
    assert block_darkening(fused, first, second) == 0
    fused[:16, :16] -= 12  # one of the six blocks that fit; eight rows at the bottom do not
    fused[32:] = 0
    assert block_darkening(fused, first, second) == pytest.approx(2)
    # Brighter blocks make up for nothing.
    assert block_darkening(fused + 50, first, second) == 0
    small = np.full((5, 7), 9, np.float32)
    assert block_darkening(small - 3, small, small) == pytest.approx(3)


class Maximum(nn.Module):
    """The baseline itself, as a network."""

    def forward(self, pair: torch.Tensor) -> torch.Tensor:
        return pair.amax(1, keepdim=True)


def test_whole_pictures_are_scored_by_set(pair_folder: Callable[..., Path]) -> None:
    data = pair_folder(count=5)
    for side in ("ir", "vis"):
        (data / side / "night").mkdir()
        for index in (3, 4):
            (data / side / f"{index}.png").rename(data / side / "night" / f"{index}.png")
    pairs = PairSet(find_pairs(data / "ir", data / "vis", "ir-vis"))
    options = {"device": torch.device("cpu"), "metrics": tuple(GOALS)}

    table = validate_tasks(Maximum(), pairs, ["ir-vis"], **options)["ir-vis"]
    assert {name: part.pairs for name, part in table.datasets.items()} == {"": 3, "night": 2}
    assert table.fused == table.maximum
    assert table.darkening == 0
    assert table.tone_shift == 0
    loaded = [pairs.load(pair) * 255 for pair in pairs.datasets("ir-vis")["night"]]
    by_hand = [
        evaluate(np.maximum(*planes), *planes, ["Qabf"])["Qabf"]
        for planes in ([np.rint(p).astype(np.float64) for p in both] for both in loaded)
    ]
    assert table.datasets["night"].fused["Qabf"] == pytest.approx(np.mean(by_hand))

    few = validate_tasks(Maximum(), pairs, ["ir-vis"], at_most=2, **options)["ir-vis"]
    assert [part.pairs for part in few.datasets.values()] == [1, 1]


class Darker(Maximum):
    """The maximum, but for one picture, which comes out dark."""

    def forward(self, pair: torch.Tensor) -> torch.Tensor:
        result = super().forward(pair)
        return result * 0.5 - 0.5 if pair.mean() < self.threshold else result

    threshold = -9.0


def test_the_worst_picture_is_named(pair_folder: Callable[..., Path]) -> None:
    data = pair_folder(count=3)
    pairs = PairSet(find_pairs(data / "ir", data / "vis", "ir-vis"))
    means = {pair.name: float((pairs.load(pair) * 2 - 1).mean()) for pair in pairs.pairs}
    darkest = min(means, key=means.__getitem__)
    network = Darker()
    network.threshold = means[darkest] + 1e-4
    table = validate_tasks(
        network, pairs, ["ir-vis"], device=torch.device("cpu"), metrics=tuple(GOALS)
    )["ir-vis"]
    assert table.worst["SSIM"].name == darkest
    assert table.worst["SSIM"].gain < -0.05
    assert table.darkening > 5
    assert replace(table, darkening=0.0).score > table.score
