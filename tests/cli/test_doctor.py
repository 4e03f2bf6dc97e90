"""`lkcfuse doctor` end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import torch
from checkpoints import authors_pth, entry, tiny_network, write_manifest
from loopback import FileServer

from lkcfuse.diagnosis import machine, trial
from lkcfuse.errors import ResourceError
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.inference.storage import Scratch
from lkcfuse.ops.streaming import layers
from lkcfuse.tasks import TASKS


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LKCFUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def records(finished):
    found = [json.loads(line) for line in finished.text.splitlines()]
    return {record["check"]: record for record in found}


def test_all_is_well_here_and_nothing_is_left_behind(lkcfuse, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(trial, "USUAL", (32, 32))
    before = sorted(tmp_path.rglob("*"))
    finished = lkcfuse("doctor", "--json", "--device", "cpu", "--threads", "1")
    assert finished.code == 0
    assert finished.err == ""
    found = records(finished)
    assert {record["status"] for record in found.values()} <= {"ok", "warning"}
    assert 0 < found["network"]["difference_levels"] < 0.01
    assert found["network"]["seconds"] > 0
    assert set(found["packaged"]["weights"]) == {f"lkcfuse-{name}" for name in TASKS}
    assert found["settings"]["environment"]["LKCFUSE_CACHE"] == str(cache)
    assert found["settings"]["environment"]["HF_HUB_OFFLINE"] == "1"
    assert found["cpu"]["cpus"] >= 1
    assert found["device"]["auto"] == (found["gpu"]["devices"] or ["cpu"])[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_text_is_a_line_a_check(lkcfuse_process):
    finished = lkcfuse_process("doctor", "--threads", "1")
    assert finished.code == 0, finished.err
    names = [line.split()[0] for line in finished.text.splitlines()]
    assert names[:2] == ["lkcfuse", "libraries"]
    assert names[-1] == "network"
    assert "640x480 pixels in" in finished.text


@pytest.mark.parametrize(("device", "code"), [("cuda:99", 5), ("tpu", 2)])
def test_a_device_that_is_not_there(lkcfuse, device, code):
    finished = lkcfuse("doctor", "--device", device, "--quiet")
    finished.assert_fails(code, "1 check failed: network: ", device.partition(":")[0])


def test_a_wrong_convolution_is_found(monkeypatch):
    spectrum = layers.kernel_spectrum

    def slightly_wrong(*arguments):
        return spectrum(*arguments).mul_(1.02)

    monkeypatch.setattr(layers, "kernel_spectrum", slightly_wrong)
    monkeypatch.setattr(trial, "USUAL", (32, 32))
    (finding,) = trial.try_device("cpu", 1)
    assert finding.status == "failed"
    assert finding.details["difference_levels"] > trial.TOLERANCE
    assert finding.cure.startswith("do not use cpu")


def test_damaged_weights_are_found(lkcfuse, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "USUAL", (32, 32))
    data = authors_pth(tiny_network())
    with FileServer().running() as server:
        server.files["/tiny.pth"] = data
        manifest = write_manifest(
            tmp_path / "own.json", entry("tiny", server.url("/tiny.pth"), data)
        )
        assert lkcfuse("weights", "pull", "tiny", "--manifest", manifest).code == 0
    command = ("doctor", "--json", "--device", "cpu", "--manifest", manifest)
    assert records(lkcfuse(*command))["cached"]["weights"] == {"tiny": None}
    (path,) = (cache / "weights").glob("tiny-*.safetensors")
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    finished = lkcfuse(*command)
    assert finished.code == 4
    assert records(finished)["cached"]["status"] == "failed"
    assert "does not match its hash" in finished.err
    assert path.read_bytes() == damaged


def test_scratch_that_cannot_be_written(tmp_path, unprivileged_folder):
    for folder in (tmp_path / "absent", unprivileged_folder):
        (finding,) = machine.check_scratch(folder)
        assert finding.status == "failed"
        assert str(folder) in finding.text
        assert "--scratch" in finding.cure


def test_scratch_in_memory_is_told():
    kinds = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    for folder, kind in kinds.items():
        if folder.is_dir() and os.access(folder, os.W_OK):
            assert machine._is_in_memory(folder) == (kind in ("tmpfs", "ramfs"))
            assert machine._is_in_memory(folder / "below") == (kind in ("tmpfs", "ramfs"))


def test_a_gpu_that_torch_cannot_use_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine._unused_gpu(tmp_path) is None
    driver = tmp_path / "proc/driver/nvidia/version"
    driver.parent.mkdir(parents=True)
    driver.touch()
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "torch cannot use the NVIDIA GPU" in machine._unused_gpu(tmp_path)[0]
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert "CUDA 12.8" in machine._unused_gpu(tmp_path)[1]


def test_a_torch_that_does_not_import_is_told(tmp_path):
    broken = tmp_path / "torch"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('libtorch_cpu.so: cannot open')\n")
    finished = subprocess.run(
        [sys.executable, "-m", "lkcfuse", "doctor"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert finished.returncode == 5
    assert "Traceback" not in finished.stderr
    assert "libtorch_cpu.so: cannot open" in finished.stderr
    assert "memory " in finished.stdout


def test_the_packaged_network_is_tried_whatever_manifests_say(lkcfuse, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "USUAL", (32, 32))
    data = authors_pth(tiny_network())
    own = entry("lkcfuse-ir-vis", "https://localhost/none.pth", data)
    path = write_manifest(tmp_path / "own.json", own)
    monkeypatch.setenv("LKCFUSE_MANIFEST", str(path))
    monkeypatch.setenv("LKCFUSE_MIRROR", "https://me:secret@mirror.example/models")
    finished = lkcfuse("doctor", "--device", "cpu", "--json", "--threads", "1")
    assert finished.code == 0, finished.err
    found = records(finished)
    assert found["network"]["status"] == "ok"
    assert found["manifest"]["status"] == "warning"
    assert found["cpu"]["threads"] == 1
    assert "secret" not in finished.text + finished.err
    assert "mirror.example" in finished.text


def test_no_temporary_folder_at_all(tmp_path, scene, maximum_weights, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", no_folder)
    (finding,) = machine.check_scratch()
    assert finding.status == "failed"
    assert "no temporary folder" in finding.text
    Fuser(weights=maximum_weights, device="cpu").fuse_files(
        scene / "ir/1.png", scene / "vis/1.bmp", tmp_path / "x.png"
    )
    with pytest.raises(ResourceError, match=r"--scratch or TMPDIR"):
        Scratch(None).check(1)


def no_folder():
    raise FileNotFoundError(2, "No usable temporary directory found")
