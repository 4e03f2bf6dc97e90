"""Batches on the workers of a real Ray cluster, which are killed, interrupted and poisoned."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pairs import contents, make_pairs, write_noise

from lkcfuse.cli.app import run

NAMES = [f"{folder}{number}" for folder in ("", "day/") for number in range(10)]
SECONDS = 240


@pytest.fixture
def scene(tmp_path):
    """Pairs that take a network some tenths of a second each."""
    for name in NAMES:
        for seed, folder in enumerate(("ir", "vis")):
            write_noise(tmp_path / folder / f"{name}.png", 96, 128, 3, seed=seed + len(name))
    return tmp_path


@pytest.fixture
def start(scene):
    """Start a batch into a folder as a process; whatever it started ends with the test."""
    started = []

    def call(output, *options):
        words = ["batch", "ir", "vis", "-o", output, "--device", "cpu", *options]
        process = subprocess.Popen(
            [sys.executable, "-m", "lkcfuse", *words],
            cwd=scene,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        below = family(process)
        if process.poll() is None:
            process.kill()
        process.communicate()
        for other in below:
            with suppress(psutil.NoSuchProcess):
                other.kill()


RAY = ("--engine", "ray", "--workers", "2")


def family(process):
    """A process's children and theirs."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def workers(process):
    """The processes that hold a network."""
    found = []
    for child in family(process):
        with suppress(psutil.NoSuchProcess):
            if child.cmdline()[:1] and child.cmdline()[0].startswith("ray::Actor"):
                found.append(child)
    return found


def lines(folder: Path):
    """The names of the pairs in a journal, a name a line."""
    path = folder / ".lkcfuse" / "run.jsonl"
    if not path.exists():
        return []
    *whole, _ = path.read_text().split("\n")
    return [line["name"] for line in map(json.loads, whole) if line["type"] == "pair"]


def wait_for(condition, process=None):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finish(process):
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out.splitlines(), err


@pytest.mark.slow
def test_a_killed_worker_changes_no_file_and_repeats_no_line(start, scene):
    local = start("local", "--threads", "1")
    assert finish(local)[0] == 0
    process = start("fused", *RAY, "--metrics", "metrics.csv")
    wait_for(lambda: len(lines(scene / "fused")) >= 3, process)
    victim, *_ = workers(process)
    victim.kill()
    done = len(lines(scene / "fused"))
    code, out, err = finish(process)
    assert code == 0, err
    assert done < len(NAMES)
    assert f"a worker died (process {victim.pid} on" in err
    # Nothing of Ray's own goes to where the results go.
    assert sorted(out) == sorted(f"fused/{name}.png" for name in NAMES)
    assert all(line.startswith("lkcfuse: ") for line in err.splitlines()), err
    assert sorted(lines(scene / "fused")) == sorted(NAMES)
    assert contents(scene / "fused") == contents(scene / "local")
    rows = (scene / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1 : 1 + len(NAMES)]] == lines(scene / "local")

    code, out, err = finish(start("fused", "--threads", "2"))
    assert (code, len(out)) == (0, len(NAMES))
    assert f"{len(NAMES)} verified" in err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_driver_that_ends_takes_its_workers_along_and_loses_nothing(start, scene, number):
    process = start("fused", *RAY)
    wait_for(lambda: len(lines(scene / "fused")) >= 3, process)
    held, below = workers(process), family(process)
    process.send_signal(number)
    if number == signal.SIGINT:
        code, _, err = finish(process)
        assert code == 130
        assert re.search(
            r"lkcfuse: interrupted: \d+ of \d+ pairs done; run the same command to continue\n$", err
        )
    else:
        assert process.wait(SECONDS) == -number
    wait_for(lambda: not any(map(psutil.Process.is_running, held)))
    for other in below:  # what Ray lets live on for a minute holds nothing of ours
        with suppress(psutil.NoSuchProcess):
            other.kill()
    kept = contents(scene / "fused")
    assert kept.keys() <= {f"{name}.png" for name in NAMES}
    # Every file that is there is whole, and in the journal.
    assert {name.removesuffix(".png") for name in kept} <= set(lines(scene / "fused"))

    assert finish(start("fused", "--threads", "2"))[0] == 0
    assert finish(start("local", "--threads", "2"))[0] == 0
    assert contents(scene / "fused") == contents(scene / "local")
    assert all(contents(scene / "local")[name] == data for name, data in kept.items())


HOOK = """
import os, signal, sys, time

def hook(event, args):
    if event == "open" and str(args[0]).endswith({name!r}):
        with open({log!r}, "a") as log:
            print(os.getpid(), file=log)
        {action}

if any("default_worker" in word for word in sys.orig_argv):
    sys.addaudithook(hook)
"""


