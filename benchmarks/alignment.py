"""Error of registration on pairs that are warped by known transforms, by method, set and daytime.

    python benchmarks/alignment.py --data DIR [--limit 20] [--methods NAME ...] [--kinds NAME ...]
        [--model affine] [--json]

DIR holds `ir/SET/NAME` and `vis/SET/NAME`, same stem in both. Both pictures are brought to 640
pixels along the longer side, and the visible one is then warped:

- `none`: not at all; how far a registered pair is moved;
- `warp`: by up to 5 % of the width, 3 degrees, and a scale of .9 to 1.1; what comes in from beyond
  the picture has no data;
- `black`: likewise, but black, as most programs leave it;
- `wide`: the infrared picture shows .3 to .6 of what the visible one does, in as many pixels;
- `narrow`: the other way round;
- `other`: the visible picture is that of another pair, so that whatever is accepted is wrong.

The error is the mean distance of the four corners of the second picture's view, in the first's
pixels. The sets' own pairs are off by a pixel or two, and some by five, which counts as error here;
`again` is the error against what the same method finds for the pair before it is warped, and thus
without that. `s` is processor time.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from lkcfuse.images import image_from_array, read_image
from lkcfuse.pairs.alignment import View, corner_errors, register, strength_of_edges
from lkcfuse.pairs.resample import resize_matrix

Plane = NDArray[np.float32]
Matrix = NDArray[np.float64]
SIDE = 640
_AWAY = 7
KINDS = ("none", "warp", "black", "wide", "narrow", "other")
SEEDS = {kind: number for number, kind in enumerate(KINDS)}


class Case(NamedTuple):
    """Two pictures and where the second truly lies on the first."""

    first: View
    second: View
    true: Matrix


class Row(NamedTuple):
    """What a method made of a case."""

    set: str
    night: bool
    kind: str
    method: str
    name: str
    error: float
    again: float | None
    confidence: float
    accepted: bool
    seconds: float


def draw(kind: str, size: tuple[int, int], random: np.random.Generator) -> Matrix:
    """Return a transform from the warped picture's pixels to those of the picture it is made of."""
    height, width = size
    middle = (width - 1) / 2, (height - 1) / 2
    shift = random.uniform(-0.05, 0.05, 2) * width
    turn, scale = random.uniform(-3, 3), random.uniform(0.9, 1.1)
    if kind in ("wide", "narrow"):
        scale = random.uniform(0.3, 0.6)
        shift = random.uniform(-1, 1, 2) * (1 - scale) / 2 * np.array([width, height]) * 0.8
    if kind == "none":
        return np.eye(3)
    made = np.eye(3)
    made[:2] = cv2.getRotationMatrix2D(middle, turn, scale)
    made[:2, 2] += shift
    return made


def make_case(first: Plane, second: Plane, kind: str, random: np.random.Generator) -> Case:
    """Warp one picture of a registered pair."""
    size = first.shape[0], first.shape[1]
    drawn = draw(kind, size, random)
    if kind == "wide":
        # The first is cut out of its picture; the second stays as it is.
        return Case(View(_warped(first, drawn)), View(second), inverted(drawn))
    warped = _warped(second, drawn)
    if kind == "none":
        return Case(View(first), View(second), drawn)
    ones = np.ones(size, np.float32)
    inside = cv2.warpPerspective(ones, drawn, size[::-1], flags=_PULL) > 0.99
    if kind == "black":
        image = image_from_array(np.rint(warped * 255).astype(np.uint8))
        return Case(View(first), View.of(image, longest=SIDE), drawn)
    return Case(View(first), View(warped, inside), drawn)


