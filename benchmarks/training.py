"""Time of a training step: ours, against plain convolution, in one run on one machine.

    python benchmarks/training.py [--sides 128 192] [--crops 2] [--threads N] [--width 8]

The reference is the same network and loss with `torch.nn.functional.conv2d` throughout, all crops
in one batch. Between the two: our convolution without bfloat16, and crops in one batch. The table
has seconds for a step (gradient and update), how many times faster it is than the reference, and
the cosine of its gradient to the reference's.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time

from lkcfuse.environment import apply_library_settings

apply_library_settings()  # as the command line does, for all that is compared

import torch
from torch import Tensor, nn

from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
from lkcfuse.models import resolve
from lkcfuse.models.checkpoint import load_network
from lkcfuse.ops.depthwise import DepthwiseConv2d
from lkcfuse.ops.large_kernel import LargeKernelConv2d, use_mixed_precision
from lkcfuse.training.filters import gaussian_taps, valid_filter
from lkcfuse.training.gradients import gradient, gradient_of_batch
from lkcfuse.training.losses import LossWeights
from lkcfuse.training.optimizer import Optimizer

WEIGHTS = LossWeights(consistency=1.0)
PACKAGED_WIDTH = 8


def make_network(inner: int) -> LKCFUNet:
    """The packaged network at its width, else random weights that all have a gradient."""
    if inner == PACKAGED_WIDTH:
        packaged = load_network(resolve("lkcfuse-ir-vis", "ir-vis").path)
        assert isinstance(packaged, LKCFUNet)
        network = packaged.requires_grad_(True).train()
    else:
        torch.manual_seed(0)
        network = LKCFUNet(NetworkConfig(inner=inner, base="max")).train()
        nn.init.normal_(network.head.conv.weight, std=0.02)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return network


def plain(inner: int) -> LKCFUNet:
    """The same network with native convolution throughout."""
    network = make_network(inner)
    for module in network.modules():
        if isinstance(module, (LargeKernelConv2d, DepthwiseConv2d)):
            module.forward = functools.partial(nn.Conv2d.forward, module)  # type: ignore[method-assign]
    return network


def draw_crops(count: int, side: int) -> Tensor:
    """Smooth random pairs, as pictures are."""
    noise = torch.rand(count, 2, side + 8, side + 8, generator=torch.Generator().manual_seed(1))
    smooth = valid_filter(noise, gaussian_taps(9, 2.0))
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def measure(inner: int, crops: int, side: int, repeats: int) -> None:
    """Print the rows of one size."""
    batch = draw_crops(crops, side)
    part = (slice(0, side // 2), slice(side // 4, side // 4 + side // 2))
    exact, mixed = make_network(inner), make_network(inner)
    has_bfloat16 = use_mixed_precision(mixed)
    rows = {
        "conv2d, one batch": (plain(inner), gradient_of_batch),
        "ours, one batch, float32": (exact, gradient_of_batch),
        "ours, a thread a crop, float32": (make_network(inner), gradient),
    }
    if has_bfloat16:
        rows["ours, one batch, bfloat16"] = (mixed, gradient_of_batch)
        rows["ours, a thread a crop, bfloat16"] = (mixed, gradient)
    reference: tuple[float, Tensor] | None = None
    for name, (network, compute) in rows.items():
        optimizer = Optimizer(network, "adamw", weight_decay=0.0)
        seconds = []
        for index in range(1 if name.startswith("conv2d") else repeats):
            start = time.perf_counter()
            found = compute(network, batch, WEIGHTS, part)
            for parameter, own in zip(network.parameters(), found.of, strict=True):
                parameter.grad = own
            # A rate of zero: every row's gradient is that of the same weights.
            optimizer.step(0.0)
            if index or repeats == 1 or name.startswith("conv2d"):
                seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds)
        direction = torch.cat([own.flatten().double() for own in found.of])
        if reference is None:
            reference = median, direction
        cosine = torch.nn.functional.cosine_similarity(direction, reference[1], dim=0).item()
        print(
            f"{crops} x {side}x{side}  {name:<32} {median:7.2f} s  {reference[0] / median:6.1f} x  "
            f"{cosine:.5f}",
            flush=True,
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[96, 128, 192])
    parser.add_argument("--crops", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=6, help="the first is left out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.threads} threads, inner={arguments.width}")
    print("columns: crops, way, time of a step, against conv2d, cosine of the gradients\n")
    for side in arguments.sides:
        measure(arguments.width, arguments.crops, side, arguments.repeats)


if __name__ == "__main__":
    main()
