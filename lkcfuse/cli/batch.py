"""`lkcfuse batch`: folders of pairs in, a folder of fused images out."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from lkcfuse.cli import failures, output
from lkcfuse.cli.batch_options import (
    DryRunOption,
    FirstArgument,
    ForceOption,
    FormatOption,
    MatchOption,
    MetricsOption,
    NullOption,
    OutputFolderOption,
    PairsOption,
    SecondArgument,
    ShardOption,
    StdinOption,
    StrictOption,
)
from lkcfuse.cli.options import (
    DeviceOption,
    InvertFirstOption,
    JsonOption,
    ManifestOption,
    OfflineOption,
    QuietOption,
    TaskOption,
    ThreadsOption,
    WeightsOption,
)
from lkcfuse.cli.output import Output
from lkcfuse.errors import InputError, LkcfuseError, UsageError

if TYPE_CHECKING:
    from lkcfuse.batch import Batch, Outcome, Plan
    from lkcfuse.batch.scoring import Scorer
    from lkcfuse.fuser import Fuser

# A batch of thousands has the same to say about each: the first few tell.
_WARNINGS_SHOWN = 10
_NAMES_SHOWN = 10


def batch(
    first: FirstArgument = None,
    second: SecondArgument = None,
    folder: OutputFolderOption = Path("fused"),
    task: TaskOption = "ir-vis",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    pairs: PairsOption = None,
    match: MatchOption = None,
    from_stdin: StdinOption = False,
    null: NullOption = False,
    shard: ShardOption = None,
    strict: StrictOption = False,
    dry_run: DryRunOption = False,
    metrics: MetricsOption = None,
    invert_first: InvertFirstOption = False,
    format_name: FormatOption = "png",
    force: ForceOption = False,
    manifest: ManifestOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fuse every pair of two folders; run again to go on, and to verify what is done.

    Files of one stem are a pair, whatever their extensions; sub-folders are kept. The paths of
    finished files go to stdout. A journal in the output folder makes a second run do only what
    is missing, changed or damaged.
    """
    from lkcfuse.batch import open_batch
    from lkcfuse.fuser import Fuser

    out = Output(as_json, quiet)
    warn = _Warnings(out)
    fuser = Fuser(
        task,
        weights=weights,
        device=device,
        threads=threads,
        manifest=manifest,
        offline=offline,
        notify=warn,
    )
    _check_sources(first, second, pairs=pairs, match=match, from_stdin=from_stdin, metrics=metrics)
    part = _shard(shard)
    if metrics is not None:
        from lkcfuse.metrics.table import check_table

        check_table(metrics, force=force)
    plan = _plan(first, second, folder, pairs, match, from_stdin, null, format_name)
    _tell(plan, out, strict=strict)
    if part is not None:
        plan = plan.part(*part)
        out.note(f"shard {shard}: {_count(len(plan.pairs), 'pair')}")
    end = "\0" if null else "\n"
    if dry_run:
        _dry_run(plan, out, force=force, end=end)
        return
    started = time.perf_counter()
    with ExitStack() as stack:
        opened = stack.enter_context(open_batch(plan, overwrite=force))
        with out.progress("loading weights", in_bytes=True) as report:
            fuser.load(progress=report)
        out.note(f"fusing into {folder} with {fuser.describe()}")
        scorer = _scorer(metrics, folder, stack)
        outcomes = _run(opened, fuser, scorer, invert_first=invert_first, out=out, end=end)
    warn.close()
    if scorer is not None and metrics is not None:
        from lkcfuse.metrics.table import write_table

        scored = [(o.pair.name, o.metrics) for o in outcomes if o.metrics is not None]
        if scored:
            write_table(scorer.table(scored), metrics, force=force)
            out.note(f"wrote {metrics}: {_count(len(scored), 'row')}")
    _summarise(outcomes, out, seconds=time.perf_counter() - started)


def _check_sources(
    first: Path | None,
    second: Path | None,
    *,
    pairs: Path | None,
    match: str | None,
    from_stdin: bool,
    metrics: Path | None,
) -> None:
    """Refuse arguments that exclude each other."""
    if first is not None and second is None:
        raise UsageError(f"{first} is one folder, and pairs come from two: DIR_A and DIR_B")
    if from_stdin:
        if first is not None or pairs is not None or match is not None:
            raise UsageError("--from-stdin lists the pairs: leave out folders, --pairs and --match")
        if sys.stdin.isatty():
            raise UsageError("standard input is a terminal: pipe a list of pairs into it")
    elif pairs is not None:
        if match is not None:
            raise UsageError("--pairs and --match both say what belongs together: give one")
    elif first is None:
        raise UsageError("the pairs are missing: name two folders, --pairs or --from-stdin")
    if metrics is not None and str(metrics) == "-":
        raise UsageError("standard output has the paths of what is done: give --metrics a file")


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    if found is None:
        raise UsageError(f"--shard {text}: give K/N, as 3/8 for the third of eight parts")
    return int(found[1]), int(found[2])


