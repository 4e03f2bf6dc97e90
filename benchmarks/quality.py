"""Quality of the packaged (or any) weights on a folder of pairs, beside the plainest baselines.

Every pair is fused as `lkcfuse fuse` does it, written as an 8-bit PNG and read back; the pixelwise
maximum and the mean of the two sources' luma, in whole levels, are scored beside it.

    python benchmarks/quality.py DATA [--task ir-vis] [--weights NAME|FILE] [--limit 10] [--json]

DATA is a folder with the task's two in it (`ir` and `vis`, or `mri` and `ct`, `pet`, `spect`). The
two checks below the table tell whether flat areas stayed flat (deviation in 15x15 windows where
both sources deviate by less than 2 levels, against the larger source's), and whether the tone
hangs on the image's size (the centre, half as high and wide, fused by itself against the same part
of the whole).

Exits with 1 where a bar is missed: VIF, Qabf and SSIM above the maximum's, SCD by 0.04, no flat
area rougher by more than a level (in 99 of 100 windows), the quarter's tone within 3 levels.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lkcfuse import Fuser
from lkcfuse.errors import LkcfuseError
from lkcfuse.images import read_image
from lkcfuse.metrics import evaluate
from lkcfuse.tasks import TASKS
from lkcfuse.training.data import Pair, find_pairs, folder_names

METRICS = ("EN", "SD", "SF", "AG", "MI", "SCD", "CC", "MSE", "PSNR", "SSIM", "VIF", "Qabf")
MARGINS = {"VIF": 0.0, "Qabf": 0.0, "SSIM": 0.0, "SCD": 0.04}
METHODS = ("ours", "maximum", "mean")
FLAT_LEVELS = 2.0
ROUGHER_BY = 1.0
TONE_LEVELS = 3.0

Plane = NDArray[np.float64]


def luma_levels(path: Path) -> Plane:
    return np.rint(read_image(path).luma.astype(np.float64) * 255)


def local_deviation(plane: Plane) -> Plane:
    """Return the standard deviation in every 15x15 window that fits."""
    mean = cv2.blur(plane, (15, 15))
    square = cv2.blur(plane * plane, (15, 15))
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    return np.asarray(deviation[7:-7, 7:-7], np.float64)


def flat_excess(fused: Plane, first: Plane, second: Plane) -> NDArray[np.float64]:
    """Return, for every window flat in both sources, how much rougher the result is, in levels."""
    larger = np.maximum(local_deviation(first), local_deviation(second))
    return (local_deviation(fused) - larger)[larger < FLAT_LEVELS]


def tone_shift(fuser: Fuser, pair: Pair, folder: Path, whole: Plane) -> float:
    """Fuse the centre of a pair by itself; return the mean absolute difference, in levels."""
    parts = []
    height, width = whole.shape
    centre = np.s_[height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2]
    for name, path in (("first", pair.first), ("second", pair.second)):
        parts.append(folder / f"{name}.png")
        cv2.imwrite(str(parts[-1]), luma_levels(path)[centre].astype(np.uint8))
    fuser.fuse_files(parts[0], parts[1], folder / "quarter.png", overwrite=True)
    return float(np.abs(luma_levels(folder / "quarter.png") - whole[centre]).mean())


def measure(fuser: Fuser, pairs: list[Pair], folder: Path) -> dict[str, object]:
    rows: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    excess, shifts = [], []
    for index, pair in enumerate(pairs):
        print(f"\r{index + 1}/{len(pairs)} {pair.first.stem} ", end="", file=sys.stderr)
        written = folder / f"{pair.first.stem}.png"
        fuser.fuse_files(pair.first, pair.second, written, overwrite=True)
        first, second, fused = map(luma_levels, (pair.first, pair.second, written))
        results = (fused, np.maximum(first, second), np.rint((first + second) / 2))
        for method, result in zip(METHODS, results, strict=True):
            rows[method].append(evaluate(result, first, second, METRICS))
        excess.append(flat_excess(fused, first, second))
        shifts.append(tone_shift(fuser, pair, folder, fused))
    print(file=sys.stderr)
    means = {
        method: {name: float(np.mean([row[name] for row in table])) for name in METRICS}
        for method, table in rows.items()
    }
    flat = np.concatenate(excess)
    return {
        "weights": fuser.weights.name,
        "task": fuser.task.name,
        "pairs": len(pairs),
        "metrics": means,
        "flat": {
            "windows": len(flat),
            "mean_excess": float(flat.mean()) if len(flat) else 0.0,
            "excess_99": float(np.quantile(flat, 0.99)) if len(flat) else 0.0,
            "share_rougher": float((flat > ROUGHER_BY).mean()) if len(flat) else 0.0,
        },
        "tone": {"mean": float(np.mean(shifts)), "worst": float(np.max(shifts))},
    }


def missed(report: dict[str, object]) -> list[str]:
    """Return the bars that are missed, a line each."""
    means, flat, tone = report["metrics"], report["flat"], report["tone"]
    assert isinstance(means, dict)
    assert isinstance(flat, dict)
    assert isinstance(tone, dict)
    lines = []
    for name, margin in MARGINS.items():
        short = means["maximum"][name] + margin - means["ours"][name]
        if short >= 0:
            lines.append(f"{name} is {short:.4f} short of its bar")
    if flat["excess_99"] > ROUGHER_BY:
        lines.append(f"flat areas are rougher by up to {flat['excess_99']:.2f} levels")
    if tone["mean"] >= TONE_LEVELS:
        lines.append(f"a quarter fused by itself differs by {tone['mean']:.2f} levels")
    return lines


def show(report: dict[str, object]) -> None:
    means, flat, tone = report["metrics"], report["flat"], report["tone"]
    assert isinstance(means, dict)
    assert isinstance(flat, dict)
    assert isinstance(tone, dict)
    print(f"{report['weights']}, {report['task']}, {report['pairs']} pairs")
    print(f"{'':<6}" + "".join(f"{method:>12}" for method in METHODS) + "  ours - maximum")
    for name in METRICS:
        values = [means[method][name] for method in METHODS]
        print(f"{name:<6}" + "".join(f"{v:12.4f}" for v in values), end="")
        print(f"{values[0] - values[1]:+16.4f}")
    print(
        f"flat areas: {flat['windows']} windows, rougher than the larger source by "
        f"{flat['mean_excess']:+.2f} levels on average, {flat['excess_99']:+.2f} in the worst "
        f"hundredth; {flat['share_rougher']:.2%} by more than {ROUGHER_BY:g}"
    )
    print(
        f"tone: the quarter fused by itself differs by {tone['mean']:.2f} levels on average, "
        f"{tone['worst']:.2f} in the worst pair"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--task", default="ir-vis", choices=list(TASKS))
    parser.add_argument("--weights", default=None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--limit", type=int, default=None, help="so many pairs, evenly spread")
    parser.add_argument("--keep", type=Path, default=None, help="write the fused images here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        first, second = folder_names(options.task)
        pairs = find_pairs(options.data / first, options.data / second, options.task)
        if options.limit and options.limit < len(pairs):
            pairs = [pairs[i * len(pairs) // options.limit] for i in range(options.limit)]
        fuser = Fuser(options.task, weights=options.weights, threads=options.threads).load()
        with tempfile.TemporaryDirectory() as temporary:
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
            report = measure(fuser, pairs, options.keep or Path(temporary))
    except LkcfuseError as error:
        print(f"quality: error: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)
    short = missed(report)
    for line in short:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
