"""Pairs per second of a batch against a plain loop over `Fuser.fuse_files`, and against workers.

The loop reads, fuses and writes one pair after the other. The batch does the three side by side,
and besides hashes all files, keeps a journal and waits for the disk. Both must write the same
bytes. What a batch can gain is the time that is not the network's: most on a GPU, and for small
networks and large files.

With `--workers 1,2` the pairs are also done by as many workers of Ray, on this machine or, with
`--address`, on a cluster (`--folder` is then one that its machines share). What is counted there
begins when the first pair is done: before it, workers load their networks, which takes as long for
ten pairs as for a million. The driver's own time a pair bounds what one driver can hand out. A
second run then verifies what the first has made.

With `--plan 1000000` so many pairs are listed, planned and put into a journal, and the journal is
read again, without any image: what each pair costs the driver's memory, its start and its disk.

    python benchmarks/batch.py [--pairs 12] [--size 640x480] [--weights NAME|FILE] [--json]
                               [--device auto] [--threads N] [--repeats 3]
                               [--workers 1,2,...] [--gpus-per-worker SHARE] [--address HOST:PORT]
                               [--folder DIR]
    python benchmarks/batch.py --plan 1000000 [--folder DIR] [--json]

Exits with 1 where a file differs.
"""

from __future__ import annotations

from lkcfuse.environment import apply_library_settings

apply_library_settings()

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import psutil

from lkcfuse.batch import Listed, Outcome, RayEngine, open_batch, plan_folders, plan_list
from lkcfuse.batch.claim import claim
from lkcfuse.batch.journal import FOLDER, JOURNAL, Journal, read_state
from lkcfuse.batch.records import FileRecord, PairRecord
from lkcfuse.batch.settings import Settings
from lkcfuse.batch.stages import relative_output
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.pairs import PairOptions

STAGES = ("read", "fuse", "encode")


def make_pairs(folder: Path, count: int, width: int, height: int) -> tuple[Path, Path]:
    """Write pairs that compress about as photographs do: smooth shapes and some noise."""
    rng = np.random.default_rng(0)
    first, second = folder / "ir", folder / "vis"
    for place in (first, second):
        place.mkdir()
    for number in range(count):
        shapes = cv2.GaussianBlur(rng.random((height, width, 4), np.float32), (0, 0), 12)
        shapes = (shapes - shapes.min()) / (shapes.max() - shapes.min())
        pixels = 255 * shapes + rng.normal(0, 3, shapes.shape)
        pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        cv2.imwrite(str(first / f"{number}.png"), pixels[..., 0])
        cv2.imwrite(str(second / f"{number}.png"), pixels[..., 1:])
    return first, second


def run_loop(fuser: Fuser, first: Path, second: Path, output: Path) -> float:
    """Fuse one pair after the other; return the seconds."""
    output.mkdir()
    started = time.perf_counter()
    for path in sorted(first.iterdir()):
        fuser.fuse_files(path, second / path.name, output / path.name)
    return time.perf_counter() - started


def run_batch(fuser: Fuser, first: Path, second: Path, output: Path) -> tuple[float, list[Outcome]]:
    """Fuse all pairs as a batch; return the seconds and the outcomes."""
    started = time.perf_counter()
    with open_batch(plan_folders(first, second, output)) as batch:
        outcomes = list(batch.run(fuser))
    return time.perf_counter() - started, outcomes


