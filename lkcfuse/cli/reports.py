"""What `batch` and `eval` do for `--report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lkcfuse.cli import failures
from lkcfuse.cli.output import Output, count
from lkcfuse.cli.tables import settings_of
from lkcfuse.errors import UsageError
from lkcfuse.remote import Location
from lkcfuse.tasks import Task

if TYPE_CHECKING:
    from lkcfuse.batch import Outcome
    from lkcfuse.batch import Plan as BatchPlan
    from lkcfuse.metrics.cases import Plan as EvalPlan
    from lkcfuse.metrics.scoring import Scores
    from lkcfuse.metrics.table import Table
    from lkcfuse.pairs import PairOptions
    from lkcfuse.report import Report, Section


def check_batch_report(
    path: Location, plan: BatchPlan, *others: Path | None, force: bool = False
) -> None:
    """Refuse, before the work, a report of a batch that could not be written.

    Args:
        path: The report.
        plan: What the batch is to do.
        others: Further files that it reads or writes.
        force: Whether any file that exists may be replaced.
    """
    from lkcfuse.batch.scoring import method_name
    from lkcfuse.metrics.cases import BASELINES
    from lkcfuse.report import check_report, check_report_size

    check_report_size(len(plan.pairs))
    used = [*plan.files(), *filter(None, others)]
    check_report(path, used=used, force=force, to_be_made=plan.folder)
    if method_name(plan.folder) in BASELINES:
        raise UsageError(
            f"{plan.folder} has the name of a baseline in the report: choose another folder with -o"
        )


def write_batch_report(
    path: Location,
    outcomes: Sequence[Outcome],
    *,
    task: Task,
    method: str,
    options: PairOptions,
    settings: Section,
    run: dict[str, str],
    out: Output,
    force: bool = False,
) -> None:
    """Write the report of a batch, unless not one pair was fused."""
    from lkcfuse.metrics import select
    from lkcfuse.report import batch_report
    from lkcfuse.report.settings import run_section, versions_section

    if all(outcome.record is None for outcome in outcomes):
        out.warn(f"{path} is not written: no pair was fused")
        return
    report = batch_report(
        outcomes,
        title=_title(task, [method]),
        task=task,
        method=method,
        options=options,
        metrics=[metric.name for metric in select(task=task.name)],
        explain={
            outcome.pair.name: failures.explain(outcome.error)[0] or "failed"
            for outcome in outcomes
            if outcome.error is not None
        },
        settings=(settings, run_section(run), versions_section()),
    )
    _write(report, path, out, force=force)


def check_eval_report(
    path: Location, plan: EvalPlan, *others: Path | None, force: bool = False
) -> None:
    """Refuse, before the work, a report of an evaluation that could not be written."""
    from lkcfuse.report import check_report, check_report_size

    check_report_size(len(plan.cases))
    check_report(path, used=[*plan.files(), *filter(None, others)], force=force)


def write_eval_report(
    path: Location,
    plan: EvalPlan,
    table: Table,
    scores: Scores,
    fused: Sequence[Path],
    *,
    task: Task,
    out: Output,
    force: bool = False,
) -> None:
    """Write the report of an evaluation.

    Args:
        path: The report.
        plan: What was scored.
        table: The scores, those of the baselines among them.
        scores: What failed.
        fused: Folders or files of the methods, in the plan's order.
        task: What the sources are.
        out: How the command talks.
        force: Whether any file that exists may be replaced.
    """
    from lkcfuse.report import eval_report
    from lkcfuse.report.settings import settings_section, versions_section

    report = eval_report(
        plan,
        table,
        scores.failures,
        title=_title(task, plan.methods),
        task=task,
        settings=(
            *(
                settings_section(f"Batch in {method}", settings)
                for method, settings in settings_of(plan.methods, fused).items()
            ),
            versions_section(),
        ),
    )
    _write(report, path, out, force=force)


def _title(task: Task, methods: Sequence[str]) -> str:
    sources = f"{task.first} and {task.second}"
    return f"{sources[0].upper()}{sources[1:]}: {', '.join(methods)}"


def _write(report: Report, path: Location, out: Output, *, force: bool) -> None:
    from lkcfuse.report import write_report

    assert isinstance(path, Path)
    with out.progress("report", unit="pairs") as progress:
        size = write_report(report, path, force=force, progress=progress)
    out.note(f"wrote {path}: {count(len(report.pairs), 'pair')}, {size / 1e6:.1f} MB")
