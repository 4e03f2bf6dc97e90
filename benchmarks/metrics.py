"""Speed of `lkcfuse.metrics.evaluate` against the same formulas in plain scipy and scikit-image.

Both score the same images in the same run, on one core: the ratio is that of the process's CPU
time, so threads that a library starts are paid for. Both must return the same numbers.

    python benchmarks/metrics.py [--size 640x480] [--repeats 5] [--images 3] [--json]

Exits with 1 where a metric differs by more than 1e-6, relative.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d
from skimage.metrics import structural_similarity
from skimage.metrics.simple_metrics import mean_squared_error

from lkcfuse.metrics import evaluate

Array = NDArray[np.float64]
TOLERANCE = 1e-6
TARGET = 7.0


class Row(NamedTuple):
    """One metric: seconds of the plain version and of ours alone, and their relative difference."""

    plain: float
    alone: float
    difference: float


def plain_entropy(*images: Array) -> float:
    joint, _ = np.histogramdd(
        [np.rint(i).ravel() for i in images], 256, [(-0.5, 255.5)] * len(images)
    )
    share = joint[joint > 0] / joint.sum()
    return float(-(share * np.log(share)).sum())


def plain_information(f: Array, x: Array) -> float:
    return plain_entropy(f) + plain_entropy(x) - plain_entropy(f, x)


def plain_sf(f: Array) -> float:
    return math.sqrt(np.mean(np.diff(f, axis=0) ** 2) + np.mean(np.diff(f, axis=1) ** 2))


def plain_ag(f: Array) -> float:
    gy, gx = np.gradient(f)
    return float(np.mean(np.sqrt((gx**2 + gy**2) / 2)))


def plain_correlation(x: Array, y: Array) -> float:
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1])


def plain_mse(f: Array, a: Array, b: Array) -> float:
    return float(mean_squared_error(f, a) + mean_squared_error(f, b)) / 2


def plain_ssim(f: Array, x: Array) -> float:
    return float(structural_similarity(f, x, data_range=255))  # type: ignore[no-untyped-call]


def plain_vif(reference: Array, distorted: Array) -> float:
    eps, noise = 1e-10, 2.0
    kept = total = 0.0
    for scale in range(1, 5):
        size = 2 ** (5 - scale) + 1
        position = np.arange(size) - size // 2
        window = np.exp(-(position[:, None] ** 2 + position**2) / (2 * (size / 5) ** 2))
        window /= window.sum()

        def mean(image: Array, window: Array = window) -> Array:
            return np.asarray(convolve2d(image, window, mode="valid"))

        if scale > 1:
            reference, distorted = mean(reference)[::2, ::2], mean(distorted)[::2, ::2]
        m1, m2 = mean(reference), mean(distorted)
        s1 = np.maximum(mean(reference**2) - m1**2, 0)
        s2 = np.maximum(mean(distorted**2) - m2**2, 0)
        s12 = mean(reference * distorted) - m1 * m2
        g = s12 / (s1 + eps)
        sv = s2 - g * s12
        g[s1 < eps] = 0
        sv[s1 < eps] = s2[s1 < eps]
        s1[s1 < eps] = 0
        g[s2 < eps] = 0
        sv[s2 < eps] = 0
        sv[g < 0] = s2[g < 0]
        g[g < 0] = 0
        sv[sv <= eps] = eps
        kept += np.sum(np.log10(1 + g**2 * s1 / (sv + noise)))
        total += np.sum(np.log10(1 + s1 / noise))
    return kept / total if total > 0 else 1.0


def plain_sobel(image: Array) -> tuple[Array, Array]:
    horizontal = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    sx = convolve2d(image, horizontal, mode="same")
    sy = convolve2d(image, horizontal.T[::-1], mode="same")
    angle = np.full(image.shape, math.pi / 2)
    angle[sx != 0] = np.arctan(sy[sx != 0] / sx[sx != 0])
    return np.sqrt(sx**2 + sy**2), angle


def plain_qabf(f: Array, a: Array, b: Array) -> float:
    gf, af = plain_sobel(f)
    kept = total = 0.0
    for source in (a, b):
        g, angle = plain_sobel(source)
        ratio = g.copy()
        ratio[g > gf] = gf[g > gf] / g[g > gf]
        ratio[g < gf] = g[g < gf] / gf[g < gf]
        agreement = 1 - np.abs(angle - af) / (math.pi / 2)
        qg = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5)))
        qa = 0.9879 / (1 + np.exp(-22 * (agreement - 0.8)))
        kept += np.sum(qg * qa * g)
        total += np.sum(g)
    return kept / total


PLAIN: Mapping[str, Callable[[Array, Array, Array], float]] = {
    "EN": lambda f, _a, _b: plain_entropy(f) / math.log(2),
    "SD": lambda f, _a, _b: float(np.std(f)),
    "SF": lambda f, _a, _b: plain_sf(f),
    "AG": lambda f, _a, _b: plain_ag(f),
    "MI": lambda f, a, b: plain_information(f, a) + plain_information(f, b),
    "SCD": lambda f, a, b: plain_correlation(a, f - b) + plain_correlation(b, f - a),
    "CC": lambda f, a, b: (plain_correlation(a, f) + plain_correlation(b, f)) / 2,
    "MSE": plain_mse,
    "PSNR": lambda f, a, b: 10 * math.log10(np.max(f) ** 2 / plain_mse(f, a, b)),
    "SSIM": lambda f, a, b: plain_ssim(f, a) + plain_ssim(f, b),
    "VIF": lambda f, a, b: plain_vif(a, f) + plain_vif(b, f),
    "Qabf": plain_qabf,
}


def scene(width: int, height: int, seed: int) -> tuple[Array, Array, Array]:
    """Make a fused image and two sources with flat parts, edges and texture, in whole levels."""
    rng = np.random.default_rng(seed)
    sources = []
    for blur in (2.0, 6.0):
        image = gaussian_filter(rng.normal(size=(height, width)), blur) * blur * 90 + 110
        for _ in range(12):
            top, left = rng.integers(0, height), rng.integers(0, width)
            patch = np.s_[top : top + rng.integers(8, 90), left : left + rng.integers(8, 90)]
            image[patch] = 0.4 * image[patch] + rng.uniform(0, 150)
        image[: height // 6] = rng.integers(0, 256)
        sources.append(np.rint(np.clip(image, 0, 255)))
    a, b = sources
    return np.rint(np.maximum(a, b) * 0.6 + (a + b) * 0.2), a, b


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Least CPU time of the process over the repeats: what else runs only adds to it."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def compare(f: Array, a: Array, b: Array, repeats: int) -> tuple[float, dict[str, Row]]:
    """Time both on one image, and compare their values.

    Returns:
        Seconds for `evaluate` of all metrics, and for each metric the seconds of plain and ours
        alone, and the relative difference.
    """

    def together() -> object:
        return evaluate(f, a, b, PLAIN)

    rows = {}
    values = evaluate(f, a, b, PLAIN)
    for name, function in PLAIN.items():
        expected = function(f, a, b)
        difference = abs(values[name] - expected) / max(abs(expected), 1e-12)
        plain = seconds(partial(function, f, a, b), repeats)
        alone = seconds(partial(evaluate, f, a, b, [name]), repeats)
        rows[name] = Row(plain, alone, difference)
    return seconds(together, 4 * repeats), rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", default="640x480", metavar="WxH")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))

    cv2.setNumThreads(1)
    runs = [compare(*scene(width, height, s), options.repeats) for s in range(options.images)]
    ours = sum(together for together, _ in runs) / len(runs)
    rows = {
        name: Row(
            plain=sum(r[name].plain for _, r in runs) / len(runs),
            alone=sum(r[name].alone for _, r in runs) / len(runs),
            difference=max(r[name].difference for _, r in runs),
        )
        for name in PLAIN
    }
    plain = sum(row.plain for row in rows.values())
    largest = max(row.difference for row in rows.values())
    if options.json:
        record = {
            "size": options.size,
            "plain_ms": 1e3 * plain,
            "ours_ms": 1e3 * ours,
            "ratio": plain / ours,
            "largest_difference": largest,
        }
        print(json.dumps(record))
    else:
        print(f"{options.size}, CPU time per image on one core, {options.images} images")
        print(f"{'metric':8} {'plain ms':>9} {'ours ms':>9} {'difference':>11}")
        for name, row in rows.items():
            print(f"{name:8} {1e3 * row.plain:9.2f} {1e3 * row.alone:9.2f} {row.difference:11.1e}")
        print(f"{'all':8} {1e3 * plain:9.2f} {1e3 * ours:9.2f} {largest:11.1e}")
        print(
            f"{plain / ours:.1f} times faster (target {TARGET:.0f}), "
            f"{'equal' if largest <= TOLERANCE else 'NOT equal'} within {TOLERANCE:g}"
        )
    return 0 if largest <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
