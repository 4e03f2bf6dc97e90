from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys

import pytest
import torch
from checkpoints import TINY, authors_pth, entry, safetensors, tiny_network, write_manifest

from lkcfuse.architectures.processing import Processing
from lkcfuse.errors import UsageError, WeightsError
from lkcfuse.models import Manifest, load_manifest, resolve
from lkcfuse.models.checkpoint import load_checkpoint, load_network, save_checkpoint
from lkcfuse.models.fetch import pull
from lkcfuse.models.metadata import to_metadata
from lkcfuse.models.store import Store


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture
def pth(network, tmp_path):
    path = tmp_path / "best.pth"
    path.write_bytes(authors_pth(network))
    return path


@pytest.fixture
def manifest(server, tmp_path, pth):
    """A manifest with one entry, served, whose ranges are not the usual ones."""
    server.files["/best.pth"] = pth.read_bytes()
    described = entry(
        "tiny", server.url("/best.pth"), pth.read_bytes(), input_range=[-1, 1], aliases=["small"]
    )
    return write_manifest(tmp_path / "own.json", described)


def test_a_name_is_fetched_verified_and_described(manifest, network, said):
    found = resolve("tiny", "ir-vis", manifest=manifest, notify=said.append)
    assert found.name == "tiny"
    assert found.entry.name == "tiny"
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
    assert (found.processing.input_range, found.processing.output_range) == ((-1, 1), (0, 1))
    assert found.processing.channel_order == ("second", "first")
    loaded = load_network(found.path).state_dict()
    assert all(torch.equal(loaded[key], tensor) for key, tensor in network.state_dict().items())


def test_an_alias_is_as_good_as_a_name(manifest):
    assert resolve("small", "ir-vis", manifest=manifest, notify=print).name == "tiny"


def test_nothing_named_is_the_first_entry_of_the_task(manifest):
    tiny = load_manifest(manifest).get("tiny")
    assert resolve(None, "ir-vis", manifest=Manifest((tiny,)), notify=print).name == "tiny"
    with pytest.raises(WeightsError, match="no weights are known for mri-ct"):
        resolve(None, "mri-ct", manifest=Manifest((tiny,)))


def test_authors_picks_the_authors_weights_of_the_task(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for task, name in [("ir-vis", "vif"), ("mri-ct", "mif"), ("mri-pet", "mif")]:
        with pytest.raises(WeightsError, match=f"lkc-funet-{name}"):
            resolve("authors", task)


def test_weights_of_another_task_are_used_and_said_aloud(manifest, said):
    resolve("tiny", "mri-ct", manifest=manifest, notify=said.append)
    assert "weights 'tiny' were made for ir-vis, not for mri-ct" in said


def test_an_unknown_task_is_refused():
    with pytest.raises(UsageError, match="no task is called"):
        resolve(None, "ir-viz")


def test_a_bare_pth_is_taken_for_the_unit_range_said_aloud(pth, said):
    found = resolve(pth, "ir-vis", notify=said.append)
    assert (found.path, found.entry, found.name) == (pth, None, "best.pth")
    assert (found.processing.input_range, found.processing.output_range) == ((0, 1), (0, 1))
    assert said == [f"{pth} does not state its value ranges: assuming [0, 1] for input and output"]


def test_a_bare_file_the_manifest_knows_by_its_hash_takes_its_ranges(manifest, pth, said):
    found = resolve(pth, "ir-vis", manifest=manifest, notify=said.append)
    assert (found.path, found.entry.name) == (pth, "tiny")
    assert found.processing.input_range == (-1, 1)
    assert said == []


def test_metadata_come_before_the_manifest(network, tmp_path, said):
    processing = Processing((-1, 1), (0, 255), ("first", "second"))
    path = tmp_path / "own.safetensors"
    save_checkpoint(path, network, metadata=to_metadata(processing))
    listed = entry("known", "https://example.org/x.safetensors", path.read_bytes())
    manifest = write_manifest(tmp_path / "own.json", listed)
    found = resolve(path, "ir-vis", manifest=manifest, notify=said.append)
    assert found.entry.name == "known"
    assert found.processing == processing
    assert said == []


def test_a_converted_file_carried_elsewhere_keeps_its_ranges(manifest, tmp_path, said):
    path = resolve("tiny", "ir-vis", manifest=manifest, notify=print).path
    found = resolve(path.rename(tmp_path / "carried.safetensors"), "ir-vis", notify=said.append)
    assert found.processing.input_range == (-1, 1)
    assert said == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_range", "[1, 0]"),
        ("input_range", "[0, NaN]"),
        ("input_range", "7"),
        ("input_range", "["),
        ("output_range", '["a", "b"]'),
        ("channel_order", '["first"]'),
    ],
)
def test_metadata_without_sense_are_refused(network, tmp_path, key, value):
    path = tmp_path / "own.safetensors"
    save_checkpoint(path, network, metadata={**to_metadata(Processing()), key: value})
    with pytest.raises(WeightsError, match=f"own.safetensors: its metadata field '{key}' is not"):
        resolve(path, "ir-vis")


