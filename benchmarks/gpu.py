"""Checks and figures of a GPU, as one JSON file: what `benchmarks/gpu.sh` runs.

    python benchmarks/gpu.py [--output gpu.json] [--sizes 640x480 ...] [--widths 8 32] [--skip PART]

In one run on one machine: the GPU tests, `lkcfuse doctor --json`, seconds a pair at several sizes
against eager torch and `torch.compile`, the largest image that fits whole, tiled against whole, and
a short training run. A part that fails is recorded with its message, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
from lkcfuse.errors import LkcfuseError
from lkcfuse.inference import InferenceOptions, InferenceSession
from lkcfuse.inference.options import Precision
from lkcfuse.version import __version__

ROOT = Path(__file__).parent.parent
LARGEST_SIDE = 16384
TILE = 256
TRAINING_STEPS = 40

Pair = npt.NDArray[np.float32]


def main() -> int:
    """Run all parts and write the file."""
    options = _options()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA device here: nothing was measured", file=sys.stderr)
        return 5
    networks = {width: _network(width).to(device) for width in options.widths}
    sizes = [(int(height), int(width)) for width, height in (s.split("x") for s in options.sizes)]
    parts: dict[str, Callable[[], Any]] = {
        "tests": lambda: _tests(device),
        "doctor": lambda: _doctor(device),
        "speed": lambda: [
            _speed(network, inner, size, device, compiled="compile" not in options.skip)
            for inner, network in networks.items()
            for size in sizes
        ],
        "tiled": lambda: _tiled(networks[options.widths[0]], sizes[-1], device),
        "largest": lambda: {
            inner: _largest(network, device, options.largest) for inner, network in networks.items()
        },
        "training": lambda: _training(device),
    }
    found: dict[str, Any] = {
        "lkcfuse": __version__,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
    }
    for name, run in parts.items():
        if name in options.skip:
            continue
        started = time.perf_counter()
        try:
            found[name] = run()
        except (LkcfuseError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            found[name] = {"failed": f"{type(error).__name__}: {error}"}
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        # After every part: what there is, is kept if the time runs out.
        options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(options.output)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1920x1080", "3840x2160"])
    parser.add_argument("--widths", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--largest", type=int, default=LARGEST_SIDE, help="side to stop trying at")
    parser.add_argument("--skip", nargs="*", default=[], help="parts to leave out, or compile")
    return parser.parse_args()


def _network(inner: int) -> LKCFUNet:
    torch.manual_seed(0)
    return LKCFUNet(NetworkConfig(inner=inner)).eval().requires_grad_(False)


def _pair(size: tuple[int, int]) -> Pair:
    return np.random.default_rng(0).random((2, *size), dtype=np.float32)


def _seconds(run: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """The median of several runs, after two that warm up."""
    times = []
    for count in range(repeats + 2):
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if count >= 2:
            times.append(time.perf_counter() - started)
    return float(np.median(times))


def _speed(
    network: LKCFUNet, inner: int, size: tuple[int, int], device: torch.device, *, compiled: bool
) -> dict[str, Any]:
    pair = _pair(size)
    batch = torch.from_numpy(pair)[None].to(device)
    row: dict[str, Any] = {"width": inner, "size": f"{size[1]}x{size[0]}", "seconds": {}}
    with torch.inference_mode():
        eager = network(batch)[0, 0].float().cpu().numpy()
        row["seconds"]["eager"] = _seconds(lambda: network(batch), device)
        if compiled:
            quick = torch.compile(network)
            row["seconds"]["torch.compile"] = _seconds(lambda: quick(batch), device)
    precisions: tuple[Precision, ...] = ("fp32", "tf32", "bf16")
    for precision in precisions:
        options = InferenceOptions(precision=precision)
        with InferenceSession(network, device=device, options=options) as session:
            fused = session.run(pair)
            row["seconds"][precision] = _seconds(lambda: session.run(pair), device)
        row.setdefault("difference", {})[precision] = float(abs(fused - eager).max())
    return row


def _tiled(network: LKCFUNet, size: tuple[int, int], device: torch.device) -> dict[str, Any]:
    pair, found = _pair(size), {}
    results = []
    for name, tile in (("whole", "off"), ("tiled", TILE)):
        options = InferenceOptions(tile=tile)  # type: ignore[arg-type]
        with InferenceSession(network, device=device, options=options) as session:
            results.append(session.run(pair))
            found[name] = _seconds(lambda: session.run(pair), device, repeats=1)
    return {"seconds": found, "difference": float(abs(results[0] - results[1]).max())}


def _largest(network: LKCFUNet, device: torch.device, most: int) -> int:
    """The side of the largest square, in steps of a quarter, that runs in one piece."""
    side, fitting = 512, 0
    with InferenceSession(network, device=device, options=InferenceOptions(tile="off")) as session:
        while side <= most:
            try:
                session.run(_pair((side, side)))
            except LkcfuseError:
                break
            fitting, side = side, side * 5 // 4 // 4 * 4
    return fitting


def _tests(device: torch.device) -> dict[str, Any]:
    if device.type == "cpu":
        return {"skipped": "no GPU"}
    words = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "--fail-on-skip"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return {"passed": done.returncode == 0, "tail": done.stdout.splitlines()[-5:]}


def _doctor(device: torch.device) -> list[Any]:
    words = [sys.executable, "-m", "lkcfuse", "doctor", "--json", "--device", str(device)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _training(device: torch.device) -> dict[str, Any]:
    """A few steps on the example's pair; they have to end, and to leave weights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("ir", "vis"):
            (folder / kind).mkdir()
            shutil.copy(ROOT / "examples" / f"street_{kind}.png", folder / kind / "street.png")
        output = folder / "trained.safetensors"
        words = [sys.executable, "-m", "lkcfuse", "train", str(folder / "ir"), str(folder / "vis")]
        words += ["-o", str(output), "--steps", str(TRAINING_STEPS), "--device", str(device)]
        started = time.perf_counter()
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        return {
            "steps": TRAINING_STEPS,
            "seconds": round(time.perf_counter() - started, 1),
            "finished": done.returncode == 0 and output.exists(),
            "tail": done.stderr.splitlines()[-3:],
        }


if __name__ == "__main__":
    raise SystemExit(main())
