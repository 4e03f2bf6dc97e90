"""Images on a GPU. Where there is none, the CPU takes its place, or torch's fake one."""

import threading
from weakref import WeakKeyDictionary

import numpy as np
import pytest
import torch
from networks import random_network
from torch._subclasses.fake_tensor import FakeTensorMode

from lkcfuse.architectures.lkc_funet.blocks import LargeKernelBlock
from lkcfuse.architectures.registry import architecture_of
from lkcfuse.errors import ResourceError
from lkcfuse.inference import InferenceOptions, InferenceSession, gpu, infer, plan_run, session
from lkcfuse.ops.large_kernel import LargeKernelConv2d
from lkcfuse.ops.streaming.offload import GpuOffload

SESSIONS = WeakKeyDictionary()

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


def random_pair(height, width, seed=0):
    return torch.rand(2, height, width, generator=torch.Generator().manual_seed(seed)).numpy()


def whole(network, pair):
    with torch.inference_mode():
        return network(torch.from_numpy(pair)[None])[0, 0].numpy()


def on_gpu(network, pair, **options):
    """What a session does on a GPU, with the CPU in its place."""
    running = SESSIONS.setdefault(network, InferenceSession(network))
    running.options = InferenceOptions(**options)
    with torch.inference_mode():
        return running._run_on_gpu(torch.from_numpy(pair), None).numpy()


def out_of_memory(*_args, **_options):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


@pytest.fixture
def too_small(monkeypatch):
    """A GPU that no image fits."""
    monkeypatch.setattr(session, "fits", lambda *_: False)


@pytest.fixture
def tried(monkeypatch):
    """The tiles of the runs by regions."""
    tiles, run = [], InferenceSession._run_on_cpu

    def recorded(self, network, pair, options, *rest):
        tiles.append(options.tile)
        return run(self, network, pair, options, *rest)

    monkeypatch.setattr(InferenceSession, "_run_on_cpu", recorded)
    return tiles


@pytest.mark.parametrize("config", [{}, {"stem_norm": "instance", "base": "max"}, {"inner": 8}])
@pytest.mark.parametrize("size", [(1, 1), (37, 4), (130, 151)])
@pytest.mark.parametrize("tile", ["auto", 57])
def test_any_tiling_gives_the_whole_image_result(too_small, config, size, tile):
    network, pair = random_network(**config), random_pair(*size)
    fused = on_gpu(network, pair, tile=tile)
    assert fused.shape == size
    assert abs(fused - whole(network, pair)).max() < 1e-4


def test_whole_images_are_the_same_too(tried):
    network, pair = random_network(base="max"), random_pair(50, 70)
    for tile in ("auto", "off"):
        assert abs(on_gpu(network, pair, tile=tile) - whole(network, pair)).max() < 1e-4
    assert tried == []


def test_every_large_convolution_is_computed_on_the_gpu(monkeypatch):
    sent, convolution = [], GpuOffload.convolution
    monkeypatch.setattr(
        GpuOffload, "convolution", lambda self, conv: sent.append(conv) or convolution(self, conv)
    )
    network = random_network()
    on_gpu(network, random_pair(40, 60), tile=32)
    modules = list(network.modules())
    large = [m for m in modules if isinstance(m, LargeKernelConv2d) and m.out_channels > 1]
    large += [m.depthwise for m in modules if isinstance(m, LargeKernelBlock)]
    assert {id(conv) for conv in sent} == {id(conv) for conv in large}
    assert len(sent) == len(large)


class Faked(GpuOffload):
    """An offload that has a fake CUDA device do, beside each convolution, what it does itself.

    Itself it computes in float32: a CPU takes minutes for it in less.
    """

    def __init__(self, device, dtype):
        super().__init__(device)
        self.fake_dtype, self.layers, self.threads = dtype, set(), set()

    def convolution(self, conv):
        compute = super().convolution(conv)

        def convolve(padded):
            result = compute(padded)
            self.threads.add(threading.get_ident())
            if conv in self.layers:  # all its regions go the same way, and this is slow
                return result
            self.layers.add(conv)
            with FakeTensorMode() as mode:
                offload = FakeCuda(CUDA, self.fake_dtype)
                layer = torch.nn.Conv2d(
                    conv.in_channels, conv.out_channels, conv.kernel_size, groups=conv.groups
                )
                fake = offload.convolution(layer)(mode.from_tensor(padded))
                assert (fake.device, fake.dtype) == (CPU, torch.float32)
                assert (fake.shape, fake.stride()) == (result.shape, result.stride())
                assert offload.devices == {"cuda"}
            return result

        return convolve


class FakeCuda(GpuOffload):
    devices = frozenset()

    def _send(self, values):
        assert values.device == CPU
        sent = super()._send(values)
        self.devices |= {sent.device.type}
        return sent


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_nothing_meets_a_tensor_of_another_device(monkeypatch, precision):
    offloads = []
    monkeypatch.setattr(
        session, "GpuOffload", lambda *given: offloads.append(Faked(*given)) or offloads[-1]
    )
    on_gpu(random_network(), random_pair(70, 90), tile=32, precision=precision)
    assert len(offloads[0].layers) > 20
    assert threading.get_ident() not in offloads[0].threads or torch.get_num_threads() == 1


def test_a_copy_on_the_host_is_the_network(monkeypatch):
    network, pair = random_network(base="max"), random_pair(20, 30)
    assert gpu.on_host(network) is network
    expected = whole(network, pair)
    fake_device = property(lambda _: CUDA)
    monkeypatch.setattr(torch.nn.Parameter, "device", fake_device, raising=False)
    copied = gpu.on_host(network)
    monkeypatch.undo()
    assert copied is not network
    assert (whole(copied, pair) == expected).all()
    assert {id(p) for p in copied.parameters()}.isdisjoint(id(p) for p in network.parameters())


