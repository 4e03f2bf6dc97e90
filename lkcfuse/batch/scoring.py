"""Scores of a batch's outputs, computed by processes beside the one that fuses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lkcfuse.batch.plan import PlannedPair
from lkcfuse.cpus import available_cpus
from lkcfuse.errors import InputError, ResourceError, UsageError
from lkcfuse.metrics import select
from lkcfuse.metrics.cases import BASELINES, Case, Plan
from lkcfuse.metrics.scoring import Score, Scores, score
from lkcfuse.metrics.table import Table
from lkcfuse.metrics.workers import WorkerPool
from lkcfuse.pairs import PairOptions
from lkcfuse.remote import Location, RemotePath

Values = dict[str, float | None]


@dataclass(frozen=True)
class Scored:
    """The metrics of one pair.

    Attributes:
        metrics: Of the output: value by metric, None where undefined.
        baselines: The same for each baseline, where they were asked for.
    """

    metrics: Values
    baselines: dict[str, Values]


class Scorer:
    """Scores pairs as they are fused.

    Processes are started as they are needed, one at least: scoring on a thread would hold up the
    one that feeds the network. The main module must be importable, as `multiprocessing`'s spawn
    has it.

    Args:
        method: What tables call the batch's outputs.
        metrics: Names of metrics; None takes all for the task that need no ground truth.
        workers: Most processes to start; None leaves one CPU to the network.
        baselines: Score the pixelwise maximum and mean of the sources too.
        options: How the sources are read and brought together.
        task: Name of the task; without names it leaves out the metrics of other tasks.

    Raises:
        UsageError: A metric is unknown, or the method is called like a baseline.
    """

    def __init__(
        self,
        method: str,
        metrics: Sequence[str] | None = None,
        *,
        workers: int | None = None,
        baselines: bool = False,
        options: PairOptions | None = None,
        task: str | None = None,
    ) -> None:
        self.method = method
        self.options = options or PairOptions()
        self.baselines = BASELINES if baselines else ()
        if method in self.baselines:
            raise UsageError(
                f"the output folder is called '{method}' like a baseline: choose another with -o"
            )
        self.names = tuple(metric.name for metric in select(metrics, task=task))
        self._workers = workers or max(1, available_cpus() - 1)
        self._pool: WorkerPool | None = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes: after an exception in the middle of their work, which is lost."""
        if self._pool is not None:
            self._pool.__exit__(kind, error, traceback)

    def submit(self, pair: PlannedPair) -> Future[Scores]:
        """Have a pair scored whose output is written."""
        if self._pool is None:
            self._pool = WorkerPool(self._workers)
        fused = {self.method: pair.output}
        case = Case(pair.name, pair.first, pair.second, fused, options=self.options)
        try:
            plan = Plan((case,), (self.method,), baselines=self.baselines)
            return self._pool.submit(score, plan, self.names)
        except BrokenProcessPool:
            raise _killed() from None

    def result(self, future: Future[Scores]) -> Scored:
        """Wait for a pair's metrics.

        Raises:
            InputError: A file has changed since it was fused, and is unfit now.
            ResourceError: A process was killed.
        """
        try:
            scores = future.result()
        except BrokenProcessPool:
            raise _killed() from None
        if scores.failures:
            raise InputError(f"{scores.failures[0].message} (fused, but not scored)")
        values = {
            row.method: dict(zip(self.names, row.values, strict=True))
            for row in Table.of(self.names, scores.scores).rows
        }
        return Scored(values.pop(self.method), values)

    def table(self, values: Sequence[tuple[str, Values]]) -> Table:
        """Return the table of pairs' names and metrics."""
        undefined = float("nan")
        scores = (
            Score(name, self.method, {m: undefined if v is None else v for m, v in row.items()})
            for name, row in values
        )
        return Table.of(self.names, tuple(scores))


def method_name(folder: Location) -> str:
    """Return what tables call a folder's method: as `lkcfuse eval` does, the folder's name."""
    if isinstance(folder, RemotePath):
        return folder.name
    return Path(os.path.normpath(folder.absolute())).name


def _killed() -> ResourceError:
    return ResourceError(
        "a process that computes metrics was killed, most likely for lack of memory: the "
        "images are kept; run again without --metrics, or see 'lkcfuse eval --workers 1'"
    )
