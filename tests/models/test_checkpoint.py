import io
import json
import pickle
import random
import struct
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from networks import random_network
from safetensors import safe_open
from safetensors.torch import save

from lkcfuse.architectures.lkc_funet import NetworkConfig
from lkcfuse.architectures.lkc_funet.names import from_authors, to_authors
from lkcfuse.errors import WeightsError
from lkcfuse.models.checkpoint import CONFIG_KEY, load_checkpoint, load_network, save_checkpoint
from lkcfuse.models.metadata import read_processing

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
    with pytest.raises(WeightsError, match=r"'refine\.extra' is not part of this network"):
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
    with pytest.raises(WeightsError, match=r"'middle\.1\.depthwise\.weight' contains NaN"):
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


def with_metadata(folder, **metadata):
    path = folder / "w.safetensors"
    save_checkpoint(path, random_network(), metadata=metadata)
    return path


def edited_archive(path, edit):
    """Rewrite an archive's members: `edit` is given each one's name and bytes."""
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, edit(name, data))


def plain(**changes):
    return {**random_network().state_dict(), **changes}


TABLES = {
    "whole numbers as names": lambda: {3: torch.zeros(2)},
    "tuples as names": lambda: {("a", 1): torch.zeros(2)},
    "a whole number among names": lambda: {**plain(), 7: torch.zeros(1)},
    "a sparse tensor": lambda: plain(**{"head.conv.bias": torch.ones(1).to_sparse()}),
    "a compressed sparse tensor": lambda: plain(
        **{"refine.second.conv.weight": torch.eye(4).to_sparse_coo().coalesce()}
    ),
    "a tensor without data": lambda: plain(**{"head.conv.bias": torch.empty(1, device="meta")}),
    "a quantized tensor": lambda: plain(
        **{"head.conv.bias": torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.qint8)}
    ),
    "one number repeated": lambda: {"stem.conv.weight": torch.zeros(1).expand(1_000_000, 1000)},
    "a scalar": lambda: plain(**{"stem.conv.weight": torch.tensor(1.0)}),
    "a list": lambda: [torch.zeros(1)],
    "a table in a table": lambda: {"a": {"b": {"c": torch.zeros(1)}}},
    "a table with a whole number": lambda: {"a": {1: torch.zeros(1)}},
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.filterwarnings("ignore:.*(quantize|Sparse)")
def test_tensors_that_are_not_plain_are_refused(tmp_path, kind, suffix):
    path = tmp_path / f"w{suffix}"
    torch.save(TABLES[kind](), path)
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_that_are_packed_in_pairs_are_refused(tmp_path):
    tensor = {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}
    header = json.dumps({"stem.conv.weight": tensor}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(WeightsError, match=r"w\.safetensors: "):
        load_network(path)


def test_a_table_given_by_a_program_is_checked_like_a_file():
    for tensors in ({3: torch.zeros(2)}, {"a": 3}, TABLES["a sparse tensor"]()):
        with pytest.raises(WeightsError, match="these weights: "):
            load_network(tensors)


def test_an_archive_may_have_any_suffix(tmp_path):
    network = random_network()
    path = tmp_path / "w.safetensors"
    torch.save(network.state_dict(), path)
    assert torch.equal(load_network(path)(PAIR), network(PAIR))


def test_tensors_that_share_their_numbers_are_read(tmp_path):
    network = random_network()
    tensors = dict(network.state_dict())
    torch.save({"network": tensors["head.conv.bias"], "state_dict": tensors}, tmp_path / "w.pth")
    assert torch.equal(load_network(tmp_path / "w.pth")(PAIR), network(PAIR))


DAMAGES = {
    "version": lambda name, data: b"x" if name.endswith("version") else data,
    "no version": lambda name, data: b"" if name.endswith("version") else data,
    "byte order": lambda name, data: b"odd" if name.endswith("byteorder") else data,
    "pickle cut": lambda name, data: data[:-20] if name.endswith("data.pkl") else data,
    "pickle cut early": lambda name, data: data[:9] if name.endswith("data.pkl") else data,
    "no pickle": lambda name, data: b"" if name.endswith("data.pkl") else data,
    "a storage cut": lambda name, data: data[:-1] if "/data/" in name else data,
    "other names": lambda name, data: data.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"),
    "a memo that is missing": lambda name, data: data.replace(b"q\x01", b"h\xee"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_an_archive_that_is_damaged_anywhere_is_refused(tmp_path, damage, suffix):
    path = tmp_path / f"w{suffix}"
    torch.save(random_network().state_dict(), path)
    edited_archive(path, DAMAGES[damage])
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_byte_of_an_archive_may_be_wrong(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"stem.conv.weight": torch.zeros(2, 2, 3, 3)}, path)
    good = path.read_bytes()
    numbers = random.Random(1)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(numbers.choice((1, 3))):
            bad[numbers.randrange(len(bad))] = numbers.randrange(256)
        path.write_bytes(bad)
        with pytest.raises(WeightsError):
            load_network(path)


def test_an_archive_that_unpacks_to_more_than_it_has_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"stem.conv.weight": torch.zeros(2_000_000)}, path)
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(WeightsError, match=r"w\.pth: unpacks to \d+ bytes"):
        load_network(path)


@pytest.mark.parametrize(
    "stored",
    [
        "[" * 100_000,
        '{"base": ' * 60 + "1" + "}" * 60,
        '{"inner": ' + "9" * 400 + "}",
        '{"inner": 1e999, "kernels": [3, 3, 3]}',
        '{"inner": NaN, "kernels": [3, 3, 3]}',
        "3",
        "null",
        '{"kernels": 3}',
        r'{"base": "\ud800", "inner": 2, "kernels": [3, 3, 3]}',
    ],
)
def test_a_configuration_that_is_not_one_is_refused(tmp_path, stored):
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, random_network())
    with safe_open(path, framework="pt") as file:
        metadata = {**file.metadata(), CONFIG_KEY: stored}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    path.write_bytes(save(tensors, metadata=metadata))
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "stored", ["[" * 100_000, "[0, " + "9" * 400 + "]", "[0, 1e999]", "[NaN, 1]", "0", "[1, 0]"]
)
def test_a_range_that_is_not_one_is_refused(tmp_path, stored):
    path = with_metadata(tmp_path, input_range=stored, output_range="[0, 1]")
    with pytest.raises(WeightsError, match=r"w\.safetensors: its metadata field 'input_range' is"):
        read_processing(path)


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
