"""Batches that are killed, and disks that fill up: nothing half-written, nothing lost.

A process that has torch loaded forks a child for each run, so that most of a child's short life
is the batch's own work, and not imports. The children die by SIGKILL.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from pairs import contents, make_pairs, write_noise

KILLS = int(os.environ.get("LKCFUSE_TEST_KILLS", "40"))
"""Kills of the first series; the second has half as many."""

NAMES = [f"{folder}{number}" for folder in ("", "day/", "deep/er/") for number in range(5)]

# One line in: the words of a command. Two out: the child's process, and the status it ended with.
NURSERY = """
import json, os, sys
import torch
import lkcfuse.inference, lkcfuse.models, lkcfuse.batch, lkcfuse.fusion.fuser, cv2
from lkcfuse.cli.app import run

torch.set_num_threads(1)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = run(json.loads(line))
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(child, file=sys.stderr, flush=True)
    print(os.waitpid(child, 0)[1], file=sys.stderr, flush=True)
"""


@dataclass
class Nursery:
    process: subprocess.Popen[str]

    def start(self, *words):
        """Start a run, and return its process."""
        print(json.dumps([str(word) for word in words]), file=self.process.stdin, flush=True)
        return int(self.process.stderr.readline())

    def finish(self, *words):
        """Let a run come to its end, and return the seconds it took."""
        started = time.monotonic()
        self.start(*words)
        assert self.end() == 0
        return time.monotonic() - started

    def end(self):
        """Wait until the run has ended, and return its exit code; below 0 for a signal."""
        return os.waitstatus_to_exitcode(int(self.process.stderr.readline()))


@pytest.fixture
def nursery():
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        yield Nursery(process)
        process.stdin.close()


@pytest.fixture
def command(tmp_path, network):
    """The words of a batch that writes into a folder, with weights and further options."""
    folders = make_pairs(tmp_path, NAMES)

    def words(folder, *options, weights=network):
        settings = ("--weights", weights, "--device", "cpu", "--threads", 1, "-q")
        return ["batch", *folders, "-o", folder, *settings, *options]

    return words


def kill_series(nursery, words, folder, references, restore, *, seconds, kills, seed):
    """Kill runs at random moments until they were killed often enough.

    After each kill every file in the folder must be one of the references' of its name, whole.

    A moment is any up to somewhat more than the `seconds` that an undisturbed run takes. Whenever a
    run comes to its end undisturbed, `restore` makes the folder what it was at first.

    Returns:
        Numbers of kills, of those before the first file and midway, of runs that came to their
        end, and of files compared.
    """
    counts = dict.fromkeys(("kills", "early", "midway", "finished", "files"), 0)
    rng = random.Random(seed)
    while counts["kills"] < kills:
        child = nursery.start(*words)
        time.sleep(rng.uniform(0, 1.1 * seconds))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        code = nursery.end()
        assert code in (0, -signal.SIGKILL)
        found = contents(folder) if folder.exists() else {}
        found = {name: data for name, data in found.items() if ".lkcfuse-" not in name}
        counts["files"] += len(found)
        for name, data in found.items():
            assert data in references[name], f"{name} is half-written"
        if code == 0:
            assert contents(folder) == {name: wanted[-1] for name, wanted in references.items()}
            counts["finished"] += 1
            restore()
        else:
            counts["kills"] += 1
            done = sum(found.get(name) == wanted[-1] for name, wanted in references.items())
            counts["midway" if 0 < done < len(references) else "early"] += 1
    # Whatever the last kill left is finished by a run that is let alone.
    nursery.finish(*words)
    assert contents(folder) == {name: wanted[-1] for name, wanted in references.items()}
    return counts


@pytest.mark.slow
def test_kills_at_random_moments_leave_what_an_undisturbed_run_leaves(nursery, command, tmp_path):
    undisturbed = tmp_path / "undisturbed"
    seconds = nursery.finish(*command(undisturbed))
    references = {name: [data] for name, data in contents(undisturbed).items()}
    assert len(references) == len(NAMES)
    fused = tmp_path / "fused"

    def restore():
        shutil.rmtree(fused)

    words = command(fused)
    counts = kill_series(
        nursery, words, fused, references, restore, seconds=seconds, kills=KILLS, seed=1
    )
    assert counts["kills"] == KILLS
    assert counts["midway"] > KILLS // 10, counts
    print(f"kill series: {counts}, 0 files that differ")


@pytest.mark.slow
def test_kills_while_outputs_are_replaced_leave_the_old_or_the_new(
    nursery, command, make_weights, tmp_path
):
    versions = []
    weights = (make_weights("none"), make_weights("max"))
    for number, path in enumerate(weights):
        seconds = nursery.finish(*command(tmp_path / f"undisturbed{number}", weights=path))
        versions.append(contents(tmp_path / f"undisturbed{number}"))
    old, new = versions
    assert all(old[name] != new[name] for name in old)
    fused = tmp_path / "fused"

    def restore():
        shutil.rmtree(fused, ignore_errors=True)
        shutil.copytree(tmp_path / "undisturbed0", fused)

    restore()
    references = {name: [old[name], new[name]] for name in old}
    words = command(fused, "--force", weights=weights[1])
    counts = kill_series(
        nursery, words, fused, references, restore, seconds=seconds, kills=KILLS // 2, seed=2
    )
    # At every moment every file is there, whole.
    assert counts["files"] == len(NAMES) * (counts["kills"] + counts["finished"])
    assert counts["midway"] > KILLS // 20, counts
    print(f"kill series over older outputs: {counts}, 0 files that differ")


def limited(kilobytes):
    """Start the program where no file may grow beyond a size: the system's own failure."""
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes * 1024},) * 2)"
    return [
        sys.executable,
        "-c",
        f"import resource; {limit}; import lkcfuse.cli.app as a; a.main()",
    ]


