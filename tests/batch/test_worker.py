"""A worker by itself, in this process: what an engine on other machines asks of it."""

from __future__ import annotations

import pickle
import threading
import time
from dataclasses import replace

import pytest
from pairs import contents

from lkcfuse.batch import open_batch, plan_folders, stages
from lkcfuse.batch.settings import Settings
from lkcfuse.batch.stages import DiskError, Stages
from lkcfuse.batch.worker import Orders, Ready, Worker, _Room
from lkcfuse.errors import InputError, ResourceError, UsageError, WeightsError
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.pairs import PairOptions
from lkcfuse.version import __version__


@pytest.fixture
def plan(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a worker changes it
    (tmp_path / "fused").mkdir()
    return plan_folders(*folders, tmp_path / "fused")


@pytest.fixture
def orders(plan, network, tmp_path):
    fuser = Fuser(weights=network, device="cpu", threads=1)
    settings = Settings.of(fuser, plan.format, PairOptions())
    return Orders(
        fuser=fuser,
        stages=Stages.of(plan, settings.key, PairOptions()),
        folder=str(tmp_path),
        host="driver",
        version=__version__,
        weights=fuser.weights.name,
        weights_sha256=fuser.weights.sha256,
    )


@pytest.fixture
def start():
    """Start a worker of orders that have travelled."""
    return lambda orders: Worker(pickle.loads(pickle.dumps(orders)))


def test_its_files_are_those_of_a_local_run(start, orders, plan, folders, fuser, tmp_path):
    worker = start(orders)
    assert isinstance(worker.hello(), Ready)
    for pair in plan.pairs:
        reply, data = worker.fuse(pair, None, overwrite=False)
        assert not pair.output.exists()
        assert reply.error is None
        assert worker.publish(pair, reply.record, data, overwrite=False) is None
        # Asked twice, as after a death in between, it has nothing to do.
        assert worker.publish(pair, reply.record, data, overwrite=False) is None
        again, nothing = worker.fuse(pair, reply.record, overwrite=True)
        assert (again.record, again.verified, nothing) == (reply.record, True, None)
    with open_batch(plan_folders(*folders, tmp_path / "local")) as batch:
        records = [outcome.record for outcome in batch.run(fuser)]
    assert contents(tmp_path / "fused") == contents(tmp_path / "local")
    assert records[-1].output.sha256 == reply.record.output.sha256


def test_what_makes_it_unfit(start, orders, tmp_path):
    weights = tmp_path / "here.safetensors"
    weights.write_bytes(b"on the driver alone")
    moved = Fuser(weights=weights)
    weights.unlink()
    for change, kind, words in (
        ({"weights_sha256": "0" * 64}, WeightsError, "a different file on"),
        ({"version": "0.0.0"}, ResourceError, "install the same"),
        ({"needs_gpu": True}, ResourceError, "torch on"),
        ({"fuser": moved}, WeightsError, "does not exist"),
    ):
        worker = start(replace(orders, **change))
        reply = worker.hello()
        assert reply.unfit
        assert type(reply.error) is kind
        assert words in str(reply.error)


def test_failures_travel_and_say_where(start, orders, plan, tmp_path):
    worker = start(orders)
    (tmp_path / "ir" / "1.png").write_bytes(b"no image")
    reply, data = worker.fuse(plan.pairs[0], None, overwrite=False)
    assert data is None
    assert type(pickle.loads(pickle.dumps(reply)).error) is InputError
    assert str(reply.error).endswith(f"(on {worker._host})")
    plan.pairs[1].output.write_bytes(b"theirs")
    reply, _ = worker.fuse(plan.pairs[1], None, overwrite=False)
    assert type(reply.error) is UsageError
    reply, data = worker.fuse(plan.pairs[1], None, overwrite=True)
    (tmp_path / "fused").rename(tmp_path / "gone")
    assert type(worker.publish(plan.pairs[1], reply.record, data, overwrite=True)) is DiskError


def test_one_pair_finds_room_however_large_and_another_waits():
    room = _Room()
    entered = threading.Event()

    def second():
        with room.for_a_pair():
            entered.set()

    thread = threading.Thread(target=second)
    with room.for_a_pair() as holds:
        thread.start()
        assert not entered.wait(0.1)
        holds(stages.PIXELS_IN_FLIGHT * 2)
        assert not entered.wait(0.1)
    assert entered.wait(10)
    thread.join()


def test_small_pairs_share_the_room():
    room = _Room()
    deadline = time.monotonic() + 10
    with room.for_a_pair() as holds:
        holds(100)
        with room.for_a_pair() as holds_too:
            holds_too(100)
    assert time.monotonic() < deadline
