"""`lkcfuse batch`: folders of pairs in, a folder of fused images out."""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lkcfuse.cli.batch_options import (
    AddressOption,
    CpusOption,
    DryRunOption,
    EngineOption,
    FirstArgument,
    ForceOption,
    FormatOption,
    GpusOption,
    MatchOption,
    MetricsOption,
    NullOption,
    OutputFolderOption,
    PairsOption,
    SecondArgument,
    SeveralWeightsOption,
    ShardOption,
    StdinOption,
    StrictOption,
    WorkersOption,
)
from lkcfuse.cli.batch_output import notify_of_plan, show_plan, summarise, work_through
from lkcfuse.cli.fuse_words import check_folders
from lkcfuse.cli.option_groups import with_groups
from lkcfuse.cli.options import (
    DeviceOption,
    JsonOption,
    ManifestOption,
    MemoryOption,
    OfflineOption,
    PrecisionOption,
    PreferOption,
    QuietOption,
    ReportOption,
    ScratchOption,
    TaskOption,
    ThreadsOption,
    TileOption,
    inference_options,
)
from lkcfuse.cli.output import Output, Warnings, count
from lkcfuse.cli.source_options import SourceOptions
from lkcfuse.cli.tables import compare, write_scores
from lkcfuse.cli.task_note import note_of_batch_task
from lkcfuse.errors import NotCachedError, UsageError
from lkcfuse.remote import Location, as_location

if TYPE_CHECKING:
    from lkcfuse.batch import Plan
    from lkcfuse.batch.engine import Engine
    from lkcfuse.batch.scoring import Scorer
    from lkcfuse.fusion.fuser import Fuser
    from lkcfuse.pairs import PairOptions


