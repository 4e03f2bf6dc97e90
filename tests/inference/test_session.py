import gc
import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from networks import random_network

from lkcfuse.architectures.base import StreamingContext
from lkcfuse.architectures.registry import architecture_of
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.inference import InferenceOptions, InferenceSession, infer, plan_run, session, storage
from lkcfuse.inference.storage import MemoryMap, MemoryPool
from lkcfuse.ops.streaming.layers import SpectrumCache

PAIR = np.random.default_rng(0).random((2, 150, 170), dtype=np.float32)


def whole(network, pair=PAIR):
    with torch.inference_mode():
        return network(torch.from_numpy(pair)[None])[0, 0].numpy()


@pytest.mark.parametrize(("kind", "tolerance"), [("float32", 1e-4), ("float16", 2e-2)])
def test_maps_on_disk_give_the_same(monkeypatch, tmp_path, kind, tolerance):
    # Only native regions this small let so small an image need its scratch.
    monkeypatch.setattr("lkcfuse.architectures.lkc_funet.memory.NATIVE_FLOATS", 1000)
    monkeypatch.setattr("lkcfuse.ops.streaming.layers.NATIVE_FLOATS", 1000)
    network = random_network(inner=4)
    options = InferenceOptions(scratch=tmp_path, scratch_type=kind)
    plans = [plan_run(network, 150, 170, options)]
    for _ in range(2):  # with less, maps first get no larger buffers than they need
        options = replace(options, memory=plans[-1].memory - 1)
        plans.append(plan_run(network, 150, 170, options))
    assert [plan.slack > 1 for plan in plans[:2]] == [True, False]
    assert any(plans[2].scratch_levels)
    assert abs(infer(network, PAIR, options=options) - whole(network)).max() < tolerance
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_the_whole():
    network = random_network()
    seen = []
    infer(network, PAIR, progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) > 20


def test_the_work_counted_is_the_work_done():
    network, pool, counts = random_network(), MemoryPool(), []
    streaming = architecture_of(network).streaming
    context = StreamingContext(
        SpectrumCache(0),
        lambda _level, shape, _name, room: MemoryMap(*shape, pool, room),
        advance=counts.append,
    )
    with torch.inference_mode():
        streaming.run(network, torch.rand(2, 40, 60), context)
    assert sum(counts) == pytest.approx(streaming.multiplications(network, 40, 60), rel=0.02)


def test_a_second_image_finds_its_memory(monkeypatch):
    sizes = []
    new_tensor = storage.new_tensor
    monkeypatch.setattr(
        storage, "new_tensor", lambda *shape: sizes.append(shape) or new_tensor(*shape)
    )
    with InferenceSession(random_network()) as running:
        running.run(PAIR)
        first = list(sizes)
        running.run(PAIR)
        assert first
        assert sizes == first
    running.run(PAIR)  # what a session kept is gone after its end
    assert sizes == 2 * first


class Little:
    """Memory that the process may have beyond what it has now, as the system would tell it."""

    def __init__(self, nbytes):
        self.process = psutil.Process()
        self.most = self.process.memory_info().rss + nbytes

    def __call__(self):
        return max(0, self.most - self.process.memory_info().rss)


@pytest.mark.parametrize("granted", [False, True])
def test_what_is_kept_for_the_next_image_counts_as_free_for_it(monkeypatch, tmp_path, granted):
    network = random_network(inner=4)
    pair = np.random.default_rng(0).random((2, 600, 700), dtype=np.float32)
    needed = plan_run(network, 600, 700, InferenceOptions()).memory
    monkeypatch.setattr(session, "available_memory", Little(1.5 * needed))
    options = InferenceOptions(memory=int(1.1 * needed) if granted else None, scratch=tmp_path)
    results, plans = [], []
    running = InferenceSession(network, options=options)
    for _ in range(3):
        running.check(600, 700)
        results.append(running.run(pair))
        plans.append(running._plan)
    assert not any(plan.tiled for plan in plans)
    assert (results[0] == results[2]).all()