def test_an_image_without_room_goes_through_in_regions_and_larger_ones_at_once(monkeypatch, tried):
    network = random_network()
    images = {side: random_pair(side, 40) for side in (30, 40, 50)}
    expected = {side: whole(network, pair) for side, pair in images.items()}
    forward, whole_runs = network.forward, []

    def limited(batch):
        whole_runs.append(batch.shape[2])
        return out_of_memory() if batch.shape[2] > 30 else forward(batch)

    monkeypatch.setattr(network, "forward", limited)
    for side in (40, 50, 40, 30):
        assert abs(on_gpu(network, images[side]) - expected[side]).max() < 1e-4
    assert whole_runs == [40, 30]
    assert tried == ["auto"] * 3


def test_tile_off_never_tiles(monkeypatch, tried):
    network = random_network()
    monkeypatch.setattr(network, "forward", out_of_memory)
    for side in (40, 40, 50, 30):
        with pytest.raises(ResourceError, match="let it tile with --tile auto"):
            on_gpu(network, random_pair(side, 40), tile="off")
    assert tried == []


@pytest.mark.parametrize(
    ("tile", "expected"), [("auto", ["auto", 128, 64]), (100, [100, 64]), (64, [64])]
)
def test_regions_become_smaller_where_they_do_not_fit(
    monkeypatch, too_small, tried, tile, expected
):
    network, pair = random_network(), random_pair(150, 170)
    send = GpuOffload._send

    def limited(self, values):
        return out_of_memory() if values.shape[3] > 64 + 14 else send(self, values)

    monkeypatch.setattr(GpuOffload, "_send", limited)
    assert abs(on_gpu(network, pair, tile=tile) - whole(network, pair)).max() < 1e-4
    assert tried == expected


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_no_room_for_the_smallest_region_is_said(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(GpuOffload, "_send", fail)
    with pytest.raises(ResourceError, match="even with small tiles; use --device cpu"):
        on_gpu(random_network(), random_pair(40, 40), tile=32)


def test_other_errors_are_not_taken_for_want_of_memory(monkeypatch):
    def fail(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(GpuOffload, "_send", fail)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        on_gpu(random_network(), random_pair(40, 40), tile=32)


def test_maps_on_disk_and_runs_on_the_cpu_between(monkeypatch, tmp_path, too_small):
    for place in ("architectures.lkc_funet.memory", "ops.streaming.layers"):
        monkeypatch.setattr(f"lkcfuse.{place}.NATIVE_FLOATS", 1000)
    network, pair = random_network(inner=4), random_pair(150, 170)
    on_cpu = infer(network, pair)
    plan, memory = plan_run(network, 150, 170, InferenceOptions()), None
    while not any(plan.scratch_levels):
        memory = plan.memory - 1
        plan = plan_run(network, 150, 170, InferenceOptions(memory=memory))
    fused = on_gpu(network, pair, memory=memory, scratch=tmp_path)
    assert abs(fused - whole(network, pair)).max() < 1e-4
    assert list(tmp_path.iterdir()) == []
    assert (infer(network, pair) == on_cpu).all()


@pytest.mark.parametrize("tile", ["off", 32])
def test_half_precision_is_near(tile):
    network, pair = random_network(inner=8), random_pair(60, 70)
    expected = whole(network, pair)
    apart = abs(on_gpu(network, pair, tile=tile, precision="bf16") - expected).max()
    assert 1e-4 < apart < 0.1 * np.ptp(expected)


def test_what_torch_holds_back_counts_as_free(monkeypatch):
    network = random_network()
    floats = architecture_of(network).floats_per_pixel(network.config)
    needed = 4 * floats * 1000
    state = {"driver": needed // 2, "reserved": 0, "allocated": 0}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (state["driver"], 10 * needed))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: state["reserved"])
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: state["allocated"])
    assert not gpu.fits(floats, 1000, CUDA)
    state["reserved"] = needed
    assert gpu.fits(floats, 1000, CUDA)
    state["allocated"] = needed
    assert not gpu.fits(floats, 1000, CUDA)


def test_metal_gets_no_channels_last_tensors():
    assert gpu.fast_format(torch.device("mps")) == torch.contiguous_format
    assert gpu.fast_format(CUDA) == torch.channels_last


def real_gpu():
    if torch.cuda.is_available():
        return CUDA
    return torch.device("mps") if torch.backends.mps.is_available() else None


@pytest.mark.gpu
@pytest.mark.skipif(real_gpu() is None, reason="no GPU")
@pytest.mark.parametrize("tile", ["auto", "off", 32, 64])
def test_a_gpu_gives_the_same(tile):
    network, pair = random_network(inner=8), random_pair(150, 170)
    expected = whole(network, pair)
    for _ in range(2):
        fused = infer(network, pair, device=real_gpu(), options=InferenceOptions(tile=tile))
        assert abs(fused - expected).max() < 1e-3


@pytest.mark.gpu
@pytest.mark.skipif(real_gpu() is None, reason="no GPU")
def test_a_gpu_out_of_memory_goes_on_in_regions(monkeypatch):
    network, pair = random_network(inner=8), random_pair(300, 280)
    expected = infer(network, pair)
    monkeypatch.setattr(network, "forward", out_of_memory)
    for _ in range(2):
        assert abs(infer(network, pair, device=real_gpu()) - expected).max() < 1e-3
    assert abs(infer(network, pair) - expected).max() < 1e-4