def small_disk(kilobytes, folder, saved):
    """Start the program where the output folder is a disk of its own, which is small."""
    script = (
        'mount -t tmpfs -o size="$1"k tmpfs "$2" || exit 99; out=$3; disk=$2; shift 3; "$@"; '
        'code=$?; cp -a "$disk/." "$out/"; exit $code'
    )
    return ["unshare", "-rm", "sh", "-c", script, "sh", str(kilobytes), str(folder), str(saved),
            sys.executable, "-m", "lkcfuse"]  # fmt: skip


def can_mount():
    with contextlib.suppress(OSError):
        mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0
    return False


# A disk of one's own needs a kernel that lets users mount one; a limit on a file's size does not.
WAYS = ["file", "journal", *(["disk"] if can_mount() else [])]


@pytest.mark.parametrize("way", WAYS)
def test_a_disk_that_fills_up_stops_the_run_and_the_next_one_finishes(way, command, run, tmp_path):
    for folder in ("ir", "vis"):
        # The images before this one fit, and this one does not.
        write_noise(tmp_path / folder / "deep/er/0.png", 130, 150, seed=len(folder))
    (tmp_path / "vis" / "deep/er/0.bmp").unlink()
    reference = tmp_path / "undisturbed"
    fused, saved = tmp_path / "fused", tmp_path / "saved"
    for folder in (fused, saved):
        folder.mkdir()
    start = {
        "file": limited(16),
        "journal": limited(3),
        "disk": small_disk(72, fused, saved) if way == "disk" else None,
    }[way]
    words = [str(word) for word in command(fused, "--format", "bmp")]
    stopped = subprocess.run([*start, *words], capture_output=True, text=True, check=False)
    assert stopped.returncode == 5, stopped.stderr
    (line,) = stopped.stderr.splitlines()
    reason = "No space left on device" if way == "disk" else "File too large"
    assert f"cannot be written: {reason}" in line
    assert "run the same command to continue" in line
    if way == "disk":
        shutil.rmtree(fused)
        saved.rename(fused)
    assert not list(fused.rglob(".lkcfuse-*"))
    kept = contents(fused)
    assert 0 < len(kept) < len(NAMES)

    from lkcfuse.batch import plan_folders
    from lkcfuse.images import ReadOptions
    from lkcfuse.pairs import PairOptions

    sources = (tmp_path / "ir", tmp_path / "vis")
    as_commands_read = PairOptions(
        first=ReadOptions(value_range="auto", palette="auto", radiometric="thermal"),
        second=ReadOptions(value_range="auto", radiometric="visible"),
    )
    run(plan=plan_folders(*sources, reference, format="bmp"), options=as_commands_read)
    outcomes = run(plan=plan_folders(*sources, fused, format="bmp"), options=as_commands_read)
    assert sum(outcome.status == "verified" for outcome in outcomes) == len(kept)
    assert contents(fused) == contents(reference)