@pytest.fixture
def trap(scene, tmp_path_factory, monkeypatch):
    """Set what happens to a worker that opens a pair's first file; returns who opened it so far."""
    folder = tmp_path_factory.mktemp("hook")
    log = folder / "log"

    def set_trap(action):
        text = HOOK.format(name="ir/3.png", log=str(log), action=action)
        (folder / "sitecustomize.py").write_text(text)
        paths = (str(folder), os.environ.get("PYTHONPATH", ""))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        return lambda: log.read_text().split() if log.exists() else []

    return set_trap


@pytest.mark.slow
def test_a_pair_that_kills_its_workers_fails_alone(start, scene, trap):
    readers = trap("os.kill(os.getpid(), signal.SIGKILL)")
    code, out, err = finish(start("fused", *RAY))
    assert code == 1, err
    assert len(set(readers())) == 3
    assert "3: ir/3.png and vis/3.png: 3 workers crashed while this pair was in progress" in err
    assert "1 of 20 pairs failed: 3; the others are done" in err
    others = sorted(name for name in NAMES if name != "3")
    assert sorted(out) == sorted(f"fused/{name}.png" for name in others)
    assert sorted(lines(scene / "fused")) == others


@pytest.mark.slow
def test_a_worker_that_finds_other_weights_ends_the_run(start, scene, trap, make_weights):
    readers = trap("time.sleep(3600)")
    weights = scene / "w.safetensors"
    weights.write_bytes(make_weights("none").read_bytes())
    process = start("fused", *RAY, "--weights", "w.safetensors")
    wait_for(readers, process)
    # The file changes while workers are at it; who starts anew finds another.
    weights.write_bytes(make_weights("max").read_bytes())
    for worker in workers(process):
        worker.kill()
    code, _, err = finish(process)
    assert code == 4, err
    assert "weights 'w.safetensors' are a different file on" in err


CLUSTER = """
import ray
ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=100 << 20)
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


@pytest.fixture
def cluster(monkeypatch):
    """The address of a cluster that runs already, and ends with the test."""
    # On this machine alone, and without a token that the tests would have to keep.
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process.stdout.readline().strip()


@pytest.mark.slow
def test_a_cluster_that_runs_already_is_joined_where_asked(start, scene, cluster):
    code, out, err = finish(start("joined", "--engine", "ray", "--address", cluster))
    assert (code, len(out)) == (0, len(NAMES)), err
    assert "on 2 workers of Ray" in err
    # A cluster that does not grow never has what it has not.
    words = ("--engine", "ray", "--address", cluster, "--gpus-per-worker", "0.5")
    code, _, err = finish(start("none", *words))
    assert code == 5
    assert "a worker with 1 CPU and 0.5 GPU does not fit on any machine of the cluster" in err
    # Unasked, one of this machine alone is started beside it.
    code, _, err = finish(start("alone", "--engine", "ray", "--workers", "1"))
    assert code == 0, err
    assert contents(scene / "alone") == contents(scene / "joined")


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("127.0.0.1:1", 5, "no Ray cluster answers at '127.0.0.1:1' (Connection refused)"),
        ("ray://127.0.0.1:10001", 2, "neither HOST:PORT"),
        ("somewhere", 2, "neither HOST:PORT"),
    ],
)
def test_a_cluster_that_is_not_there(tmp_path, network, capsys, address, code, words):
    folders = make_pairs(tmp_path, ["1"])
    options = ["--engine", "ray", "--address", address, "--weights", str(network), "-q"]
    assert run(["batch", *map(str, folders), "-o", str(tmp_path / "fused"), *options]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_without_ray_the_cure_is_named(monkeypatch, tmp_path, capsys):
    folders = make_pairs(tmp_path, ["1"])
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["batch", *map(str, folders), "-o", str(tmp_path / "fused"), "--engine", "ray"]
    assert run(words) == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "lkcfuse: error: Ray is not installed: pip install 'lkcfuse[ray]'"
    assert not (tmp_path / "fused").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--address", "auto"), "--address applies to Ray workers: add --engine ray"),
        (("--workers", "2"), "--workers applies to Ray workers"),
        (("--engine", "dask"), "no engine is called 'dask'"),
        (
            ("--engine", "ray", "--gpus-per-worker", "1.5"),
            "--gpus-per-worker 1.5: give",
        ),
        (("--engine", "ray", "--device", "cuda:0"), "add --gpus-per-worker"),
    ],
)
def test_options_that_make_no_sense(tmp_path, capsys, options, words):
    folders = make_pairs(tmp_path, ["1"])
    assert run(["batch", *map(str, folders), "-o", str(tmp_path / "fused"), *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "fused").exists()