_PULL = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def _warped(plane: Plane, drawn: Matrix) -> Plane:
    size = plane.shape[1], plane.shape[0]
    scale = math.sqrt(abs(float(np.linalg.det(drawn[:2, :2]))))
    if scale > 1.3:
        plane = np.asarray(cv2.GaussianBlur(plane, (0, 0), 0.4 * scale), np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(plane, drawn, size, flags=flags)
    return np.clip(np.asarray(warped, np.float32), 0, 1)


def inverted(matrix: Matrix) -> Matrix:
    """Return the inverse of a transform."""
    return np.asarray(np.linalg.inv(matrix), np.float64)


def ours(case: Case, model: str) -> tuple[Matrix, float, bool]:
    """Register with lkcfuse."""
    found = register(case.first, case.second, model)
    return found.transform, found.confidence, found.trusted


def phase(case: Case, _model: str) -> tuple[Matrix, float, bool]:
    """Correlate the phase of the strength of edges: finds a shift, whatever the model."""
    # A picture of another scene may have another size.
    edges = [strength_of_edges(view.scaled(case.first.size)) for view in (case.first, case.second)]
    window = cv2.createHanningWindow(edges[0].shape[::-1], cv2.CV_32F)
    (x, y), response = cv2.phaseCorrelate(edges[1], edges[0], window)
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]), response, response > 0.05


def ecc(case: Case, model: str) -> tuple[Matrix, float, bool]:
    """Maximise the correlation of the strength of edges (OpenCV's ECC), coarse to fine."""
    motions = {
        "shift": cv2.MOTION_TRANSLATION,
        "affine": cv2.MOTION_AFFINE,
        "homography": cv2.MOTION_HOMOGRAPHY,
    }
    size, found, score = case.first.size, np.eye(3), 0.0
    for factor, blur in ((8, 2.0), (4, 2.0), (2, 1.5), (1, 1.5)):
        small = max(8, size[0] // factor), max(8, size[1] // factor)
        edges = [
            cv2.GaussianBlur(strength_of_edges(view.scaled(small)), (0, 0), blur)
            for view in (case.first, case.second)
        ]
        down = resize_matrix(size, small)
        start = np.linalg.inv(down @ found @ np.linalg.inv(down))
        start = (start / start[2, 2]).astype(np.float32)
        motion = motions[model]
        if motion != cv2.MOTION_HOMOGRAPHY:
            start = start[:2]
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-5)
        try:
            score, made = cv2.findTransformECC(
                edges[0], edges[1], start, motion, criteria, np.ones(small, np.uint8), 5
            )
        except cv2.error:
            return found, 0.0, False
        whole = np.eye(3)
        whole[: made.shape[0]] = made
        found = np.linalg.inv(down) @ np.linalg.inv(whole) @ down
    return found, float(score), score > 0.3


METHODS: dict[str, Callable[[Case, str], tuple[Matrix, float, bool]]] = {
    "lkcfuse": ours,
    "ecc": ecc,
    "phase": phase,
}


def pairs(data: Path, limit: int | None) -> list[tuple[str, Path, Path]]:
    """Return sets and files, as evenly over the sets as a limit allows."""
    sets: dict[str, list[tuple[str, Path, Path]]] = defaultdict(list)
    for first in sorted((data / "ir").glob("*/*")):
        for second in sorted((data / "vis" / first.parent.name).glob(f"{first.stem}.*")):
            sets[first.parent.name].append((first.parent.name, first, second))
    rounds = max(map(len, sets.values()), default=0)
    found = [files[n] for n in range(rounds) for files in sets.values() if n < len(files)]
    return found[:limit]


def load(path: Path) -> Plane:
    """Return a picture's luma at the benchmark's size."""
    luma = read_image(path).luma
    factor = SIDE / max(luma.shape)
    size = round(luma.shape[1] * factor), round(luma.shape[0] * factor)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(luma, size, interpolation=way), np.float32)


