"""pyiqa's metrics by name.

pyiqa needs the torchvision of this very torch, and fetches networks: where it can be imported its
own answer is compared with. Elsewhere a stand-in of its interface shows what is handed to it.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.metrics import Needs, evaluate, iqa, select

PLANES = [np.full((8, 8), level, float) for level in (255, 0, 51)]


@pytest.fixture(autouse=True)
def fresh():
    iqa.iqa_metric.cache_clear()
    iqa._model.cache_clear()
    yield
    iqa.iqa_metric.cache_clear()
    iqa._model.cache_clear()


@pytest.fixture
def stand_in(monkeypatch):
    """Put a `pyiqa` in place whose metrics are the mean difference, and the mean."""
    module, configs = ModuleType("pyiqa"), ModuleType("pyiqa.default_model_configs")
    configs.DEFAULT_CONFIGS = {
        "lpips": {"metric_mode": "FR", "lower_better": True},
        "musiq": {"metric_mode": "NR"},
    }
    made = []

    def create_metric(name, device):
        made.append((name, device))

        def call(*images):
            assert all(image.shape == (1, 3, 8, 8) for image in images)
            assert all(image.dtype == torch.float32 for image in images)
            first, *others = (image.mean() for image in images)
            return abs(first - others[0]) if others else first

        return call

    module.create_metric = create_metric
    module.default_model_configs = configs
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    monkeypatch.setitem(sys.modules, "pyiqa.default_model_configs", configs)
    return SimpleNamespace(made=made)


def test_with_sources_and_alone(stand_in):
    lpips, musiq = select(["iqa:LPIPS", "iqa:musiq"])
    assert (lpips.name, lpips.needs, lpips.higher_is_better) == ("iqa:lpips", Needs.SOURCES, False)
    assert (musiq.needs, musiq.higher_is_better) == (Needs.NOTHING, True)
    assert lpips.summary.startswith("lpips as pyiqa computes it")
    found = evaluate(*PLANES, ["iqa:lpips", "iqa:musiq", "MSE"])
    # |1 - 0| and |1 - .2|, their mean.
    assert found["iqa:lpips"] == pytest.approx(0.9)
    assert found["iqa:musiq"] == pytest.approx(1)
    evaluate(*PLANES, ["iqa:lpips"])
    assert stand_in.made == [("lpips", "cpu"), ("musiq", "cpu")]  # loaded once


def test_an_unknown_name(stand_in):
    with pytest.raises(UsageError, match="pyiqa has no metric 'nope'"):
        select(["iqa:nope"])


def test_without_pyiqa(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ResourceError, match=r"pip install 'lkcfuse\[iqa\]'.*noncommercial"):
        select(["iqa:lpips"])


def test_a_pyiqa_that_cannot_be_imported(monkeypatch, tmp_path):
    package = tmp_path / "pyiqa"
    package.mkdir()
    (package / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.delitem(sys.modules, "pyiqa", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ResourceError, match=r"cannot be imported \(RuntimeError.*torchvision"):
        select(["iqa:lpips"])
