"""The metrics that the field's shared evaluator has too return its values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lkcfuse.metrics import METRICS, Needs, evaluate

GOLDEN = Path(__file__).parents[1] / "golden"
VALUES = json.loads((GOLDEN / "metric_values.json").read_text())
CASES = np.load(GOLDEN / "metric_cases.npz")
CELLS = [(case, name) for case, row in VALUES.items() for name in row]


def triple(case):
    return tuple(CASES[f"{case}_{image}"] for image in "fab")


@pytest.mark.parametrize(("case", "name"), CELLS)
def test_agrees_with_the_fields_evaluator(case, name):
    metric = METRICS[name]
    images = triple(case)
    value = metric.function(*images[:1] if metric.needs is Needs.NOTHING else images)
    expected = VALUES[case][name]
    assert value == pytest.approx(expected, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize("case", VALUES)
def test_together_as_one_by_one(case):
    images = triple(case)
    together = evaluate(*images)
    for name, value in together.items():
        metric = METRICS[name]
        alone = metric.function(*images[:1] if metric.needs is Needs.NOTHING else images)
        np.testing.assert_equal(value, alone, name)


def test_verified_are_those_with_golden_values():
    assert {m.name for m in METRICS.values() if m.verified} == set(VALUES["noise"])
