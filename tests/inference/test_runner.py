import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import random_network

from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.inference import InferenceOptions, infer, plan_run, storage
from lkcfuse.inference.memory import available_memory
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


@pytest.mark.skipif(sys.platform == "win32", reason="no address-space limits there")
def test_an_address_space_limit_is_seen():
    import resource

    code = (
        "import resource, psutil\n"
        "from lkcfuse.inference.memory import available_memory\n"
        "used = psutil.Process().memory_info().vms\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)\n"
        "print(available_memory())\n"
    )
    assert resource.getrlimit(resource.RLIMIT_AS)
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert 150_000_000 < int(ran.stdout) <= 200_000_000
    assert available_memory() > 200_000_000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("tile", ["off", 64])
def test_a_gpu_gives_the_same(tile):
    network = random_network(inner=8)
    expected = whole(network)
    fused = infer(network, PAIR, device=torch.device("cuda"), options=InferenceOptions(tile=tile))
    assert abs(fused - expected).max() < 1e-3
