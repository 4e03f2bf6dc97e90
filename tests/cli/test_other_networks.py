"""SeAFusion and LTOFusion by name: fetched, verified, converted, run, and refused where unfit."""

import io
import json

import numpy as np
import pytest
import torch
from checkpoints import entry, write_manifest
from loopback import FileServer
from PIL import Image
from stand_ins import stand_in_tensors

from lkcfuse.models import load_network


def archive(network):
    """A checkpoint as its authors publish it: one table of tensors, or two."""
    tensors = stand_in_tensors(network)
    content = dict(tensors)
    if network == "ltofusion":
        content = {"policy": {}, "action": {}}
        for name, tensor in tensors.items():
            table, _, rest = name.partition(".")
            content[table][rest] = tensor
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.fixture
def served(tmp_path_factory, monkeypatch):
    """Both networks, with stand-in weights, under the names of the built-in manifest."""
    monkeypatch.setenv("LKCFUSE_CACHE", str(tmp_path_factory.mktemp("cache")))
    for name in ("LKCFUSE_MIRROR", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with FileServer().running() as server:
        sea, lto = archive("seafusion"), archive("ltofusion")
        server.files |= {"/SeAFusion.pth": sea, "/best.ckpt": lto}
        common = {"width": None, "notice": "ask its authors first"}
        medical = ["mri-ct", "mri-pet", "mri-spect"]
        entries = [
            entry("seafusion", server.url("/SeAFusion.pth"), sea, **common, stretch=True)
            | {"architecture": "seafusion"},
            entry("ltofusion-ir-vis", server.url("/best.ckpt"), lto, **common)
            | {"architecture": "ltofusion", "aliases": ["ltofusion"]},
            entry("ltofusion-medical", server.url("/best.ckpt"), lto, **common)
            | {"architecture": "ltofusion", "aliases": ["ltofusion"], "tasks": medical}
            | {"channel_order": ["first", "second"]},
        ]
        for fields in entries:
            del fields["width"]
        manifest = write_manifest(tmp_path_factory.mktemp("manifest") / "own.json", *entries)
        monkeypatch.setenv("LKCFUSE_MANIFEST", str(manifest))
        yield server


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """`ir.png`, grey, and `vis.png`, coloured; returned as arrays in [0, 1]."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    infrared = generator.integers(0, 256, (40, 60), np.uint8)
    visible = generator.integers(60, 200, (40, 60, 3), np.uint8)
    Image.fromarray(infrared).save("ir.png")
    Image.fromarray(visible).save("vis.png")
    return infrared / np.float32(255), visible / np.float32(255)


FUSE = ("fuse", "ir.png", "vis.png", "--device", "cpu", "-o", "out.png")


def test_seafusion_is_fetched_run_and_stretched(lkcfuse, served, pair):
    refused = lkcfuse(*FUSE, "--weights", "seafusion", "--offline")
    assert refused.code == 4
    assert "the network is off" in refused.err
    done = lkcfuse(*FUSE, "--weights", "seafusion")
    assert done.code == 0, done.err
    assert "ask its authors first" in done.err
    infrared, visible = pair
    luma = visible @ np.array([0.299, 0.587, 0.114], np.float32)
    sources = torch.from_numpy(np.stack([luma, infrared])[None])
    with torch.inference_mode():
        fused = load_network(stand_in_tensors("seafusion"))(sources)[0, 0].numpy()
    expected = np.clip(visible + (fused - luma)[..., None], 0, 1)
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    written = np.asarray(Image.open("out.png"), np.float32) / 255
    assert (written.min(), written.max()) == (0, 1)
    # Where the colour leaves the gamut it is the chroma that gives way, and not the luma.
    inside = (visible + (fused - luma)[..., None]).clip(0, 1) == visible + (fused - luma)[..., None]
    assert abs(written - expected)[inside.all(-1)].max() < 0.6 / 255
    requests = len(served.requests)
    again = lkcfuse(*FUSE, "--force", "--weights", "seafusion", "--offline")
    assert (again.code, len(served.requests)) == (0, requests)


@pytest.mark.parametrize(("task", "order"), [("ir-vis", (1, 0)), ("mri-pet", (0, 1))])
def test_ltofusion_runs_as_the_task_needs(lkcfuse, served, pair, task, order):
    done = lkcfuse(*FUSE, "--weights", "ltofusion", "--task", task)
    assert done.code == 0, done.err
    infrared, visible = pair
    luma = visible @ np.array([0.299, 0.587, 0.114], np.float32)
    sources = torch.from_numpy(np.stack([(infrared, luma)[source] for source in order])[None])
    with torch.inference_mode():
        fused = load_network(stand_in_tensors("ltofusion"), task=task)(sources)[0, 0].numpy()
    written = np.asarray(Image.open("out.png"), np.float32) / 255
    assert abs(written @ np.array([0.299, 0.587, 0.114]) - fused).max() < 1 / 255


def test_in_tiles_it_is_the_same(lkcfuse, served, pair):
    for name, options in (("whole.png", ()), ("tiled.png", ("--tile", "32"))):
        done = lkcfuse(*FUSE[:-1], name, "--weights", "seafusion", *options)
        assert done.code == 0, done.err
    whole, tiled = (np.asarray(Image.open(name), int) for name in ("whole.png", "tiled.png"))
    assert abs(whole - tiled).max() <= 1


def test_a_batch_knows_them(lkcfuse, served, pair, tmp_path):
    for folder, file in (("ir", "ir.png"), ("vis", "vis.png")):
        (tmp_path / folder).mkdir()
        (tmp_path / file).rename(tmp_path / folder / "a.png")
    done = lkcfuse("batch", "ir", "vis", "-o", "fused", "--weights", "seafusion", "--device", "cpu")
    assert done.code == 0, done.err
    again = lkcfuse("batch", "ir", "vis", "-o", "fused", "--weights", "seafusion", "--json")
    assert again.code == 0, again.err


def test_another_architecture_than_the_manifests_is_refused(lkcfuse, served, pair, tmp_path):
    data = archive("ltofusion")
    served.files["/mixed.pth"] = data
    fields = entry("mixed", served.url("/mixed.pth"), data) | {"architecture": "seafusion"}
    del fields["width"]
    manifest = write_manifest(tmp_path / "mixed.json", fields)
    done = lkcfuse(*FUSE, "--weights", "mixed", "--manifest", manifest)
    assert done.code == 4
    assert "of the architecture ltofusion where the manifest says seafusion" in done.err


def test_a_manifest_must_name_a_known_architecture(lkcfuse, served, pair, tmp_path):
    fields = entry("odd", served.url("/best.ckpt"), b"odd") | {"architecture": "resnet"}
    manifest = write_manifest(tmp_path / "odd.json", fields)
    done = lkcfuse(*FUSE, "--weights", "odd", "--manifest", manifest)
    assert done.code == 4
    assert "'resnet' is not one of lkc-funet, seafusion, ltofusion" in done.err


def test_training_does_not_start_from_them(lkcfuse, served, pair, tmp_path):
    lkcfuse("weights", "pull", "seafusion")
    for folder, file in (("ir", "ir.png"), ("vis", "vis.png")):
        (tmp_path / folder).mkdir()
        (tmp_path / file).rename(tmp_path / folder / "a.png")
    done = lkcfuse("train", "ir", "vis", "-o", "mine.safetensors", "--init", "seafusion")
    assert done.code == 2
    assert "LKC-FUNet is to be trained" in done.err


def test_the_built_in_entries_say_where_they_come_from(lkcfuse, monkeypatch):
    monkeypatch.delenv("LKCFUSE_MANIFEST", raising=False)
    rows = {row["name"]: row for row in json.loads(lkcfuse("weights", "list", "--json").text)}
    assert rows["seafusion"]["licence"] == "MIT"
    assert rows["seafusion"]["architecture"] == "seafusion"
    assert rows["ltofusion-ir-vis"]["sha256"] == rows["ltofusion-medical"]["sha256"]
    card = lkcfuse("weights", "show", "seafusion").text
    assert "Network        SeAFusion\n" in card
    assert "MIT" in card