def run(
    data: Path, limit: int | None, kinds: Sequence[str], methods: Sequence[str], model: str
) -> Iterator[Row]:
    """Register everything with every method."""
    found = pairs(data, limit)
    for number, (name, first, second) in enumerate(found):
        planes = load(first), load(second)
        stranger = load(found[(number + _AWAY) % len(found)][2])
        night = bool(planes[1].mean() < 0.25)
        before: dict[str, Matrix] = {}
        for kind in sorted(kinds, key=KINDS.index):
            case = make_case(*planes, kind, np.random.default_rng([number, SEEDS[kind]]))
            if kind == "other":
                case = Case(case.first, View(stranger), np.full((3, 3), np.nan))
            for method in methods:
                started = time.process_time()
                transform, confidence, accepted = METHODS[method](case, model)
                seconds = time.process_time() - started
                if kind == "none":
                    before[method] = transform
                again = None
                if method in before and kind != "other":
                    own = before[method]
                    true = case.true @ own if kind == "wide" else own @ case.true
                    again = error_of(transform, true, case, kind)
                error = error_of(transform, case.true, case, kind)
                yield Row(
                    name,
                    night,
                    kind,
                    method,
                    first.stem,
                    error,
                    again,
                    confidence,
                    accepted,
                    seconds,
                )


def error_of(found: Matrix, true: Matrix, case: Case, kind: str) -> float:
    """Return the mean distance of the corners of what both pictures show, in the first's pixels."""
    if kind == "wide":
        view = inverted(true)
        errors = corner_errors(view, inverted(found), case.first.size)
        errors = errors / math.sqrt(abs(float(np.linalg.det(view[:2, :2]))))
    else:
        errors = corner_errors(found, true, case.second.size)
    return float(np.nan_to_num(errors, nan=1e6, posinf=1e6).mean())


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the figures that the bars are set for."""
    errors = np.array([row.error for row in rows])
    accepted = np.array([row.accepted for row in rows])
    kept = errors[accepted]
    again = [row.again for row in rows if row.again is not None and row.accepted]
    return {
        "pairs": len(rows),
        "median": float(np.median(errors)),
        "within_3": float((errors <= 3).mean()),
        "accepted": float(accepted.mean()),
        "accepted_median": float(np.median(kept)) if len(kept) else None,
        "accepted_95": float(np.percentile(kept, 95)) if len(kept) else None,
        "accepted_beyond_8": float((kept > 8).mean()) if len(kept) else None,
        "again": float(np.median(again)) if again else None,
        "seconds": float(np.median([row.seconds for row in rows])),
    }


def show(rows: Sequence[Row]) -> None:
    """Print a line for each kind, method and group."""
    print(
        f"{'kind':7s} {'method':8s} {'group':11s} {'pairs':>5s} {'median':>7s} {'<=3 px':>6s} "
        f"{'taken':>6s} {'median':>7s} {'95 %':>7s} {'>8 px':>6s} {'again':>6s} {'s':>5s}"
    )
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        for group in ("all", "night" if row.night else "day", row.set):
            groups[row.kind, row.method, group].append(row)
    order = {"all": 0, "day": 1, "night": 2}
    for kind, method, group in sorted(
        groups, key=lambda k: (SEEDS[k[0]], k[1], order.get(k[2], 3), k[2])
    ):
        figures = summarise(groups[kind, method, group])
        shown = [
            figures[k] for k in ("accepted_median", "accepted_95", "accepted_beyond_8", "again")
        ]
        taken = ["-" if value is None else f"{value:.2f}" for value in shown]
        print(
            f"{kind:7s} {method:8s} {group:11s} {figures['pairs']:5d} {figures['median']:7.2f} "
            f"{figures['within_3']:6.2f} {figures['accepted']:6.2f} {taken[0]:>7s} {taken[1]:>7s} "
            f"{taken[2]:>6s} {taken[3]:>6s} {figures['seconds']:5.2f}"
        )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--limit", type=int, metavar="PAIRS")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--model", choices=("shift", "affine", "homography"), default="affine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row there")
    options = parser.parse_args()
    cv2.setNumThreads(2)
    rows = list(run(options.data, options.limit, options.kinds, options.methods, options.model))
    if not rows:
        print(f"{options.data} has no pairs: it needs ir/SET/NAME and vis/SET/NAME")
        return 1
    show(rows)
    if options.json is not None:
        options.json.write_text(json.dumps([row._asdict() for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
