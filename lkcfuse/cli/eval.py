"""`lkcfuse eval`: score fused images against their sources."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lkcfuse.cli import output
from lkcfuse.cli.eval_options import (
    BaselinesOption,
    ExplainOption,
    FirstOption,
    FusedOption,
    MatchOption,
    MetricsOption,
    OlderTableOption,
    PlotOption,
    PublicationOption,
    ReferenceOption,
    SecondOption,
    SummaryOption,
    TableOption,
    TaskNameOption,
    WorkersOption,
)
from lkcfuse.cli.explain import explain_metrics
from lkcfuse.cli.options import (
    ForceOption,
    JsonOption,
    PreferOption,
    QuietOption,
    ReportOption,
)
from lkcfuse.cli.output import Output, Warnings, count
from lkcfuse.cli.streams import check_stdout
from lkcfuse.cli.tables import check_publishing, compare, settings_of, write_scores
from lkcfuse.errors import InputError, LkcfuseError, UsageError
from lkcfuse.remote import as_location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lkcfuse.metrics.cases import Plan
    from lkcfuse.metrics.comparison import Comparison
    from lkcfuse.metrics.naming import Naming

STREAM = "-"
BATCH_FOLDER = Path("fused")
DEFAULT_TASK = "ir-vis"


def evaluate(
    table_path: TableOption = None,
    older_table_path: OlderTableOption = None,
    fused: FusedOption = None,
    first: FirstOption = None,
    second: SecondOption = None,
    reference: ReferenceOption = None,
    match: MatchOption = None,
    prefer: PreferOption = None,
    metrics: MetricsOption = None,
    baselines: BaselinesOption = False,
    explain: ExplainOption = False,
    task: TaskNameOption = None,
    workers: WorkersOption = None,
    publication: PublicationOption = None,
    summary: SummaryOption = None,
    plot: PlotOption = None,
    report: ReportOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score fused images with the metrics of the field.

    Scores the last batch, or any method's results: files of the folders --fused, --a and --b
    belong together by their stems, or as --match says. The table has one row for each pair and
    method; means, deviations and ranks go to a second one beside it (metrics.summary.csv).
    """
    from lkcfuse.atomic import check_not_used
    from lkcfuse.cli.summary import draw
    from lkcfuse.cpus import available_cpus
    from lkcfuse.metrics import select
    from lkcfuse.metrics.cases import with_baselines
    from lkcfuse.metrics.naming import Naming
    from lkcfuse.metrics.plots import check_plot, write_plot
    from lkcfuse.metrics.publication import FORMATS
    from lkcfuse.metrics.publication_files import write_publication
    from lkcfuse.metrics.scoring import score
    from lkcfuse.metrics.table import Table
    from lkcfuse.metrics.table_files import check_table
    from lkcfuse.tasks import get_task

    out = Output(as_json, quiet)
    if table_path is not None and older_table_path is not None:
        raise UsageError("--output and --gt-free are two names of one option: give --output")
    table_path = table_path or older_table_path
    names = metrics.split(",") if metrics is not None else None
    if explain:
        explain_metrics(select(names, reference=True), out)
        return
    if task is not None:
        get_task(task)
    select(names, reference=reference is not None)  # names that make no sense are told first
    to_stdout = table_path is not None and str(table_path) == STREAM
    if to_stdout and as_json:
        raise UsageError("the table and --json cannot share standard output: give it a file")
    if to_stdout:
        check_stdout()
    if table_path is not None and not to_stdout:
        check_table(table_path, force=force)
    check_publishing(publication, summary, out, to_stdout=to_stdout, force=force)
    if plot is not None:
        check_plot(plot, force=force)

    fused = fused or [BATCH_FOLDER]
    plan, own_task = _plan(fused, first, second, reference, Naming(match, prefer))
    kind = get_task(task or own_task)
    chosen = select(names, reference=reference is not None, task=kind.name)
    names = [metric.name for metric in chosen]
    if table_path is not None and not to_stdout:
        check_not_used(table_path, plan.files())
    for path, others in ((summary, [table_path, plot]), (plot, [table_path])):
        if path is not None:
            check_not_used(path, [*plan.files(), *others])
    page = as_location(report) if report is not None else None
    if page is not None:
        from lkcfuse.cli.reports import check_eval_report

        check_eval_report(page, plan, table_path, force=force)
    if baselines or page is not None:
        plan = with_baselines(plan)
    for note in plan.notes:
        out.warn(note)
    with out.progress("scoring") as progress:
        scores = score(plan, names, workers=workers or available_cpus(), progress=progress)
    warn = Warnings(out)
    for note in scores.notes:
        warn(note)
    warn.close()
    own = any(score.method not in plan.baselines for score in scores.scores)
    if len(plan.cases) == len(scores.failures) == 1 and not own:
        raise InputError(scores.failures[0].message)
    for failure in scores.failures:
        output.error(f"{failure.name}: {failure.message}")
    table = full = Table.of([metric.name for metric in chosen], scores.scores)
    if not baselines:
        rows = (row for row in full.rows if row.method not in plan.baselines)
        table = Table(full.metrics, tuple(rows))
    failed = len({failure.name for failure in scores.failures})
    if not own:
        raise LkcfuseError(f"none of {len(plan.cases)} pairs could be scored: nothing is written")

    comparison = compare(table, settings_of(plan.methods, fused))
    if to_stdout:
        if sys.stdout.isatty():
            out.result(table.to_csv().decode("utf-8", "surrogateescape"), {}, end="")
        else:
            sys.stdout.buffer.write(table.to_csv())
            sys.stdout.buffer.flush()
    elif table_path is not None:
        write_scores(comparison, table_path, out, force=force)
    if summary is not None:
        write_publication(comparison, summary, force=force)
        out.note(f"wrote {summary}")
    if plot is not None:
        write_plot(comparison, plot, force=force)
        out.note(f"wrote {plot}")
    if publication is not None:
        out.result(FORMATS[publication](comparison), {}, end="")
    elif not to_stdout:
        title = f"{kind.name}: A {kind.first}, B {kind.second}, {count(len(plan.cases), 'pair')}"
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        text = f"{title}\n{draw(comparison, columns=columns)}"
        out.result(text, _record(comparison, scores.failures), styled=True)
    if page is not None:
        from lkcfuse.cli.reports import write_eval_report

        write_eval_report(page, plan, full, scores, fused, task=kind, out=out, force=force)
    if failed:
        raise LkcfuseError(
            f"{failed} of {count(len(plan.cases), 'pair')} could not be scored in full"
        )


