"""What a report is about: pairs with their files and scores, of a batch or of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lkcfuse.metrics.cases import BASELINES
from lkcfuse.pairs import PairOptions
from lkcfuse.remote import Location
from lkcfuse.tasks import Task

if TYPE_CHECKING:
    from lkcfuse.batch.run import Outcome
    from lkcfuse.metrics.cases import Plan
    from lkcfuse.metrics.scoring import Failure
    from lkcfuse.metrics.table import Table

FIRST, SECOND, REFERENCE = "first", "second", "reference"
"""Pictures of a pair that are not a method's; a method's is called `method:` and its name."""

Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Section:
    """Some of the settings, under a heading.

    Attributes:
        title: The heading.
        entries: What is set, and to what.
    """

    title: str
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Pair:
    """One pair of a report.

    Attributes:
        name: The pair's.
        files: File by picture, in the order they are shown: see `picture_of`.
        scores: Value by metric, by method, baselines among them; None where one is undefined.
        error: Why it failed, or could not be scored in full; None where all went well.
        size: (width, height) in pixels, where known.
        seconds: What the network took for it, where known.
        options: How its sources are read and brought together.
    """

    name: str
    files: Mapping[str, Location]
    scores: Mapping[str, Values] = field(default_factory=dict)
    error: str | None = None
    size: tuple[int, int] | None = None
    seconds: float | None = None
    options: PairOptions = field(default_factory=PairOptions)


@dataclass(frozen=True)
class Report:
    """All that a page shows.

    Attributes:
        title: The heading.
        task: What the sources are.
        metrics: Names of the metrics, in the order of columns.
        methods: The methods, without the baselines.
        pairs: In the order of the table.
        settings: With what the images were made, and the versions.
        baselines: The baselines that were scored.
        notes: What the reader should know, one line each.
    """

    title: str
    task: Task
    metrics: tuple[str, ...]
    methods: tuple[str, ...]
    pairs: tuple[Pair, ...]
    settings: tuple[Section, ...] = ()
    baselines: tuple[str, ...] = BASELINES
    notes: tuple[str, ...] = ()

    @property
    def pictures(self) -> dict[str, str]:
        """The label of every picture there may be of a pair, in the order they are shown."""
        labels = {FIRST: self.task.first, SECOND: self.task.second}
        labels |= {picture_of(method): method for method in self.methods}
        if any(REFERENCE in pair.files for pair in self.pairs):
            labels[REFERENCE] = "ground truth"
        return labels


def picture_of(method: str) -> str:
    """Return what a method's picture is called."""
    return f"method:{method}"


def batch_report(
    outcomes: Sequence[Outcome],
    *,
    title: str,
    task: Task,
    method: str,
    metrics: Sequence[str],
    explain: Mapping[str, str],
    options: PairOptions | None = None,
    settings: Sequence[Section] = (),
) -> Report:
    """Report a batch, the pairs that failed among the others.

    Args:
        outcomes: What became of the pairs; scored, baselines too.
        title: The heading.
        task: What was fused.
        method: What the batch's outputs are called.
        metrics: Names of the metrics.
        explain: One line, by a pair's name, on each that has an error.
        options: How the sources were read and brought together.
        settings: With what they were fused.
    """
    pairs = []
    for outcome in outcomes:
        pair, record = outcome.pair, outcome.record
        files = {FIRST: pair.first, SECOND: pair.second}
        if record is not None:
            files[picture_of(method)] = pair.output
        scores = {method: outcome.metrics, **outcome.baselines} if outcome.metrics else {}
        pairs.append(
            Pair(
                pair.name,
                files,
                scores,
                explain.get(pair.name),
                None if record is None else (record.width, record.height),
                None if record is None else record.seconds.get("fuse"),
                options or PairOptions(),
            )
        )
    return Report(
        title,
        task,
        tuple(metrics),
        (method,),
        tuple(pairs),
        tuple(settings),
        notes=(*_cautions(task), *_warnings(outcomes)),
    )


def _cautions(task: Task) -> tuple[str, ...]:
    return () if task.caution is None else (task.caution,)


def _warnings(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return a line for each code of warning: how many pairs have it, and the first message."""
    found: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.record is not None:
            for code, message in {w["code"]: w["message"] for w in outcome.record.warnings}.items():
                found.setdefault(code, []).append(message)
    return tuple(
        f"{code}: {messages[0]}"
        + (f" (and {len(messages) - 1} more of {len(outcomes)} pairs)" if len(messages) > 1 else "")
        for code, messages in sorted(found.items())
    )


def eval_report(
    plan: Plan,
    table: Table,
    failures: Sequence[Failure],
    *,
    title: str,
    task: Task,
    settings: Sequence[Section] = (),
) -> Report:
    """Report an evaluation of one method or several.

    Args:
        plan: What was scored.
        table: The scores, those of the baselines among them.
        failures: What could not be scored.
        title: The heading.
        task: What the sources are.
        settings: What is known of how the images were made.
    """
    scores: dict[str, dict[str, Values]] = {case.name: {} for case in plan.cases}
    for row in table.rows:
        scores[row.name][row.method] = dict(zip(table.metrics, row.values, strict=True))
    errors: dict[str, list[str]] = {}
    for failure in failures:
        errors.setdefault(failure.name, []).append(failure.message)
    pairs = []
    for case in plan.cases:
        files = {FIRST: case.first, SECOND: case.second}
        files |= {picture_of(method): path for method, path in case.fused.items()}
        if case.reference is not None:
            files[REFERENCE] = case.reference
        error = "; ".join(errors[case.name]) if case.name in errors else None
        pairs.append(Pair(case.name, files, scores[case.name], error, options=case.options))
    return Report(
        title,
        task,
        table.metrics,
        plan.methods,
        tuple(pairs),
        tuple(settings),
        plan.baselines,
        (*_cautions(task), *plan.notes),
    )