def run_workers(
    count: int, options: argparse.Namespace, first: Path, second: Path, output: Path
) -> tuple[dict[str, float], list[Outcome]]:
    """Fuse all pairs on workers of Ray; return the figures and the outcomes."""
    # Not loaded here: what workers are given is what was asked for.
    fuser = Fuser(weights=options.weights, device=options.device)
    cpus = options.threads or 1
    engine = RayEngine(
        address=options.address,
        workers=count,
        cpus_per_worker=cpus,
        gpus_per_worker=options.gpus_per_worker,
    )
    began = time.perf_counter()
    outcomes: list[Outcome] = []
    with engine, open_batch(plan_folders(first, second, output)) as batch:
        engine.prepare(fuser)
        for outcome in batch.run(fuser, engine=engine):
            outcomes.append(outcome)
            if len(outcomes) == 1:
                started, cpu = time.perf_counter(), time.process_time()
            if len(outcomes) == len(batch.plan.pairs):
                seconds = time.perf_counter() - started
                own = time.process_time() - cpu
                resident = worker_bytes()
    rest = len(outcomes) - 1
    with engine, open_batch(plan_folders(first, second, output)) as batch:
        engine.prepare(fuser)
        again = batch.run(fuser, engine=engine)
        next(again)
        began_again, cpu = time.perf_counter(), time.process_time()
        verified = sum(outcome.status == "verified" for outcome in again)
        seconds_again = time.perf_counter() - began_again
        own_again = time.process_time() - cpu
    figures = {
        "workers": count,
        "cpus_per_worker": cpus,
        "pairs_per_second": rest / seconds,
        "start_seconds": started - began,
        "driver_seconds_per_pair": own / rest,
        "worker_bytes": resident,
        "verified_per_second": verified / seconds_again,
        "driver_seconds_per_verified": own_again / verified,
    }
    return figures, outcomes


def worker_bytes() -> int:
    """Return the memory of the largest worker on this machine; 0 where they are on others."""
    processes = psutil.Process().children(recursive=True)
    # Such a process is called after its class.
    workers = [p for p in processes if "".join(p.cmdline()[:1]).startswith("ray::Actor")]
    return max((int(p.memory_info().rss) for p in workers), default=0)


def plan_costs(count: int, top: Path | None) -> dict[str, float]:
    """Plan so many pairs at URLs, write a journal of them and read it; return the figures."""
    resident = psutil.Process().memory_info
    figures: dict[str, float] = {"pairs": count}
    with tempfile.TemporaryDirectory(dir=top) as name, claim(Path(name)) as held:
        before, started = resident().rss, time.perf_counter()
        listed = [
            Listed(f"s3://bucket/data/ir/{n:09d}.png", f"s3://bucket/data/vis/{n:09d}.png")
            for n in range(count)
        ]
        plan = plan_list(listed, Path(name))
        del listed
        figures["plan_seconds_per_pair"] = (time.perf_counter() - started) / count
        figures["plan_bytes_per_pair"] = (resident().rss - before) / count
        settings = Settings.of(Fuser(), plan.format, PairOptions())
        digest, seconds = "0" * 64, {"read": 0.0123, "fuse": 1.2345, "encode": 0.0123}
        with Journal(Path(name), held.journal_lock) as journal:
            journal.begin(settings, pairs=count)
            for pair in plan.pairs:
                record = PairRecord(
                    pair.name,
                    FileRecord(str(pair.first), digest, 123456),
                    FileRecord(str(pair.second), digest, 123456),
                    FileRecord(relative_output(plan.folder, pair), digest, 123456),
                    settings.key, 640, 480, seconds, round(time.time(), 3),
                )  # fmt: skip
                journal.append(record.to_record(), sync=False)
            size = (Path(name) / FOLDER / JOURNAL).stat().st_size
        figures["journal_bytes_per_pair"] = size / count
        before, started = resident().rss, time.perf_counter()
        state = read_state(Path(name))
        figures["journal_read_seconds_per_pair"] = (time.perf_counter() - started) / count
        figures["journal_read_bytes_per_pair"] = (resident().rss - before) / count
        assert len(state.pairs) == count
    return figures


def same_files(one: Path, other: Path) -> bool:
    """Whether every image of one folder is in the other, byte for byte."""
    return all(
        path.read_bytes() == (other / path.name).read_bytes() for path in sorted(one.glob("*.png"))
    )


def stage_seconds(outcomes: list[Outcome]) -> dict[str, float]:
    """Return the mean seconds a pair spent in each stage."""
    records = [outcome.record for outcome in outcomes if outcome.record is not None]
    return {
        stage: sum(record.seconds[stage] for record in records) / max(len(records), 1)
        for stage in STAGES
    }