def test_half_of_the_ranges_are_refused(network, tmp_path):
    path = tmp_path / "own.safetensors"
    save_checkpoint(path, network, metadata={"input_range": "[0, 1]"})
    with pytest.raises(WeightsError, match=r"'output_range' is not"):
        resolve(path, "ir-vis")


def test_a_name_with_the_suffix_of_a_checkpoint_is_a_file():
    with pytest.raises(WeightsError, match=r"absent\.pth does not exist: .*weights list"):
        resolve("absent.pth", "ir-vis")


def test_a_file_without_a_suffix_is_found_when_no_name_matches(
    pth, tmp_path, monkeypatch, manifest, said
):
    monkeypatch.chdir(tmp_path)
    pth.rename(tmp_path / "weights")
    (tmp_path / "tiny").write_bytes(b"not this one")
    assert resolve("weights", "ir-vis", notify=said.append).path.name == "weights"
    assert resolve("tiny", "ir-vis", manifest=manifest, notify=print).entry.name == "tiny"


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(WeightsError, match="is not a file"):
        resolve(tmp_path, "ir-vis")


def test_home_is_understood(pth, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/best.pth", "ir-vis", notify=print).path == pth


@pytest.mark.parametrize("text", ["https://example.org/a.pth", "file:///a.pth", "s3://b/a.pth"])
def test_a_bare_address_is_refused_for_nothing_would_verify_it(text):
    with pytest.raises(WeightsError, match="cannot be verified"):
        resolve(text, "ir-vis")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(WeightsError, match="no weights are called 'nonsense'"):
        resolve("nonsense", "ir-vis")


def test_a_damaged_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "own.safetensors"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(WeightsError, match=r"own\.safetensors: neither a safetensors file"):
        resolve(path, "ir-vis")


def test_without_a_listener_it_is_logged(pth, caplog):
    with caplog.at_level(logging.WARNING, "lkcfuse"):
        resolve(pth, "ir-vis")
    assert "does not state its value ranges" in caplog.text


def test_resolving_what_is_cached_imports_neither_torch_nor_the_hub(manifest):
    pull(load_manifest(manifest).get("tiny"), Store(), notify=print)
    code = (
        "import sys\n"
        "from lkcfuse.models import resolve\n"
        "resolve('tiny', 'ir-vis', manifest=sys.argv[1], offline=True)\n"
        "print([name for name in ('torch', 'huggingface_hub', 'urllib3') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, manifest],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert ended.stdout == "[]\n"


def test_feed_survives_the_way_through_a_file(network, tmp_path):
    processing = Processing((-1.0, 1.0), (0.25, 0.75), ("first", "second"))
    path = tmp_path / "own.safetensors"
    path.write_bytes(safetensors(network, tmp_path, **to_metadata(processing)))
    assert json.loads(load_checkpoint(path).metadata["input_range"]) == [-1, 1]
    found = resolve(path, "ir-vis")
    assert found.processing == processing
    assert load_checkpoint(path).config == TINY
