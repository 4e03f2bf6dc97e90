from __future__ import annotations

import pytest
import torch

from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.inference import devices
from lkcfuse.inference.devices import describe, select_device, thread_count, use_threads


@pytest.fixture
def gpus(monkeypatch):
    """Set how many CUDA devices torch reports, and whether it reports MPS."""

    def install(cuda, mps):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return install


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(2, False, "cuda:0"), (1, True, "cuda:0"), (0, True, "mps"), (0, False, "cpu")],
)
def test_auto_takes_cuda_then_mps_then_the_cpu(gpus, cuda, mps, expected):
    gpus(cuda, mps)
    assert select_device("auto") == torch.device(expected)


def test_the_cpu_is_always_there():
    assert select_device("CPU") == torch.device("cpu")


def test_gpus_by_number(gpus):
    gpus(2, False)
    assert select_device("cuda") == torch.device("cuda:0")
    assert select_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ResourceError, match="cuda:2 is absent: there is cuda:0 to cuda:1"):
        select_device("cuda:2")


def test_an_absent_device_is_an_error_never_another_device(gpus):
    gpus(0, False)
    with pytest.raises(ResourceError, match=r"device cuda is absent: .*--device cpu"):
        select_device("cuda")
    with pytest.raises(ResourceError, match=r"device mps is absent: .*--device cpu"):
        select_device("mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "", "cpu:0:1", "cuda:²"])
def test_unknown_names(name):
    with pytest.raises(UsageError, match="choose auto, cpu, cuda, cuda:N or mps"):
        select_device(name)


def test_the_cpu_is_described_with_its_threads():
    assert describe(torch.device("cpu"), threads=1) == "cpu (1 thread)"
    assert describe(torch.device("cpu"), threads=3) == "cpu (3 threads)"


def test_threads_asked_for_are_taken():
    assert thread_count(7) == 7
    with pytest.raises(UsageError, match="1 or more"):
        thread_count(0)


def test_threads_by_default_stay_within_the_quota(monkeypatch):
    with use_threads(4):
        monkeypatch.setattr(devices, "available_cpus", lambda: 2)
        assert thread_count() == 2
        monkeypatch.setattr(devices, "available_cpus", lambda: 8)
        assert thread_count() == 4


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), use_threads(before + 1):  # noqa: PT012
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
