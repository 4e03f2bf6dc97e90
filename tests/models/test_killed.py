"""A pull of a full-width checkpoint that is killed again and again: the known answers come out."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import write_manifest
from loopback import Answer
from reference_weights import reference_state_dict

from lkcfuse.models.checkpoint import load_network
from lkcfuse.models.hashing import sha256_of

GOLDEN = Path(__file__).parent.parent / "golden"
KILLS = 10


@pytest.fixture(scope="module")
def reference_pth(tmp_path_factory):
    """The stand-in for the authors' file: their keys, their format, their size."""
    path = tmp_path_factory.mktemp("served") / "best_VIF.pth"
    torch.save(
        {key: torch.from_numpy(value) for key, value in reference_state_dict().items()}, path
    )
    return path


@pytest.fixture
def command(server, reference_pth, tmp_path):
    server.files["/best_VIF.pth"] = reference_pth
    described = {
        "name": "lkc-funet-vif",
        "aliases": ["authors"],
        "tasks": ["ir-vis"],
        "width": 32,
        "source": {"url": server.url("/best_VIF.pth")},
        "bytes": reference_pth.stat().st_size,
        "sha256": sha256_of(reference_pth),
        "input_range": [0, 1],
        "output_range": [0, 1],
        "channel_order": ["second", "first"],
        "licence": "CC0-1.0",
        "citation": "nobody",
        "trained_on": "nothing",
    }
    manifest = write_manifest(tmp_path / "own.json", described)
    words = ["weights", "pull", "lkc-funet-vif", "--manifest", str(manifest)]
    return [sys.executable, "-m", "lkcfuse", *words]


def wait_until(condition, run):
    """Wait until the condition holds or the process has ended; tell which."""
    while run.poll() is None:
        if condition():
            return True
        time.sleep(0.005)
    return False


def check_records(folder):
    """Whatever is recorded as ready is whole, at whatever point the process was killed."""
    for path in folder.glob("*.json"):
        if not path.name.endswith(".download.json"):
            record = json.loads(path.read_text())
            assert sha256_of(folder / record["file"]) == record["sha256"]


def check_answers(path):
    """Compare with the known answers for the reference weights."""
    network = load_network(path)
    cases = np.load(GOLDEN / "cases.npz")
    for index in (0, 1):
        with torch.inference_mode():
            found = network(torch.from_numpy(cases[f"x{index}"])).numpy()
        np.testing.assert_allclose(found, cases[f"y{index}"], rtol=0, atol=2e-4)


@pytest.mark.slow
def test_a_pull_killed_at_random_points_resumes_verifies_and_gives_the_known_answers(
    server, command, cache, reference_pth
):
    size = reference_pth.stat().st_size
    server.usual = Answer(bytes_per_second=150e6)
    folder = cache / "weights"
    chance = random.Random(20260117)
    reached = 0
    for kill in range(KILLS):
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        last = kill >= KILLS - 3
        if last:  # somewhere between the download's last byte and the record
            wait_until(lambda: any(folder.glob("*.source.pth")), run)
            time.sleep(chance.uniform(0, 1.5))
        else:
            point = chance.uniform(reached, reached + (size - reached) / (KILLS - 3 - kill))

            def downloaded(point=point):
                return sum(part.stat().st_size for part in folder.glob("*.download")) >= point

            assert wait_until(downloaded, run), run.communicate()
        run.send_signal(signal.SIGKILL)
        run.communicate()
        check_records(folder)
        reached = sum(part.stat().st_size for part in folder.glob("*.download"))
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    path = Path(ended.stdout.split()[1])
    left = sorted(file.suffix for file in folder.iterdir())
    assert left == [".json", ".lock", ".safetensors"]

    starts = [
        int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        for request in server.gets()
    ]
    assert starts == sorted(starts)
    assert starts[-1] > size / 2
    assert sha256_of(path) == json.loads(path.with_suffix(".json").read_text())["sha256"]
    check_answers(path)

    asked = len(server.requests)
    again = subprocess.run([*command, "--offline"], capture_output=True, text=True, check=True)
    assert again.stdout == ended.stdout
    assert len(server.requests) == asked


@pytest.mark.slow
def test_a_flaky_and_throttled_server_gives_the_known_answers(server, command, reference_pth):
    size = reference_pth.stat().st_size
    server.plan.extend(
        [
            Answer(status=503),
            Answer(drop_at=size // 3),
            Answer(status=429, headers={"Retry-After": "1"}),
            Answer(drop_at=size // 4, bytes_per_second=200e6),
            Answer(drop_at=size // 4),
            Answer(length="none", ranges=False, drop_at=size // 2),
        ]
    )
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stderr.count("trying again in") == 6
    check_answers(ended.stdout.split()[1])