def _plan(
    fused: list[Path],
    first: Path | None,
    second: Path | None,
    reference: Path | None,
    naming: Naming,
) -> tuple[Plan, str]:
    """Return what to score, and the task it was fused for as far as that is known."""
    from lkcfuse.batch.journal import read_pairs, read_state, read_task
    from lkcfuse.metrics.cases import plan_batch, plan_paths

    if first is not None and second is not None:
        task = None
        # A journal that cannot be read says nothing, and the images are there.
        with suppress(LkcfuseError):
            task = read_task(fused[0])
        return plan_paths(first, second, fused, reference, naming), task or DEFAULT_TASK
    if first is not None or second is not None:
        raise UsageError("--a and --b go together: name both sources")
    task = read_task(fused[0])
    if task is None and fused != [BATCH_FOLDER] and not fused[0].exists():
        raise InputError(f"{fused[0]} does not exist: check the path")
    if task is None:
        raise UsageError(
            f"{fused[0]} has no batch's journal: name the sources with --a and --b, "
            "or run 'lkcfuse batch' first"
        )
    notes: list[str] = []
    pairs = read_pairs(fused[0], notify=notes.append)
    settings = read_state(fused[0]).settings
    options = None if settings is None else settings.options
    return plan_batch(pairs, fused, reference, notes, naming, options), task


def _record(comparison: Comparison, failures: Sequence[Any]) -> dict[str, object]:
    record = comparison.to_record()
    record["failures"] = [{"name": f.name, "message": f.message} for f in failures]
    return record
