"""Peak memory and time against the size of the image, whole and tiled; what naive tiling does.

    python benchmarks/memory.py [--sizes 512 1024 2048] [--memory 1.0] [--plot memory.png]
    python benchmarks/memory.py --naive street_ir.png street_vis.png [--picture naive.png]

Every run is a process of its own; its peak is the resident set as the system reports it (Linux:
VmHWM, kilobytes of `ru_maxrss`), less what the process has with torch loaded. Scratch files are
read and written, not mapped, so they do not count. The reference is the module's own forward pass.
`tiled` works in regions of 512 pixels with all maps in memory; `bounded` is given that much memory,
and puts in scratch files what does not fit. The time is that of one run in a fresh process, with
the wait for memory that the system has to find.

`--naive` fuses a pair by running the whole network on 128-pixel tiles one by one, as tiling is
usually done, and exactly; it prints the steps across the seams and how far the tones are off.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

WAYS = ("module", "whole", "tiled", "bounded")
TILE = 512
NAIVE_TILE = 128


def run_once(way: str, side: int, inner: int, memory: int) -> None:
    """In a process of its own: run, and print seconds and bytes as JSON."""
    from lkcfuse.environment import apply_library_settings

    apply_library_settings()
    import numpy as np
    import torch

    from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
    from lkcfuse.inference import InferenceOptions, infer

    network = LKCFUNet(NetworkConfig(inner=inner)).eval().requires_grad_(False)
    pair = np.random.default_rng(0).random((2, side, side), dtype=np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if way == "module":
        with torch.inference_mode():
            network(torch.from_numpy(pair)[None].contiguous(memory_format=torch.channels_last))
    elif way == "whole":
        infer(network, pair, options=InferenceOptions(tile="off"))
    elif way == "tiled":
        infer(network, pair, options=InferenceOptions(tile=TILE))
    else:
        infer(network, pair, options=InferenceOptions(memory=memory))
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "bytes": 1024 * (after - before)}))


def measure(sizes: list[int], inner: int, memory: int, plot: Path | None) -> None:
    """Print the table, and draw it."""
    print(f"width {inner}; tiles of {TILE} pixels; bounded by {memory / 1e9:.1f} GB\n")
    print("pixels      " + "".join(f"{way:>22}" for way in WAYS))
    results: dict[str, list[float]] = {way: [] for way in WAYS}
    for side in sizes:
        line = f"{side}x{side}".ljust(12)
        for way in WAYS:
            ran = subprocess.run(
                [sys.executable, __file__, "--once", way, str(side), str(inner), str(memory)],
                capture_output=True,
                text=True,
                check=True,
            )
            found = json.loads(ran.stdout)
            results[way].append(found["bytes"])
            line += f"{found['bytes'] / 1e9:11.2f} GB {found['seconds']:6.1f} s"
        print(line, flush=True)
    if plot is not None:
        draw(sizes, results, plot)


def draw(sizes: list[int], results: dict[str, list[float]], path: Path) -> None:
    """Plot peak memory against pixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for way, values in results.items():
        axes.plot([side**2 / 1e6 for side in sizes], [v / 1e9 for v in values], "o-", label=way)
    axes.set_xlabel("megapixels")
    axes.set_ylabel("peak memory beyond the process itself, GB")
    axes.legend()
    figure.savefig(path)


def show_naive(first: Path, second: Path, picture: Path | None) -> None:
    """Compare naive tiling with the exact one."""
    import numpy as np
    import torch
    from PIL import Image

    from lkcfuse.inference import InferenceOptions, infer
    from lkcfuse.models import resolve
    from lkcfuse.models.checkpoint import load_network
    from lkcfuse.pairs import read_pair

    pair = read_pair(first, second)
    weights = resolve(None, "ir-vis")
    network = load_network(weights.path)
    processing = weights.processing
    (low, high), (black, white) = processing.input_range, processing.output_range
    lumas = {"first": pair.first.luma, "second": pair.second.luma}
    inputs = np.stack([lumas[source] for source in processing.channel_order]) * (high - low) + low
    inputs = inputs.astype(np.float32)
    scale = 255 / (white - black)
    with torch.inference_mode():
        whole = network(torch.from_numpy(inputs)[None])[0, 0].numpy()
    exact = infer(network, inputs, options=InferenceOptions(tile=NAIVE_TILE))
    naive = np.zeros_like(whole)
    height, width = whole.shape
    for top in range(0, height, NAIVE_TILE):
        for left in range(0, width, NAIVE_TILE):
            part = inputs[:, top : top + NAIVE_TILE, left : left + NAIVE_TILE]
            naive[top : top + NAIVE_TILE, left : left + NAIVE_TILE] = infer(network, part)
    for name, result in (("exact", exact), ("naive", naive)):
        off = scale * (result - whole)
        seams = np.abs(np.diff(off, axis=1))[:, NAIVE_TILE - 1 :: NAIVE_TILE]
        tones = [
            abs(off[top : top + NAIVE_TILE, left : left + NAIVE_TILE].mean())
            for top in range(0, height, NAIVE_TILE)
            for left in range(0, width, NAIVE_TILE)
        ]
        print(
            f"{name}: off by {np.abs(off).max():.4f} grey levels at most and "
            f"{np.abs(off).mean():.4f} on average; a tile's tone by up to {max(tones):.4f}; "
            f"steps across seams of {seams.mean():.4f} on average, {seams.max():.4f} at most"
        )
    if picture is not None:
        planes = [(result - black) * scale for result in (whole, naive)] + [
            128 + 8 * scale * (naive - whole)
        ]
        sheet = np.concatenate(planes, axis=1).clip(0, 255).round().astype(np.uint8)
        Image.fromarray(sheet).save(picture)


def main() -> None:
    """Run the benchmark."""
    if sys.argv[1:2] == ["--once"]:
        run_once(sys.argv[2], *(int(word) for word in sys.argv[3:]))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048])
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--memory", type=float, default=1.0, help="GB for bounded runs")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--naive", type=Path, nargs=2, metavar=("A", "B"))
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    if arguments.naive:
        first, second = arguments.naive
        show_naive(first, second, arguments.picture)
    else:
        measure(arguments.sizes, arguments.width, int(arguments.memory * 1e9), arguments.plot)


if __name__ == "__main__":
    main()