def _plan(
    first: Path | None,
    second: Path | None,
    folder: Path,
    pairs: Path | None,
    match: str | None,
    from_stdin: bool,
    null: bool,
    format_name: str,
) -> Plan:
    from lkcfuse.batch.lists import parse_lines, parse_null, read_csv
    from lkcfuse.batch.plan import plan_folders, plan_list

    if from_stdin:
        data = sys.stdin.buffer.read()
        listed = parse_null(data) if null else parse_lines(data)
        return plan_list(listed, folder, format=format_name)
    folders = None if first is None or second is None else (first, second)
    if pairs is not None:
        return plan_list(read_csv(pairs), folder, folders=folders, format=format_name)
    assert folders is not None
    return plan_folders(*folders, folder, pattern=match, format=format_name)


def _tell(plan: Plan, out: Output, *, strict: bool) -> None:
    """Say what was found, and which files have no partner."""
    alone = (*plan.only_first, *plan.only_second)
    text = f"{_count(len(plan.pairs), 'pair')}"
    if not alone:
        out.note(text)
        return
    shown = ", ".join(str(path) for path in alone[:_NAMES_SHOWN])
    more = f" and {len(alone) - _NAMES_SHOWN} more" if len(alone) > _NAMES_SHOWN else ""
    have = "file has" if len(alone) == 1 else "files have"
    text += f"; {len(alone)} {have} no partner: {shown}{more}"
    if strict:
        raise InputError(text)
    out.note(text)


def _dry_run(plan: Plan, out: Output, *, force: bool, end: str) -> None:
    from lkcfuse.batch.journal import read_state
    from lkcfuse.batch.run import check

    check(plan, read_state(plan.folder), overwrite=force)
    for pair in plan.pairs:
        record = {
            "name": pair.name,
            "status": "planned",
            "first": str(pair.first),
            "second": str(pair.second),
            "output": str(pair.output),
        }
        out.result(f"{pair.first}\t{pair.second}\t{pair.output}", record, end=end)


def _scorer(metrics: Path | None, folder: Path, stack: ExitStack) -> Scorer | None:
    if metrics is None:
        return None
    from lkcfuse.batch.scoring import Scorer, method_name

    return stack.enter_context(Scorer(method_name(folder)))


def _run(
    opened: Batch,
    fuser: Fuser,
    scorer: Scorer | None,
    *,
    invert_first: bool,
    out: Output,
    end: str,
) -> list[Outcome]:
    """Work through the pairs, and print each as it is done."""
    done = []
    with out.progress("fusing", unit="pairs") as report:
        run = opened.run(fuser, invert_first=invert_first, scorer=scorer, progress=report)
        with closing(run) as outcomes:
            for outcome in outcomes:
                done.append(outcome)
                message = None
                if outcome.error is not None:
                    message, _ = failures.explain(outcome.error)
                    output.error(f"{outcome.pair.name}: {message}")
                if outcome.record is not None or out.as_json:
                    out.result(str(outcome.pair.output), _record(outcome, message), end=end)
    return done


def _record(outcome: Outcome, message: str | None) -> dict[str, object]:
    """Return a pair's line of JSON."""
    pair, done = outcome.pair, outcome.record
    record: dict[str, object] = {
        "name": pair.name,
        "status": outcome.status,
        "first": str(pair.first),
        "second": str(pair.second),
        "output": str(pair.output),
    }
    if done is not None:
        record |= {
            "width": done.width,
            "height": done.height,
            "sha256": done.output.sha256,
            "seconds": done.seconds,
        }
    if outcome.metrics is not None:
        record["metrics"] = outcome.metrics
    if message is not None:
        record["error"] = message
    return record


def _summarise(outcomes: Sequence[Outcome], out: Output, *, seconds: float) -> None:
    """Say how it went; failures end the run with exit code 1."""
    fused = sum(outcome.status == "fused" for outcome in outcomes)
    verified = sum(outcome.status == "verified" for outcome in outcomes)
    failed = [outcome.pair.name for outcome in outcomes if outcome.error is not None]
    parts = [f"{_count(fused, 'pair')} fused in {seconds:.1f} s"]
    if verified:
        parts.append(f"{verified} verified and left as they were")
    out.note(", ".join(parts))
    if not failed:
        return
    shown = ", ".join(failed[:_NAMES_SHOWN])
    more = f" and {len(failed) - _NAMES_SHOWN} more" if len(failed) > _NAMES_SHOWN else ""
    rest = "the others are done, and " if len(failed) < len(outcomes) else ""
    # A bug is shown with --debug: its traceback, below this line's.
    bugs = (o.error for o in outcomes if not isinstance(o.error, (LkcfuseError, type(None))))
    raise LkcfuseError(
        f"{len(failed)} of {_count(len(outcomes), 'pair')} failed: {shown}{more}; "
        f"{rest}running again does only these"
    ) from next(bugs, None)


class _Warnings:
    """Shows the first warnings, and at the end how many more there were."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._count = 0

    def __call__(self, message: str) -> None:
        self._count += 1
        if self._count <= _WARNINGS_SHOWN:
            self._out.warn(message)

    def close(self) -> None:
        if self._count > _WARNINGS_SHOWN:
            self._out.warn(f"{self._count - _WARNINGS_SHOWN} more warnings like these")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
