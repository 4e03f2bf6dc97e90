from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lkcfuse.errors import UsageError
from lkcfuse.metrics import METRICS, Needs, evaluate, list_metrics, metric, registry, select

FUSED, A, B = (np.full((8, 8), level, float) for level in (10, 20, 40))


@pytest.fixture
def own(monkeypatch):
    """Let a test add metrics that are gone afterwards."""
    before = dict(registry._REGISTERED)
    yield metric
    registry._REGISTERED.clear()
    registry._REGISTERED.update(before)


def test_metrics_are_read_only():
    with pytest.raises(TypeError):
        METRICS["EN"] = METRICS["SD"]
    with pytest.raises(TypeError):
        del METRICS["EN"]


def test_metrics_are_listed_by_what_they_need_and_by_direction():
    assert set(list_metrics(direction="higher")) | set(list_metrics(direction="lower")) == set(
        METRICS
    )
    assert list_metrics(reference=True) == ["GT_PSNR", "GT_SSIM", "GT_MS-SSIM", "GT_MAE"]
    assert list_metrics(reference=True, direction="lower") == ["GT_MAE"]
    with pytest.raises(UsageError, match="'up'"):
        list_metrics(direction="up")


def test_a_metric_of_ones_own(own):
    @own("Own_MAE", higher_is_better=False)
    def mean_absolute_error(fused, a, b):
        """Mean absolute error against the sources.

        Returns:
            Grey levels, from 0; lower is better.
        """
        return float(np.mean([np.abs(fused.pixels - s.pixels).mean() for s in (a, b)]))

    assert evaluate(FUSED, A, B, ["own_mae"]) == {"Own_MAE": 20.0}
    found = METRICS["Own_MAE"]
    assert found.summary == "Mean absolute error against the sources."
    assert found.range == "Grey levels, from 0"
    assert not found.higher_is_better
    # In tables where it is named alone.
    assert "Own_MAE" not in evaluate(FUSED, A, B)
    assert [m.name for m in select(["all", "Own_MAE"])] == [*(m.name for m in select()), "Own_MAE"]
    assert "Own_MAE" in list_metrics(direction="lower")


def test_a_name_that_is_taken_or_no_name_is_refused(own):
    for name, message in (("vif", "called 'VIF' already"), ("a,b", "letters"), ("All", "letters")):
        with pytest.raises(UsageError, match=message):
            own(name)(lambda fused, a, b: 0.0)

    def define():
        @own("Twice", needs=Needs.NOTHING)
        def twice(fused):
            return 0.0

    define()
    define()  # as a main module that is imported once more by a process it starts
    with pytest.raises(UsageError, match="already"):
        own("twice")(lambda fused: 1.0)


@pytest.fixture
def package(tmp_path):
    """Return the environment of a process that has a package with metrics installed."""
    module = tmp_path / "own_metrics.py"
    module.write_text(
        "from lkcfuse.metrics import Needs, metric\n\n\n"
        '@metric("Largest", needs=Needs.NOTHING)\n'
        "def largest(fused):\n"
        '    """Largest grey level of the fused image."""\n'
        "    return float(fused.pixels.max())\n"
    )
    info = tmp_path / "own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lkcfuse.metrics]\nown = own_metrics\n")
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    return module, {**os.environ, "PYTHONPATH": paths}


def test_packages_bring_metrics_by_an_entry_point(package):
    module, environment = package
    words = [sys.executable, "-m", "lkcfuse", "eval", "--explain", "--json", "--metrics", "largest"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["summary"] == "Largest grey level of the fused image."
    module.write_text("import no_such_module\n")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the metrics of own cannot be loaded (ModuleNotFoundError" in done.stderr
