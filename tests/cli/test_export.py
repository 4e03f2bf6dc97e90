"""`lkcfuse export` end to end."""

import json

import numpy as np
import pytest
import torch

from lkcfuse.models import load_network

pytestmark = pytest.mark.filterwarnings("ignore")


def test_weights_become_a_model_that_runs_elsewhere(lkcfuse, make_weights, tmp_path):
    import onnxruntime

    weights = make_weights("none", input_range=(-1, 1), output_range=(-2, 2))
    path = tmp_path / "model.onnx"
    done = lkcfuse("export", weights, "-o", path, "--json")
    assert done.code == 0, done.err
    record = json.loads(done.text)
    assert record["output"] == str(path)
    assert record["bytes"] == path.stat().st_size
    first, second = np.random.default_rng(0).random((2, 1, 1, 30, 41), dtype=np.float32)
    (fused,) = onnxruntime.InferenceSession(path).run(None, {"first": first, "second": second})
    planes = torch.from_numpy(np.concatenate([second, first], 1)) * 2 - 1
    with torch.inference_mode():
        wanted = (load_network(weights)(planes) + 2) / 4
    np.testing.assert_allclose(fused, wanted.clamp(0, 1), atol=1e-4)


def test_what_exists_is_kept(lkcfuse, maximum_weights, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"mine")
    lkcfuse("export", maximum_weights, "-o", path).assert_fails(2, str(path), "--force")
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "model.bin"], 2, "does not end in .onnx or .pt2"),
        (["-o", "model.bin", "--format", "tflite"], 2, "'tflite': choose onnx or torch"),
        (["-o", "model.pt2", "--task", "ct-mri"], 2, "no task is called 'ct-mri'"),
        (["-o", "absent/model.pt2"], 2, "absent"),
    ],
)
def test_wrong_usage_is_said_in_one_line(lkcfuse, maximum_weights, in_folder, words, code, said):
    done = lkcfuse("export", maximum_weights, *words, "--quiet")
    done.assert_fails(code, said)
    assert list(in_folder.iterdir()) == []


def test_unknown_weights_are_named(lkcfuse, in_folder):
    lkcfuse("export", "nobody", "-o", "a.onnx").assert_fails(4, "no weights are called 'nobody'")


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path
