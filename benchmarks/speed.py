"""Time to run the network: ours, against plain convolution, in one run on one machine.

    python benchmarks/speed.py [--full] [--threads N] [--widths 8 32] [--sizes 640x480] [--command]

The reference is the same network with `torch.nn.functional.conv2d` throughout: once in the order of
memory that the authors' code uses, once in channels-last. The table has seconds for one pair,
how many times faster ours is, the arithmetic rate that plain convolution would need to be as fast,
and the largest difference of the outputs. `--full` adds 1920x1080, where plain convolution takes
half an hour at full width. `--command` times `lkcfuse fuse` from process start to written file.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lkcfuse.environment import apply_library_settings

apply_library_settings()  # as the command line does, for both sides of the comparison

import numpy as np
import torch
from PIL import Image
from torch import nn

from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
from lkcfuse.inference import InferenceSession
from lkcfuse.models.checkpoint import save_checkpoint
from lkcfuse.ops.large_kernel import LargeKernelConv2d

SIZES = {"256x256": (256, 256), "640x480": (480, 640)}
FULL_SIZE = {"1920x1080": (1080, 1920)}


def make_network(inner: int) -> LKCFUNet:
    """A network of random weights, in which every layer counts."""
    torch.manual_seed(0)
    network = LKCFUNet(NetworkConfig(inner=inner))
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network.eval().requires_grad_(False)


def plain(inner: int) -> LKCFUNet:
    """The same network with native convolution throughout."""
    network = make_network(inner)
    for module in network.modules():
        if isinstance(module, LargeKernelConv2d):
            module.forward = functools.partial(nn.Conv2d.forward, module)  # type: ignore[method-assign]
    return network


def best_time(call: Callable[[], object], seconds: float) -> float:
    """The least time of a call, repeated for about that long but at least once."""
    best, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() + best > end:
            return best


def multiplications(network: LKCFUNet, height: int, width: int) -> float:
    """Multiply-adds of direct convolution."""
    total = 0.0

    def count(module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        pixels = output.shape[2] * output.shape[3]
        total_of[0] += module.weight.numel() * pixels

    total_of = [total]
    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.inference_mode():
        network(torch.zeros(1, 2, 32, 32))
    for hook in hooks:
        hook.remove()
    return total_of[0] / 1024 * height * width


class Times(dict[str, float]):
    """Seconds by name, each told on stderr as it is known: a row may take half an hour."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def __setitem__(self, name: str, seconds: float) -> None:
        super().__setitem__(name, seconds)
        print(f"{self.label} {name}: {seconds:.2f} s", file=sys.stderr, flush=True)


def time_reference(inner: int, pair: np.ndarray, times: Times) -> np.ndarray:
    """Time plain convolution in both orders of memory, and return what the network gives."""
    reference, batch = plain(inner), torch.from_numpy(pair)[None]
    with torch.inference_mode():
        # Small images are run twice, to leave out what the first run alone pays for.
        runs = 2 if batch[0, 0].numel() < 100_000 else 1
        for _ in range(runs):
            start = time.perf_counter()
            expected = reference(batch)
            seconds = time.perf_counter() - start
        times["conv2d"] = seconds
        reference = reference.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        batch = batch.contiguous(memory_format=torch.channels_last)
        for _ in range(runs):
            start = time.perf_counter()
            reference(batch)
            seconds = time.perf_counter() - start
        times["conv2d, channels-last"] = seconds
    fused: np.ndarray = expected[0, 0].numpy()
    return fused


def measure(inner: int, height: int, width: int) -> None:
    """Print one row of the table.

    The reference goes first and alone: at 1920x1080 it needs most of 24 GiB.
    """
    pair = np.random.default_rng(0).random((2, height, width), dtype=np.float32)
    times = Times(f"inner={inner} {width}x{height}")
    expected = time_reference(inner, pair, times)
    ours = make_network(inner)
    with InferenceSession(ours) as session:
        for _ in range(2):  # the kernels' spectra are kept from the second image of a size on
            fused = session.run(pair)
        times["ours"] = best_time(lambda: session.run(pair), 10)
    with InferenceSession(make_network(inner)) as fresh:
        times["ours, first image"] = best_time(lambda: fresh.run(pair), 0)
    work = multiplications(ours, height, width)
    difference = abs(fused - expected).max()
    for name in ("ours", "ours, first image", "conv2d", "conv2d, channels-last"):
        seconds = times[name]
        print(
            f"inner={inner:<3} {width}x{height:<5} {name:<22} {seconds:8.2f} s  "
            f"{times['conv2d'] / seconds:6.1f} x  "
            f"{times['conv2d, channels-last'] / seconds:6.1f} x  "
            f"{2e-9 * work / seconds:7.0f} GFLOP/s",
            flush=True,
        )
    print(f"{'':17}largest difference of the outputs: {difference:.1e}\n", flush=True)


def time_command() -> None:
    """Time `lkcfuse fuse` on a 640x480 pair, from process start to written file."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(random.integers(0, 256, (480, 640), np.uint8)).save(folder / "ir.png")
        Image.fromarray(random.integers(0, 256, (480, 640, 3), np.uint8)).save(folder / "vis.png")
        save_checkpoint(folder / "compact.safetensors", make_network(8))
        program = [sys.executable, "-m", "lkcfuse"]
        command = [*program, "fuse", "ir.png", "vis.png", "-o", "out.png", "--force", "--quiet"]
        steps = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "lkcfuse --help": [*program, "--help"],
            "import torch": [sys.executable, "-c", "import torch"],
            "lkcfuse fuse, compact": [*command, "--weights", "compact.safetensors"],
        }
        for label, words in steps.items():
            run = functools.partial(
                subprocess.run, words, cwd=folder, check=True, stdout=subprocess.DEVNULL
            )
            print(f"{label:<24} {best_time(run, 8):6.2f} s", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="also 1920x1080")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--sizes", nargs="+", choices=[*SIZES, *FULL_SIZE], help="only these")
    parser.add_argument("--command", action="store_true", help="time the command line alone")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.command:
        time_command()
        return
    print(f"torch {torch.__version__}, {arguments.threads} threads")
    print("columns: time, against conv2d, against conv2d in channels-last, rate\n")
    sizes = SIZES | FULL_SIZE
    names = arguments.sizes or [*SIZES, *(FULL_SIZE if arguments.full else ())]
    for inner in arguments.widths:
        for name in names:
            measure(inner, *sizes[name])


if __name__ == "__main__":
    main()