def in_words(stages: dict[str, float]) -> str:
    """Return mean seconds by stage, for people."""
    return ", ".join(f"{stage} {1e3 * spent:.1f} ms" for stage, spent in stages.items())


def plan_in_words(costs: dict[str, float]) -> str:
    """Return what planning costs, for people."""
    return (
        f"{costs['pairs']:.0f} pairs, for each of them:\n"
        f"plan     {1e6 * costs['plan_seconds_per_pair']:6.0f} us, "
        f"{costs['plan_bytes_per_pair']:.0f} bytes of memory\n"
        f"journal  {1e6 * costs['journal_read_seconds_per_pair']:6.0f} us to read, "
        f"{costs['journal_read_bytes_per_pair']:.0f} bytes of memory at the end, "
        f"{costs['journal_bytes_per_pair']:.0f} bytes of disk"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--size", default="640x480", metavar="WxH")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", default="", metavar="N,N,...")
    parser.add_argument("--gpus-per-worker", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--address", default=None, metavar="HOST:PORT")
    parser.add_argument("--folder", type=Path, default=None, metavar="DIR")
    parser.add_argument("--plan", type=int, default=None, metavar="N")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.plan is not None:
        costs = plan_costs(options.plan, options.folder)
        print(json.dumps(costs) if options.json else plan_in_words(costs))
        return 0
    width, height = (int(side) for side in options.size.split("x"))

    fuser = Fuser(weights=options.weights, device=options.device, threads=options.threads).load()
    ratios, loops, batches, stages, same = [], [], [], {}, True
    scaling: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        first, second = make_pairs(folder, options.pairs, width, height)
        run_loop(fuser, first, second, folder / "warm")
        for repeat in range(options.repeats):
            one, other = folder / f"loop{repeat}", folder / f"batch{repeat}"
            # Turn and turn about, so that a machine that slows down slows both.
            if repeat % 2:
                batch, outcomes = run_batch(fuser, first, second, other)
                loop = run_loop(fuser, first, second, one)
            else:
                loop = run_loop(fuser, first, second, one)
                batch, outcomes = run_batch(fuser, first, second, other)
            same = same and same_files(one, other)
            stages = stage_seconds(outcomes)
            loops.append(loop)
            batches.append(batch)
            ratios.append(loop / batch)
        for count in (int(word) for word in options.workers.split(",") if word):
            output = folder / f"workers{count}"
            figures, outcomes = run_workers(count, options, first, second, output)
            same = same and same_files(folder / "warm", output)
            scaling.append({**figures, "seconds_per_pair": stage_seconds(outcomes)})
    record = {
        "size": options.size,
        "pairs": options.pairs,
        "using": fuser.describe(),
        "loop_pairs_per_second": options.pairs / median(loops),
        "batch_pairs_per_second": options.pairs / median(batches),
        "ratio": median(ratios),
        "seconds_per_pair": stages,
        "scaling": scaling,
        "same_bytes": same,
    }
    if options.json:
        print(json.dumps(record))
    else:
        print(f"{options.pairs} pairs of {options.size} with {record['using']}")
        print(f"loop   {options.pairs / median(loops):8.2f} pairs/s")
        print(f"batch  {options.pairs / median(batches):8.2f} pairs/s, {median(ratios):.2f} times")
        print(in_words(stages))
        for row in scaling:
            workers = f"{row['workers']} x {row['cpus_per_worker']} CPU"
            print(
                f"{workers:14} {row['pairs_per_second']:6.2f} pairs/s after "
                f"{row['start_seconds']:.1f} s; {in_words(row['seconds_per_pair'])}, "
                f"driver {1e3 * row['driver_seconds_per_pair']:.2f} ms, "
                f"{row['worker_bytes'] / 1e6:.0f} MB a worker; "
                f"{row['verified_per_second']:.0f} verified/s, "
                f"driver {1e3 * row['driver_seconds_per_verified']:.2f} ms"
            )
        print("same bytes" if same else "NOT the same bytes")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
