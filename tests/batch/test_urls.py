"""Batches from and to an S3 server on the loopback address."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from object_store import objects, s3_server, upload
from pairs import NAMES, contents, write_noise

from lkcfuse.batch import lease as lease_module
from lkcfuse.batch import open_batch, plan_folders, plan_list, read_pairs, segments
from lkcfuse.batch.journal import FOLDER, read_state
from lkcfuse.batch.lease import lease
from lkcfuse.batch.plan import Listed
from lkcfuse.batch.scoring import Scorer
from lkcfuse.batch.segments import Segments
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.remote import RemotePath


@pytest.fixture(scope="module")
def server():
    with s3_server() as started:
        yield started


@pytest.fixture
def top(server, tmp_path):
    return RemotePath(f"s3://bucket{tmp_path}")


@pytest.fixture
def urls(folders, top):
    return [upload(folder, top / folder.name) for folder in folders]


@pytest.fixture
def quick(monkeypatch):
    """Have locks live and die sooner."""
    monkeypatch.setattr(lease_module, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lease_module, "DEAD_SECONDS", 1.0)


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def test_objects_are_the_files_of_a_local_run(run, urls, top, folders, tmp_path, fuser):
    run()
    local = contents(tmp_path / "fused")
    assert set(statuses(run(plan=plan_folders(*urls, top / "fused")))) == {"fused"}
    assert objects(top / "fused") == local
    # From a disk to a store, and the other way.
    run(plan=plan_folders(*folders, top / "there"))
    run(plan=plan_folders(urls[0], folders[1], tmp_path / "back"))
    assert objects(top / "there") == contents(tmp_path / "back") == local

    (top / "fused" / "1.png").write_bytes(b"damaged")
    (top / "fused" / "10.png").unlink()
    again = run(plan=plan_folders(*urls, top / "fused"))
    assert {o.pair.name for o in again if o.status == "fused"} == {"1", "10"}
    assert statuses(again).count("verified") == 4
    assert objects(top / "fused") == local
    assert [pair.fused for pair in read_pairs(top / "fused")] == [o.pair.output for o in again]
    state = read_state(top / "fused")
    assert (sorted(state.pairs), state.damaged) == (sorted(NAMES), 0)
    assert not [path for path in (top / "fused").find() if path.suffix == ".lock"]


def test_somebody_else_s_object_is_kept(run, urls, top):
    theirs = top / "fused" / "10.png"
    theirs.write_bytes(b"theirs")
    with pytest.raises(UsageError, match=r"10\.png exists and is not in the journal"):
        run(plan=plan_folders(*urls, top / "fused"))
    assert theirs.read_bytes() == b"theirs"
    assert set(statuses(run(plan=plan_folders(*urls, top / "fused"), overwrite=True))) == {"fused"}


def test_listed_urls_and_metrics(run, urls, top, tmp_path):
    listed = [Listed(f"{urls[0]}/day/1.png", f"{urls[1]}/day/1.bmp", "a/b"), Listed(
        f"{urls[0]}/2.png", str(tmp_path / "vis" / "2.bmp"))]  # fmt: skip
    plan = plan_list(listed, top / "fused")
    assert [pair.name for pair in plan.pairs] == ["a/b", "2"]
    with Scorer("fused", ["EN"], workers=1) as scorer:
        outcomes = run(plan=plan, scorer=scorer)
    assert all(outcome.metrics["EN"] > 0 for outcome in outcomes)
    assert read_state(top / "fused").scores.keys() == {"a/b", "2"}


def test_an_output_inside_an_input_is_refused(urls, top):
    with pytest.raises(UsageError, match="inside the input folder"):
        plan_folders(*urls, top / "ir" / "fused")


def test_a_journal_of_many_segments_is_read_as_one(top, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 200)
    line = {"type": "unknown", "text": "x" * 50}
    folder = top / "fused"
    with lease(folder) as held:
        with Segments(folder, held) as journal:
            for _ in range(5):
                journal.append(line)
            journal.append(line, sync=False)
            written = [path for path in (folder / FOLDER).find() if path.suffix == ".jsonl"]
            assert len(written) == 2
        lines = b"".join(path.read_bytes() for path in written).splitlines()
    assert [json.loads(text) for text in lines] == [line] * 6
    assert read_state(folder).damaged == 0


def test_one_run_at_a_time_and_shards_side_by_side(top, quick):
    with lease(top):
        for shard in (None, (1, 2)):
            with pytest.raises(UsageError, match="another run is working"), lease(top, shard):
                pass
    with lease(top, (1, 2)), lease(top, (2, 2)):
        for shard in (None, (1, 2), (1, 3)):
            with pytest.raises(UsageError, match="another run is working"), lease(top, shard):
                pass
    with lease(top):
        pass
    assert top.find() == []


def test_shards_agree_on_their_settings(top, quick):
    with lease(top, (1, 2)) as first, lease(top, (2, 2)) as second:
        first.announce("these")
        with pytest.raises(UsageError, match="other settings"):
            second.announce("those")
        second.announce("these")


def test_a_dead_run_s_lock_is_taken_over(top, quick):
    (top / FOLDER / "run.lock").write_bytes(b'{"token": "dead"}')
    (top / FOLDER / "run-dead.beat").write_bytes(b'{"beat": 7}')
    (top / FOLDER / "run-1-of-2.lock").write_bytes(b"")
    notes = []
    with lease(top, notify=notes.append) as held:
        held.check()
        assert [path.name for path in (top / FOLDER).find() if path.suffix == ".lock"] == [
            "run.lock"
        ]
    assert ["run.lock" in notes[0], "run-1-of-2.lock" in notes[1]] == [True, True]
    assert top.find() == []


def test_a_run_that_was_taken_for_dead_ends(urls, top, fuser, quick):
    plan = plan_folders(*urls, top / "fused")
    with open_batch(plan) as batch:
        outcomes = batch.run(fuser)
        next(outcomes)
        (top / "fused" / FOLDER / "run.lock").write_bytes(b'{"token": "another"}')
        time.sleep(1)
        with pytest.raises(ResourceError, match="another run has taken"):
            list(outcomes)
    # The lock is the other's, and stays.
    assert (top / "fused" / FOLDER / "run.lock").exists()


def test_a_run_that_was_taken_for_dead_writes_nothing_over(top, quick):
    with lease(top) as held:
        time.sleep(0.5)
        place = top / FOLDER
        assert len([path for path in place.find() if path.suffix == ".beat"]) == 1
        # Its thread is stopped between looking at its lock and writing, as a machine that sleeps.
        with held._beating:
            time.sleep(0.5)
            (place / "run.lock").write_bytes(b'{"token": "another"}')
        time.sleep(0.5)
        assert (place / "run.lock").read_bytes() == b'{"token": "another"}'
        with pytest.raises(ResourceError, match="another run has taken"):
            held.check()
    assert [path.name for path in place.find()] == ["run.lock"]


def test_a_store_that_goes_away_stops_the_run(folders, fuser, tmp_path, run, quick):
    with s3_server() as server:
        plan = plan_folders(*folders, RemotePath("s3://bucket/fused"))
        with open_batch(plan) as batch:
            outcomes = batch.run(fuser)
            next(outcomes)
            server.stop()
            with pytest.raises(ResourceError, match="run the same command to continue"):
                list(outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("engine", [(), ("--engine", "ray", "--workers", "2")])
def test_a_killed_run_goes_on(top, tmp_path, engine):
    names = [str(number) for number in range(16)]
    for folder in ("ir", "vis"):
        for name in names:
            write_noise(tmp_path / folder / f"{name}.png", 96, 128, seed=len(folder) + int(name))
    places = [upload(tmp_path / folder, top / folder) for folder in ("ir", "vis")]

    def start(*words):
        command = [sys.executable, "-m", "lkcfuse", "batch", *map(str, words), "--device", "cpu"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    assert start(tmp_path / "ir", tmp_path / "vis", "-o", tmp_path / "local").wait(240) == 0
    process = start(*places, "-o", top / "fused", *engine)
    while len(objects(top / "fused")) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = objects(top / "fused")
    local = contents(tmp_path / "local")
    assert kept.items() <= local.items()
    assert len(kept) < len(names)
    # Nothing is there that the journal does not know, so that this goes on.
    assert {f"{name}.png" for name in read_state(top / "fused").pairs} >= kept.keys()
    assert start(*places, "-o", top / "fused", *engine).wait(240) == 0
    assert objects(top / "fused") == local