def test_an_image_of_another_size_holds_the_bound():
    images = [np.zeros((2, side, side), np.float32) for side in (300, 420)]
    networks = [random_network(inner=4) for _ in range(2)]
    granted = plan_run(networks[0], 300, 300, InferenceOptions()).memory
    options = InferenceOptions(memory=granted)
    sessions = [InferenceSession(network, options=options) for network in networks]
    for image in images:
        sessions[0].run(image)
    sessions[1].run(images[1])
    held = [running._pool.nbytes for running in sessions]
    assert held[0] == held[1] > 0


def test_weights_that_change_between_images_count():
    network = random_network(inner=8)
    running = InferenceSession(network)
    pair = np.random.default_rng(0).random((2, 64, 96), dtype=np.float32)
    for seed in range(2):
        network.load_state_dict(random_network(inner=8, seed=seed).state_dict())
        with torch.inference_mode():
            expected = network(torch.from_numpy(pair)[None])[0, 0].numpy()
        for _ in range(3):
            assert abs(running.run(pair) - expected).max() < 1e-4 * abs(expected).max()
    assert running._spectra.nbytes


def test_threads_share_a_session():
    running = InferenceSession(random_network())
    pairs = [np.random.default_rng(seed).random((2, 48, 48), dtype=np.float32) for seed in range(4)]
    alone = [running.run(pair) for pair in pairs]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda i: running.run(pairs[i % 4]), range(32)))
    finally:
        sys.setswitchinterval(before)
    for number, result in enumerate(together):
        assert abs(result - alone[number % 4]).max() < 1e-4


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 0, 8), (8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(2, H, W\)"):
        infer(random_network(), np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    "fields", [{"tile": 8}, {"memory": 0}, {"tile": 10**400}, {"memory": 10**400}]
)
def test_options_that_cannot_be_are_refused(fields):
    with pytest.raises(UsageError):
        InferenceOptions(**fields)


def test_more_memory_than_there_is_cannot_be_granted():
    with pytest.raises(ResourceError, match="granted"):
        plan_run(random_network(), 8, 8, InferenceOptions(memory=10**15))


def test_an_interrupted_run_leaves_nothing(tmp_path):
    network = random_network(inner=4)

    def interrupt(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infer(network, PAIR, options=InferenceOptions(scratch=tmp_path), progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    assert abs(infer(network, PAIR) - whole(network)).max() < 1e-4


def test_a_closed_session_keeps_nothing_and_two_do_not_meet():
    sessions = [InferenceSession(random_network(inner=8, seed=seed)) for seed in range(2)]
    results = []
    for running in sessions:
        results += [running.run(PAIR) for _ in range(2)]
        assert running.nbytes > 1_000_000
    held = sessions[1].nbytes
    sessions[0].close()
    assert (sessions[0].nbytes, sessions[1].nbytes) == (0, held)
    for index, running in enumerate(sessions):
        assert (running.run(PAIR) == results[2 * index]).all()


def test_what_a_dropped_session_kept_is_gone():
    running = InferenceSession(random_network(inner=8))
    running.run(PAIR)
    buffers = [weakref.ref(buffer) for buffer in running._pool._free]
    assert buffers
    del running
    gc.collect()
    assert not any(buffer() is not None for buffer in buffers)


def test_a_session_has_threads_of_its_own_number():
    before, seen = torch.get_num_threads(), []
    running = InferenceSession(random_network(), threads=3)
    running.run(PAIR, progress=lambda *_: seen.append(torch.get_num_threads()))
    assert set(seen) == {3}
    assert torch.get_num_threads() == before


_FORK = """
import multiprocessing, sys
import numpy as np
from networks import random_network
from lkcfuse.errors import UsageError
from lkcfuse.inference import InferenceSession

def work(queue, session):
    try:
        with session or InferenceSession(random_network()) as used:
            queue.put(used.run(np.zeros((2, 40, 40), np.float32)).shape)
    except UsageError as error:
        queue.put(str(error))

if __name__ == "__main__":
    session = InferenceSession(random_network(), threads=2)
    session.run(np.zeros((2, 40, 40), np.float32))
    context = multiprocessing.get_context("fork")
    for given in (session, None):
        queue = context.SimpleQueue()
        child = context.Process(target=work, args=(queue, given), daemon=True)
        child.start()
        print(queue.get())
        child.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_is_told_to_be_spawned():
    """torch would wait for threads that a fork does not copy."""
    paths = [str(Path(__file__).parents[1] / "support"), *sys.path]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done
    assert all("get_context('spawn')" in line for line in lines)
