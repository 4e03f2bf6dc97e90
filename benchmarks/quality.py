"""Quality of the packaged (or any) weights on sets of pairs, beside the plainest baselines.

    python benchmarks/quality.py DATA [--task ir-vis] [--weights NAME|FILE] [--limit 10] [--json]

DATA is a folder with the task's two in it (`ir` and `vis`, or `mri` and `ct`, `pet`, `spect`). The
first folder below those is a pair's set (DATA/ir/SET/NAME); pairs in no such folder are one set.
Every pair is scored as `lkcfuse fuse` would write it to a PNG file, beside the pixelwise maximum
and the mean of the two sources' luma, in whole levels. Each set has its table; in the mean over
the sets each set counts once. docs/metrics.md explains the checks below each table.

Exits with 1 where a bar of `quality_bars.py` is missed, and says which.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from lkcfuse.environment import apply_library_settings

apply_library_settings()

from quality_bars import missed, not_judged
from quality_picture import Chosen, Picture, measure
from quality_report import count, describe, table_of_sets
from quality_sheet import ROWS, Row, row_of, write_sheet
from quality_summary import Summary, mean_over_sets, summarize, to_json

from lkcfuse import Fuser
from lkcfuse.errors import LkcfuseError, UsageError
from lkcfuse.tasks import TASKS
from lkcfuse.training.data import by_dataset, find_pairs, folder_names

T = TypeVar("T")


def find_sets(data: Path, task: str) -> dict[str, list[Chosen]]:
    """Return the pairs of each set by the set's name, which is empty for pairs in no folder.

    Raises:
        InputError: A folder is missing, no pair is found, or an image has no partner.
    """
    first, second = folder_names(task)
    sets = by_dataset(find_pairs(data / first, data / second, task))
    return {
        name: [
            Chosen(
                pair.first.relative_to(data / first / name).with_suffix("").as_posix(),
                pair.first,
                pair.second,
            )
            for pair in members
        ]
        for name, members in sets.items()
    }


def spread(items: Sequence[T], at_most: int | None) -> list[T]:
    """Return so many items at most, evenly spread over all."""
    if at_most is None or at_most >= len(items):
        return list(items)
    return [items[i * len(items) // at_most] for i in range(at_most)]


def measure_set(
    fuser: Fuser, name: str, pairs: list[Chosen], options: argparse.Namespace
) -> list[Picture]:
    """Measure the pairs of a set; write its fused images and its contact sheet if asked to."""
    turned = set(spread(pairs, options.equivariance))
    shown = set(spread(pairs, ROWS)) if options.sheet else set()
    keep = options.keep / name if options.keep else None
    pictures: list[Picture] = []
    rows: list[Row] = []
    for index, chosen in enumerate(pairs):
        _progress(f"{index + 1}/{len(pairs)} {name}/{chosen.name}".replace(" /", " "))
        picture, views = measure(fuser, chosen, turn=chosen in turned, keep=keep)
        pictures.append(picture)
        if chosen in shown:
            rows.append(row_of(chosen.name, views))
    if options.sheet:
        titles = (fuser.task.first, fuser.task.second, "maximum", fuser.weights.name)
        write_sheet(options.sheet / f"{name or 'pairs'}.jpg", rows, titles)
    return pictures


def make_folder(path: Path | None) -> None:
    """Make a folder to write into, if one is asked for.

    Raises:
        UsageError: It cannot be made.
    """
    try:
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: the folder cannot be made: {error.strerror}") from None


def show(fuser: Fuser, sets: list[Summary], mean: Summary) -> None:
    pairs = count(mean.pairs) + (f" in {len(sets)} sets" if len(sets) > 1 else "")
    print(f"{fuser.weights.name}, {fuser.task.name}, {pairs}")
    for summary in (*sets, mean) if len(sets) > 1 else sets:
        title = f"{summary.name}, {count(summary.pairs)}" if summary is not mean else summary.name
        print(f"\n{title}" if summary.name else "")
        print(*describe(summary, fuser.task), sep="\n")
    if len(sets) > 1:
        print("\ngains over the maximum, and the checks")
        print(*table_of_sets(sets, mean), sep="\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--task", default="ir-vis", choices=list(TASKS))
    parser.add_argument("--weights", default=None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument(
        "--limit", type=_count, default=None, help="so many pairs of each set, evenly spread"
    )
    parser.add_argument(
        "--equivariance",
        type=_count,
        default=3,
        metavar="N",
        help="turn so many pairs of each set, which takes five more fusions each (default: 3)",
    )
    parser.add_argument("--keep", type=Path, default=None, help="write the fused images here")
    parser.add_argument(
        "--sheet",
        type=Path,
        default=None,
        metavar="DIR",
        help=f"write a contact sheet of up to {ROWS} pairs of each set here, SET.jpg",
    )
    parser.add_argument(
        "--json", action="store_true", help="print everything as JSON, every pair included"
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few: give 1 or more")
    return value


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line[:78]:<78}", end="", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        sets = find_sets(options.data, options.task)
        for folder in (options.keep, options.sheet):
            make_folder(folder)
        fuser = Fuser(options.task, weights=options.weights, threads=options.threads).load()
        pictures = {
            name: measure_set(fuser, name, spread(pairs, options.limit), options)
            for name, pairs in sets.items()
        }
        _progress("")
    except LkcfuseError as error:
        print(f"quality: error: {error}", file=sys.stderr)
        return error.exit_code
    summaries = [summarize(name, measured) for name, measured in pictures.items()]
    mean = mean_over_sets(summaries)
    misses = list(missed(options.task, summaries, mean))
    if options.json:
        report = {
            "weights": fuser.weights.name,
            "task": fuser.task.name,
            "sets": {s.name: to_json(s, pictures[s.name]) for s in summaries},
            "mean": to_json(mean),
            "missed": [miss.to_json() for miss in misses],
        }
        print(json.dumps(report, indent=2))
    else:
        show(fuser, summaries, mean)
    for figure in not_judged(options.task, summaries):
        print(f"not judged: {figure}: no pair could show it", file=sys.stderr)
    for miss in misses:
        print(f"missed: {miss}", file=sys.stderr)
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
