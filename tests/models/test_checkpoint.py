import io
import pickle
import struct

import pytest
import torch
from networks import random_network

from lkcfuse.architectures.lkc_funet import NetworkConfig
from lkcfuse.architectures.lkc_funet.names import from_authors, to_authors
from lkcfuse.errors import WeightsError
from lkcfuse.models.checkpoint import load_checkpoint, load_network, save_checkpoint

PAIR = torch.rand(1, 2, 24, 20, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "config",
    [
        {"inner": 2, "kernels": (15, 11, 5)},
        {"inner": 4, "kernels": (5, 3, 1), "stem_norm": "instance", "base": "max"},
    ],
)
def test_any_configuration_survives_the_file(tmp_path, config):
    network = random_network(**config)
    save_checkpoint(tmp_path / "w.safetensors", network, metadata={"task": "ir-vis"})
    loaded = load_checkpoint(tmp_path / "w.safetensors")
    assert loaded.config == NetworkConfig(**config)
    assert loaded.metadata == {"task": "ir-vis"}
    assert torch.equal(loaded.network()(PAIR), network(PAIR))
    assert list(tmp_path.iterdir()) == [tmp_path / "w.safetensors"]


def test_float16_halves_the_file_and_keeps_statistics(tmp_path):
    network = random_network(inner=4)
    save_checkpoint(tmp_path / "full.safetensors", network)
    save_checkpoint(tmp_path / "half.safetensors", network, dtype=torch.float16)
    full, half = ((tmp_path / f"{n}.safetensors").stat().st_size for n in ("full", "half"))
    assert half < 0.6 * full
    loaded = load_network(tmp_path / "half.safetensors")
    assert torch.equal(loaded.stem.norm.running_mean, network.stem.norm.running_mean)
    torch.testing.assert_close(loaded(PAIR), network(PAIR), rtol=0, atol=0.02)


def authors_state_dict(network):
    return {to_authors(key): tensor for key, tensor in network.state_dict().items()}


def test_the_authors_names_are_read_with_and_without_their_prefix(tmp_path):
    network = random_network()
    renamed = authors_state_dict(network)
    assert all(key.startswith("model.") for key in renamed)
    assert all(from_authors(theirs) in network.state_dict() for theirs in renamed)
    torch.save(renamed, tmp_path / "best.pth")
    bare = {key.removeprefix("model."): tensor for key, tensor in renamed.items()}
    torch.save({"state_dict": bare, "epoch": 3}, tmp_path / "nested.pth")
    for source in (renamed, bare, tmp_path / "best.pth", tmp_path / "nested.pth"):
        assert torch.equal(load_network(source)(PAIR), network(PAIR))


def test_a_missing_tensor_is_named():
    tensors = dict(random_network().state_dict())
    del tensors["refine.shortcut.bias"]
    with pytest.raises(WeightsError, match=r"'refine\.shortcut\.bias' is missing"):
        load_network(tensors)


def test_a_tensor_left_over_is_named():
    tensors = {**random_network().state_dict(), "refine.extra": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"'refine\.extra' is left over"):
        load_network(tensors)
    with pytest.raises(WeightsError, match=r"'model.strange' is not a tensor of LKC-FUNet"):
        load_network({**authors_state_dict(random_network()), "model.strange": torch.zeros(1)})


def test_a_wrong_shape_is_named_with_both_shapes():
    tensors = {**random_network().state_dict(), "head.conv.bias": torch.zeros(3)}
    with pytest.raises(WeightsError, match=r"'head.conv.bias' has shape \(3,\) instead of \(1,\)"):
        load_network(tensors)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool])
def test_whole_numbers_for_floats_are_refused(tmp_path, dtype):
    tensors = dict(random_network().state_dict())
    tensors["head.conv.weight"] = tensors["head.conv.weight"].to(dtype)
    path = tmp_path / "quantised.pth"
    torch.save(tensors, path)
    with pytest.raises(WeightsError, match=r"quantised\.pth: .*'head\.conv\.weight' is (int|bool)"):
        load_network(path)


def test_a_counter_may_be_a_float():
    network = random_network(stem_norm="batch")
    tensors = {key: tensor.float() for key, tensor in network.state_dict().items()}
    torch.testing.assert_close(load_network(tensors)(PAIR), network(PAIR))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(value):
    tensors = {key: tensor.clone() for key, tensor in random_network().state_dict().items()}
    tensors["middle.1.depthwise.weight"][0, 0, 2, 2] = value
    with pytest.raises(WeightsError, match=r"'middle\.1\.depthwise\.weight' has values"):
        load_network(tensors)


class Trap:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def write_damaged(folder, kind):
    path = folder / f"{kind}.bin"
    good = folder / "good.safetensors"
    save_checkpoint(good, random_network())
    archive = io.BytesIO()
    torch.save({"a": torch.zeros(100)}, archive)
    trap = io.BytesIO()
    torch.save({"a": Trap()}, trap)
    contents = {
        "text": b"these are no weights",
        "empty": b"",
        "truncated safetensors": good.read_bytes()[:-100],
        "lying header": struct.pack("<Q", 2**40) + good.read_bytes()[8:],
        "truncated archive": archive.getvalue()[:300],
        "code": trap.getvalue(),
        "bare pickle": pickle.dumps({"a": Trap()}),
        "no tensors": None,
        "another network": None,
    }
    if contents[kind] is not None:
        path.write_bytes(contents[kind])
    else:
        content = {"a": 3} if kind == "no tensors" else {"conv.weight": torch.zeros(3, 3)}
        torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "text",
        "empty",
        "truncated safetensors",
        "lying header",
        "truncated archive",
        "code",
        "bare pickle",
        "no tensors",
        "another network",
    ],
)
def test_files_that_are_no_such_network_are_refused_by_name(tmp_path, kind):
    path = write_damaged(tmp_path, kind)
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        load_network(tmp_path / "absent.safetensors")
    with pytest.raises(WeightsError, match="is a folder"):
        load_network(tmp_path)


def test_every_authors_name_maps_there_and_back():
    for key in random_network().state_dict():
        assert from_authors(to_authors(key)) == key
    assert from_authors("model.classifier.weight") is None
    assert to_authors("classifier.weight") is None