def batch_command(
    ctx: typer.Context,
    first: FirstArgument = None,
    second: SecondArgument = None,
    output: OutputFolderOption = "fused",
    task: TaskOption = "ir-vis",
    weights: SeveralWeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    tile: TileOption = "auto",
    memory: MemoryOption = None,
    scratch: ScratchOption = None,
    precision: PrecisionOption = "auto",
    pairs: PairsOption = None,
    match: MatchOption = None,
    prefer: PreferOption = None,
    from_stdin: StdinOption = False,
    null: NullOption = False,
    shard: ShardOption = None,
    strict: StrictOption = False,
    dry_run: DryRunOption = False,
    metrics: MetricsOption = None,
    report: ReportOption = None,
    engine_name: EngineOption = "local",
    address: AddressOption = None,
    workers: WorkersOption = None,
    cpus_per_worker: CpusOption = None,
    gpus_per_worker: GpusOption = None,
    sources: SourceOptions = SourceOptions(),  # noqa: B008 - frozen, and only read
    format_name: FormatOption = "png",
    force: ForceOption = False,
    manifest: ManifestOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fuse every pair of images in two folders; run again to continue and to verify.

    Files with the same stem are a pair, whatever their extensions; subfolders are kept. With
    FLIR's radiometric JPEGs, or with --split, one folder is enough. The paths of finished files
    are printed to stdout. A journal in the output folder lets a second run redo only what is
    missing, changed or damaged.
    """
    given = dict(locals())
    if weights is not None and len(weights) > 1:
        from lkcfuse.cli.batch_several import batch_each

        batch_each(batch_command, given)
        return
    chosen = weights[0] if weights else None

    from lkcfuse.atomic import check_not_used
    from lkcfuse.batch import open_batch
    from lkcfuse.fusion.fuser import Fuser

    out = Output(as_json, quiet)
    if sources.all_pages:
        raise UsageError("--page all is for fuse, pair by pair; batch takes one page with --page N")
    options = sources.to_pair_options(task, scan=True)
    warn = Warnings(out)
    folder = as_location(output)
    page = as_location(report) if report is not None else None
    fuser = Fuser(
        task,
        weights=chosen,
        device=device,
        threads=threads,
        manifest=manifest,
        offline=offline,
        options=inference_options(tile, memory, scratch, precision),
        notify=warn,
    )
    check_folders([first, second, *ctx.args])
    alone = first is not None and second is None and pairs is None and match is None
    alone = alone and (sources.split or sources.takes_radiometric(task))
    _check_sources(
        first, second, pairs, match, prefer, from_stdin=from_stdin, alone=alone, metrics=metrics
    )
    part = _shard(shard)
    engine = _engine(engine_name, device, address, workers, cpus_per_worker, gpus_per_worker)
    if metrics is not None:
        from lkcfuse.metrics.table_files import check_table

        check_table(metrics, force=force, to_be_made=folder)
    if alone:
        from lkcfuse.batch.single import plan_folder

        assert first is not None
        plan = plan_folder(
            as_location(first), folder, split=sources.split, prefer=prefer, format=format_name
        )
    else:
        plan = _plan(first, second, folder, pairs, match, prefer, from_stdin, null, format_name)
    if metrics is not None:
        check_not_used(metrics, [*plan.files(), pairs])
    notify_of_plan(plan, out, strict=strict)
    options = _scan(plan, options, out)
    if part is not None:
        plan = plan.part(*part)
        out.note(f"shard {shard}: {count(len(plan.pairs), 'pair')}")
    if page is not None:
        from lkcfuse.cli.reports import check_batch_report

        check_batch_report(page, plan, metrics, pairs, force=force)
    note_of_batch_task(ctx, plan, options, out)
    end = "\0" if null else "\n"
    if dry_run:
        looked = Fuser(task, weights=chosen, manifest=manifest, offline=True, notify=warn)
        _check_plan(looked, plan, offline=offline, options=options, out=out, force=force)
        if engine_name == "local" and device not in ("auto", "cpu"):
            from lkcfuse.inference import select_device

            select_device(device)
        show_plan(plan, options, out, end=end)
        return
    started = time.perf_counter()
    with ExitStack() as stack:
        opened = stack.enter_context(open_batch(plan, overwrite=force, notify=warn))
        stack.enter_context(engine)
        with out.progress("loading weights", in_bytes=True) as progress:
            engine.prepare(fuser, progress=progress)
        computer = engine.describe(fuser)
        out.note(f"fusing into {folder} with {computer}")
        scorer = None
        if metrics is not None or page is not None:
            scorer = _scorer(folder, stack, options, task=task, baselines=page is not None)
        outcomes = work_through(opened, fuser, engine, scorer, options=options, out=out, end=end)
    warn.close()
    if scorer is not None and metrics is not None:
        from lkcfuse.batch.settings import Settings

        scored = [(o.pair.name, o.metrics) for o in outcomes if o.metrics is not None]
        if scored:
            made = {scorer.method: Settings.of(fuser, plan.format, options)}
            write_scores(compare(scorer.table(scored), made), metrics, out, force=force)
    if scorer is not None and page is not None:
        from lkcfuse.batch.settings import Settings
        from lkcfuse.cli.reports import write_batch_report
        from lkcfuse.report.settings import settings_section

        settings = Settings.of(fuser, plan.format, options)
        write_batch_report(
            page,
            outcomes,
            task=fuser.task,
            method=scorer.method,
            options=options,
            settings=settings_section("Settings", settings),
            run={"computed by": computer, "output folder": str(folder)},
            out=out,
            force=force,
        )
    summarise(outcomes, out, seconds=time.perf_counter() - started)


batch = with_groups(batch_command)


def _scan(plan: Plan, options: PairOptions, out: Output) -> PairOptions:
    """Find the ranges that are to be found by looking at all files."""
    from lkcfuse.batch.scan import SCAN, scan_ranges

    asked = {"first": options.first, "second": options.second}
    with out.progress("looking at all values", unit="files") as progress:
        options = scan_ranges(plan, options, progress=progress)
    for which, read in (("first", options.first), ("second", options.second)):
        if asked[which].value_range == SCAN:
            out.note(f"one range for all: --range-{which} {read.value_range}")
    return options


def _check_plan(
    fuser: Fuser, plan: Plan, *, offline: bool, options: PairOptions, out: Output, force: bool
) -> None:
    """Refuse what a run would refuse; weights that it would fetch are not looked at."""
    from lkcfuse.batch.check import check, check_settings
    from lkcfuse.batch.claim import check_idle
    from lkcfuse.batch.settings import Settings

    if isinstance(plan.folder, Path):
        check_idle(plan.folder, plan.shard)
    state = check(plan, overwrite=force)
    try:
        settings = Settings.of(fuser, plan.format, options)
    except NotCachedError:
        if offline:
            raise
        out.note("the weights are not on this machine: the run fetches them first")
    else:
        check_settings(plan, settings, state, overwrite=force)


def _check_sources(
    first: str | None,
    second: str | None,
    pairs: Path | None,
    match: str | None,
    prefer: str | None,
    *,
    from_stdin: bool,
    alone: bool,
    metrics: Path | None,
) -> None:
    """Refuse arguments that exclude each other."""
    if first is not None and second is None and not alone:
        raise UsageError(
            f"batch needs two folders and got one, {first}: name the visible, CT, PET or SPECT "
            "folder after it"
        )
    if prefer is not None and (from_stdin or pairs is not None):
        raise UsageError("--prefer applies to folders, not to lists: leave it out")
    if from_stdin:
        if first is not None or pairs is not None or match is not None:
            raise UsageError("--from-stdin lists the pairs: leave out folders, --pairs and --match")
        if sys.stdin.isatty():
            raise UsageError("standard input is a terminal: pipe a list of pairs into it")
    elif pairs is not None:
        if match is not None:
            raise UsageError(
                "--pairs and --match both say which files are a pair: give one of them"
            )
    elif first is None:
        raise UsageError("the pairs are missing: name two folders, --pairs or --from-stdin")
    if metrics is not None and str(metrics) == "-":
        raise UsageError(
            "--metrics - is not possible, since the paths of finished files go to standard "
            "output: give a file"
        )


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    if found is None:
        raise UsageError(f"--shard {text[:40]}: give K/N, such as 3/8 for the third of eight parts")
    return int(found[1]), int(found[2])


def _plan(
    first: str | None,
    second: str | None,
    folder: Location,
    pairs: Path | None,
    match: str | None,
    prefer: str | None,
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
    folders = None
    if first is not None and second is not None:
        folders = as_location(first), as_location(second)
    if pairs is not None:
        return plan_list(read_csv(pairs), folder, folders=folders, format=format_name)
    assert folders is not None
    return plan_folders(*folders, folder, pattern=match, prefer=prefer, format=format_name)


def _engine(
    name: str,
    device: str,
    address: str | None,
    workers: int | None,
    cpus_per_worker: int | None,
    gpus_per_worker: float | None,
) -> Engine:
    """Return what carries the batch out; nothing is started yet."""
    if name == "local":
        from lkcfuse.batch.local import LocalEngine

        asked = {
            "--address": address,
            "--workers": workers,
            "--cpus-per-worker": cpus_per_worker,
            "--gpus-per-worker": gpus_per_worker,
        }
        for option, value in asked.items():
            if value is not None:
                raise UsageError(f"{option} applies to Ray workers: add --engine ray")
        return LocalEngine()
    if name != "ray":
        raise UsageError(f"no engine is called '{name}': choose local or ray")
    if device.startswith("cuda") and not gpus_per_worker:
        raise UsageError(f"--device {device} needs a GPU, or a share: add --gpus-per-worker")
    from lkcfuse.batch.ray_engine import RayEngine

    return RayEngine(
        address=address,
        workers=workers,
        cpus_per_worker=cpus_per_worker or 1,
        gpus_per_worker=gpus_per_worker or 0.0,
    )


def _scorer(
    folder: Location, stack: ExitStack, options: PairOptions, *, task: str, baselines: bool
) -> Scorer:
    from lkcfuse.batch.scoring import Scorer, method_name

    scorer = Scorer(method_name(folder), baselines=baselines, options=options, task=task)
    return stack.enter_context(scorer)
