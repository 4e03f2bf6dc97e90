import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from lkcfuse.ops import products
from lkcfuse.ops.products import (
    add_mapped_channels,
    map_channels,
    matmul,
    matmul_wide,
    multiply,
    operand,
    single_threaded,
)


@pytest.fixture(params=["torch", "numpy"])
def library(request, monkeypatch):
    monkeypatch.setattr(products, "numpy_is_faster", lambda: request.param == "numpy")
    return request.param


@pytest.mark.parametrize("batch", [(), (5,)])
def test_matrices_are_multiplied(library, batch):
    a, b = torch.randn(*batch, 7, 4), torch.randn(*batch, 4, 9)
    out = torch.empty(*batch, 7, 9)
    assert matmul(a, b, out) is out
    torch.testing.assert_close(out, a @ b)


def test_operands_may_be_parts_of_larger_ones(library):
    a = torch.randn(6, 2, 5, 4)[:, 1].transpose(0, 1)  # (5, 6, 4), rows apart
    b = torch.randn(8, 4).T.expand(5, -1, -1)  # (5, 4, 8), columns contiguous, one for all
    whole = torch.zeros(5, 6, 10)
    matmul(a, b, whole[:, :, 1:9])
    torch.testing.assert_close(whole[:, :, 1:9], a @ b)
    assert not whole[:, :, ::9].any()


@pytest.mark.parametrize(("rows", "columns"), [(7, 5), (7, 128), (7, 1000), (90, 1000)])
def test_a_wide_matrix_is_multiplied_whatever_its_width(library, rows, columns):
    a, whole = torch.randn(rows, 90), torch.randn(90, 2 * columns)
    out = torch.zeros(rows, columns + 2)
    matmul_wide(a, whole[:, columns:], out[:, 1:-1])
    torch.testing.assert_close(out[:, 1:-1], a @ whole[:, columns:], rtol=1e-4, atol=1e-4)
    assert not out[:, :: columns + 1].any()


@pytest.mark.parametrize("source", ["whole", "part"])
@pytest.mark.parametrize("target", ["whole", "part"])
def test_the_channels_of_a_map_or_of_a_part_of_one_are_mapped(library, source, target):
    pixels = torch.randn(6, 9, 4)[1:5, 2:8] if source == "part" else torch.randn(4, 6, 4)
    out = torch.zeros(6, 9, 5) if target == "part" else torch.zeros(4, 6, 5)
    place, before = out[:4, :6], out.clone()
    weight = torch.randn(4, 5)
    assert map_channels(pixels, weight, place) is place
    torch.testing.assert_close(place, pixels @ weight)
    assert add_mapped_channels(pixels, weight, place) is place
    torch.testing.assert_close(place, 2 * (pixels @ weight))
    place.zero_()
    assert torch.equal(out, before), "nothing outside the part was written to"


@pytest.mark.parametrize("form", ["tensor", "array"])
def test_what_is_an_operand_is_the_same_memory_in_any_form(library, form):
    a, b, out = torch.randn(3, 2, 4), torch.randn(3, 4, 5), torch.empty(3, 2, 5)
    parts = (a, b, out) if form == "tensor" else (a.numpy(), b.numpy(), out.numpy())
    multiply(*map(operand, parts))
    torch.testing.assert_close(out, a @ b)


def test_numpy_keeps_to_its_thread_while_asked_to(library):
    before = [library["num_threads"] for library in products._libraries().info()]

    def counts():
        return [library["num_threads"] for library in products._libraries().info()]

    expected = [1] * len(before) if library == "numpy" else before
    inside, leave = threading.Event(), threading.Event()

    def elsewhere():
        with single_threaded():
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=elsewhere)
    with single_threaded(), single_threaded():
        assert counts() == expected
        thread.start()
        inside.wait(30)
    assert counts() == expected, "another thread still asks for it"
    leave.set()
    thread.join()
    assert counts() == before


SCRIPT = """
import json, sys
from lkcfuse.environment import apply_library_settings
apply_library_settings()
import numpy, torch
from lkcfuse.inference import infer
from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
from lkcfuse.ops import products
if sys.argv[1] == "torch":
    products.numpy_is_faster = lambda: False
torch.manual_seed(0)
network = LKCFUNet(NetworkConfig(inner=2, base="none")).eval()
torch.set_num_threads(int(sys.argv[2]))
pair = numpy.random.default_rng(0).random((2, 90, 110), dtype=numpy.float32)
print(json.dumps(infer(network, pair).tolist()))
"""


def run_network(*arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return np.array(json.loads(done.stdout))


def test_the_number_of_threads_does_not_show_and_the_library_hardly():
    alone, together = run_network("best", "1"), run_network("best", "3")
    assert np.array_equal(alone, together)
    assert abs(alone - run_network("torch", "2")).max() < 1e-4
