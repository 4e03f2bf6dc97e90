"""`lkcfuse eval`: score fused images against their sources."""

from __future__ import annotations

import shutil
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from lkcfuse.cli import completion, output
from lkcfuse.cli.options import (
    ForceOption,
    JsonOption,
    PreferOption,
    QuietOption,
    ReportOption,
    local_path,
)
from lkcfuse.cli.output import Output, Warnings, count
from lkcfuse.cli.streams import check_stdout
from lkcfuse.cli.tables import compare, settings_of, write_scores
from lkcfuse.errors import InputError, LkcfuseError, UsageError
from lkcfuse.remote import as_location
from lkcfuse.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lkcfuse.metrics.cases import Plan
    from lkcfuse.metrics.comparison import Comparison
    from lkcfuse.metrics.naming import Naming
    from lkcfuse.metrics.registry import Metric

STREAM = "-"
BATCH_FOLDER = Path("fused")
DEFAULT_TASK = "ir-vis"

# typer reads the annotations at run time, on Python 3.10 too, hence Optional.
TableOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--output",
        "-o",
        metavar="TABLE",
        help="The table to write: CSV, or JSON by the suffix .json; - for CSV on stdout. "
        "Left out: the summary is printed alone.",
        parser=local_path,
    ),
]
# The first name of --output, kept for scripts that use it.
OlderTableOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--gt-free", metavar="TABLE", hidden=True, parser=local_path),
]
FusedOption = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(
        "--fused",
        metavar="DIR|FILE",
        help="A method's fused images, or one of them; once for each method. "
        "Left out: fused/, where batch writes.",
        parser=local_path,
    ),
]
FirstOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--a",
        metavar="DIR|FILE",
        help="The infrared or MRI images. Left out, with --b: the pairs of the batch whose "
        "journal is in the (first) fused folder.",
        parser=local_path,
    ),
]
SecondOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--b",
        metavar="DIR|FILE",
        help="The visible, CT, PET or SPECT images.",
        parser=local_path,
    ),
]
ReferenceOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--gt",
        metavar="DIR|FILE",
        help="Ground truths: adds the columns that begin with GT_.",
        parser=local_path,
    ),
]
MetricsOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--metrics",
        metavar="NAME,...",
        help="Only these, in this order. Left out: all that are for the task.",
        autocompletion=completion.metrics,
    ),
]
BaselinesOption = Annotated[
    bool,
    typer.Option(
        "--baselines", help="Score the pixelwise maximum and mean of the sources as methods too."
    ),
]
ExplainOption = Annotated[
    bool,
    typer.Option(
        "--explain", help="Tell what each metric is: formula, range, direction, source; no images."
    ),
]
TaskNameOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--task",
        "-t",
        metavar="TASK",
        help=f"What A and B are: {', '.join(TASKS)}. Left out: the batch's, or ir-vis.",
        autocompletion=completion.tasks,
    ),
]
MatchOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--match",
        metavar="PATTERN",
        help="How names differ, without extensions: '{}={}_CBF' finds fused images 7_CBF.png of "
        "sources 7.png, 'ir_{}=vis_{}' sources, 'ir_{}=vis_{}={}' both; * as in batch.",
    ),
]
WorkersOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="Processes to share the pairs. Left out: as many as CPUs this one may use.",
    ),
]


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
        _explain(select(names, reference=True), out)
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

    fused = fused or [BATCH_FOLDER]
    plan, own_task = _plan(fused, first, second, reference, Naming(match, prefer))
    kind = get_task(task or own_task)
    chosen = select(names, reference=reference is not None, task=kind.name)
    names = [metric.name for metric in chosen]
    if table_path is not None and not to_stdout:
        check_not_used(table_path, plan.files())
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
    else:
        if table_path is not None:
            write_scores(comparison, table_path, out, force=force)
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


def _explain(metrics: Sequence[Metric], out: Output) -> None:
    """Print what each metric is."""
    width = min(100, shutil.get_terminal_size().columns)

    def indented(text: str) -> str:
        return textwrap.fill(
            text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )

    for metric in metrics:
        checked = (
            "Agrees with the evaluator behind the field's published tables."
            if metric.verified
            else "Follows its paper; no published answers are at hand, so it is tested on cases "
            "worked out by hand."
        )
        direction = "higher" if metric.higher_is_better else "lower"
        paragraphs = [
            f"{metric.name}: {metric.summary}",
            indented(metric.formula),
            indented(f"Range: {metric.range}; {direction} is better."),
            indented(f"Source: {metric.source}"),
            indented(checked),
        ]
        record = {
            "name": metric.name,
            "summary": metric.summary,
            "formula": metric.formula,
            "range": metric.range,
            "better": direction,
            "source": metric.source,
            "compares_with": metric.needs.value,
            "agrees_with_published_evaluator": metric.verified,
            "may_rank_alone": metric.ranks,
        }
        out.result("\n".join(paragraphs) + "\n", record)
