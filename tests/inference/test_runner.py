import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from networks import random_network

from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.inference import InferenceOptions, check_run, infer, plan_run, runner, storage
from lkcfuse.inference.runner import multiplications

PAIR = np.random.default_rng(0).random((2, 150, 170), dtype=np.float32)


def whole(network, pair=PAIR):
    with torch.inference_mode():
        return network(torch.from_numpy(pair)[None])[0, 0].numpy()


@pytest.mark.parametrize(("kind", "tolerance"), [("float32", 1e-4), ("float16", 2e-2)])
def test_maps_on_disk_give_the_same(monkeypatch, tmp_path, kind, tolerance):
    # Only native regions this small let so small an image need its scratch.
    monkeypatch.setattr("lkcfuse.inference.plan.NATIVE_FLOATS", 1000)
    monkeypatch.setattr("lkcfuse.inference.layers.NATIVE_FLOATS", 1000)
    network = random_network(inner=4)
    options = InferenceOptions(scratch=tmp_path, scratch_type=kind)
    plans = [plan_run(network.config, 150, 170, options)]
    for _ in range(2):  # with less, maps first get no larger buffers than they need
        options = replace(options, memory=plans[-1].memory - 1)
        plans.append(plan_run(network.config, 150, 170, options))
    assert [plan.roomy for plan in plans[:2]] == [True, False]
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
    from lkcfuse.inference.layers import SpectrumCache
    from lkcfuse.inference.storage import MemoryMap, MemoryPool
    from lkcfuse.inference.streaming import StreamingRun

    network, pool, counts = random_network(), MemoryPool(), []
    with torch.inference_mode():
        StreamingRun(
            network,
            SpectrumCache(0),
            lambda _level, shape, _name, room: MemoryMap(*shape, pool, room),
            advance=counts.append,
        ).run(torch.rand(2, 40, 60))
    assert sum(counts) == pytest.approx(multiplications(network, 40, 60), rel=0.02)


def test_a_second_image_finds_its_memory(monkeypatch):
    sizes = []
    new_tensor = storage.new_tensor
    monkeypatch.setattr(
        storage, "new_tensor", lambda *shape: sizes.append(shape) or new_tensor(*shape)
    )
    network = random_network()
    infer(network, PAIR)
    first = list(sizes)
    infer(network, PAIR)
    assert first
    assert sizes == first


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
    needed = plan_run(network.config, 600, 700, InferenceOptions()).memory
    monkeypatch.setattr(runner, "available_memory", Little(1.5 * needed))
    options = InferenceOptions(memory=int(1.1 * needed) if granted else None, scratch=tmp_path)
    results, plans = [], []
    for _ in range(3):
        check_run(network, 600, 700, options)
        results.append(infer(network, pair, options=options))
        plans.append(runner._KEPT[network].plan)
    assert not any(plan.tiled for plan in plans)
    assert (results[0] == results[2]).all()


def test_an_image_of_another_size_holds_the_bound():
    images = [np.zeros((2, side, side), np.float32) for side in (300, 420)]
    networks = [random_network(inner=4) for _ in range(2)]
    granted = plan_run(networks[0].config, 300, 300, InferenceOptions()).memory
    options = InferenceOptions(memory=granted)
    for image in images:
        infer(networks[0], image, options=options)
    infer(networks[1], images[1], options=options)
    held = [runner._KEPT[network].pool.nbytes for network in networks]
    assert held[0] == held[1] > 0


def test_weights_that_change_between_images_count():
    network = random_network(inner=8)
    pair = np.random.default_rng(0).random((2, 64, 96), dtype=np.float32)
    for seed in range(2):
        network.load_state_dict(random_network(inner=8, seed=seed).state_dict())
        with torch.inference_mode():
            expected = network(torch.from_numpy(pair)[None])[0, 0].numpy()
        for _ in range(3):
            assert abs(infer(network, pair) - expected).max() < 1e-4 * abs(expected).max()
    assert runner._KEPT[network].spectra.nbytes


def test_threads_share_a_network():
    network = random_network()
    pairs = [np.random.default_rng(seed).random((2, 48, 48), dtype=np.float32) for seed in range(4)]
    alone = [infer(network, pair) for pair in pairs]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda i: infer(network, pairs[i % 4]), range(32)))
    finally:
        sys.setswitchinterval(before)
    for number, result in enumerate(together):
        assert abs(result - alone[number % 4]).max() < 1e-4


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 0, 8), (8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(2, H, W\)"):
        infer(random_network(), np.zeros(shape, np.float32))


@pytest.mark.parametrize("fields", [{"tile": 8}, {"memory": 0}])
def test_options_that_cannot_be_are_refused(fields):
    with pytest.raises(UsageError):
        InferenceOptions(**fields)


def test_more_memory_than_there_is_cannot_be_granted():
    with pytest.raises(ResourceError, match="granted"):
        plan_run(random_network().config, 8, 8, InferenceOptions(memory=10**15))


def test_an_interrupted_run_leaves_nothing(tmp_path):
    network = random_network(inner=4)

    def interrupt(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infer(network, PAIR, options=InferenceOptions(scratch=tmp_path), progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    assert abs(infer(network, PAIR) - whole(network)).max() < 1e-4
