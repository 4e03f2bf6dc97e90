"""Exported models give what ours give, at sizes they were not traced with."""

import json

import numpy as np
import pytest
import torch
from networks import random_network
from stand_ins import stand_in_tensors

from lkcfuse.errors import LkcfuseError, UsageError
from lkcfuse.fusion import export
from lkcfuse.fusion.export import choose_export_format, export_model
from lkcfuse.fusion.model import FusionModel
from lkcfuse.models import load_network

# The exporters of torch and its packages warn of what they will change some day.
pytestmark = pytest.mark.filterwarnings("ignore")


def model_of(name):
    if name == "lkc-funet":
        return FusionModel(random_network(base="max"))
    return FusionModel(load_network(stand_in_tensors(name)))


def pair(count, height, width):
    return torch.rand(2, count, 1, height, width, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", ["lkc-funet", "seafusion", "ltofusion"])
def test_onnx_gives_the_same_at_another_size(name, tmp_path):
    import onnxruntime

    model = model_of(name)
    written = export_model(model, tmp_path / "model.onnx", "onnx")
    assert written["difference"] <= 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [value.name for value in session.get_inputs()] == ["first", "second"]
    assert [value.name for value in session.get_outputs()] == ["fused"]
    first, second = pair(3, 51, 86)
    (fused,) = session.run(None, {"first": first.numpy(), "second": second.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(fused, model(first, second).numpy(), atol=1e-4)
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["task"] == "ir-vis"
    assert metadata["architecture"] == name


@pytest.mark.parametrize("name", ["lkc-funet", "ltofusion"])
def test_a_torch_program_gives_the_same_at_another_size(name, tmp_path):
    model = model_of(name)
    export_model(model, tmp_path / "model.pt2", "torch")
    extra = {"lkcfuse.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=extra).module()
    assert json.loads(extra["lkcfuse.json"])["architecture"] == name
    first, second = pair(2, 45, 38)
    with torch.inference_mode():
        torch.testing.assert_close(program(first, second), model(first, second), atol=1e-4, rtol=0)


def test_a_model_that_differs_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(LkcfuseError, match=r"model\.pt2 was not written: .* differs from ours"):
        export_model(model_of("seafusion"), tmp_path / "model.pt2", "torch")
    assert list(tmp_path.iterdir()) == []


def test_the_format_is_the_suffixs_or_the_one_asked_for(tmp_path):
    assert choose_export_format(tmp_path / "a.ONNX", None) == "onnx"
    assert choose_export_format(tmp_path / "a.pt2", None) == "torch"
    assert choose_export_format(tmp_path / "a.bin", "onnx") == "onnx"
    with pytest.raises(UsageError, match=r"a\.bin does not end in \.onnx or \.pt2"):
        choose_export_format(tmp_path / "a.bin", None)
    with pytest.raises(UsageError, match="'tflite': choose onnx or torch"):
        choose_export_format(tmp_path / "a.bin", "tflite")
