"""A batch from its start to its end: checks, the journal, the work, the scores."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lkcfuse.batch.check import check, check_settings
from lkcfuse.batch.claim import Claim, claim
from lkcfuse.batch.engine import Engine, Finished, Work
from lkcfuse.batch.journal import Journal, JournalWriter, State, read_state
from lkcfuse.batch.lease import Lease, lease
from lkcfuse.batch.local import LocalEngine
from lkcfuse.batch.plan import Plan, PlannedPair
from lkcfuse.batch.records import PairRecord, ScoreRecord
from lkcfuse.batch.segments import Segments
from lkcfuse.batch.settings import Settings
from lkcfuse.batch.stages import DiskError
from lkcfuse.errors import InputError, ResourceError
from lkcfuse.fusion.fuser import Fuser, Notify
from lkcfuse.pairs import PairOptions
from lkcfuse.remote import Location, RemotePath
from lkcfuse.version import __version__

if TYPE_CHECKING:
    from lkcfuse.batch.scoring import Scorer
    from lkcfuse.metrics.scoring import Scores

SCORES_BEHIND = 64
"""Pairs that wait for their metrics before the network waits for them."""

Status = Literal["fused", "verified", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of a pair.

    Attributes:
        pair: The pair.
        status: `fused`; `verified` if it was done before and still is as it was; or `failed`.
        record: The journal's record of it; None where it failed.
        error: Why it failed; or why it could not be scored, although it was fused.
        metrics: Value by metric, where they were asked for; None where one is undefined.
        baselines: The same for each baseline, where they were asked for.
    """

    pair: PlannedPair
    status: Status
    record: PairRecord | None = None
    error: Exception | None = None
    metrics: dict[str, float | None] | None = None
    baselines: dict[str, dict[str, float | None]] = field(default_factory=dict)


@contextmanager
def open_batch(
    plan: Plan, *, overwrite: bool = False, notify: Notify = lambda _line: None
) -> Iterator[Batch]:
    """Claim the output folder for a batch, and refuse what would lose something there.

    Args:
        plan: What to do; its folder is made if only the last part of its path is missing.
        overwrite: Replace outputs that the folder's journal does not know, and go on in a folder
            of other settings or sources.
        notify: Told when it takes a while to see whether a run before has died.

    Yields:
        The batch, whose `run` does the work. The folder is this process's own until the end.

    Raises:
        UsageError: Another run is at work in the folder, an output exists that the journal does
            not know or that was made of other sources, or a newer lkcfuse wrote the journal.
        ResourceError: The folder cannot be written to.
    """
    check(plan, overwrite=overwrite)
    with _claimed(plan, notify) as held:
        # Once more: a run that has just ended may have changed it.
        state = check(plan, overwrite=overwrite)
        yield Batch(plan, state, held, overwrite=overwrite)


def _claimed(plan: Plan, notify: Notify) -> AbstractContextManager[Claim | Lease]:
    if isinstance(plan.folder, RemotePath):
        return lease(plan.folder, plan.shard, notify=notify)
    return claim(plan.folder, plan.shard)


def _open_journal(folder: Location, held: Claim | Lease) -> JournalWriter:
    if isinstance(folder, RemotePath):
        assert isinstance(held, Lease)
        return Segments(folder, held)
    assert not isinstance(held, Lease)
    return Journal(folder, held.journal_lock)


class Batch:
    """A batch whose folder is claimed; `open_batch` makes it."""

    def __init__(self, plan: Plan, state: State, held: Claim | Lease, *, overwrite: bool) -> None:
        self.plan = plan
        self._state = state
        self._held = held
        self._overwrite = overwrite

    def run(
        self,
        fuser: Fuser,
        *,
        engine: Engine | None = None,
        options: PairOptions | None = None,
        scorer: Scorer | None = None,
        progress: Callable[[float, float], None] | None = None,
    ) -> Generator[Outcome, None, None]:
        """Fuse what is missing, changed or damaged; verify the rest.

        A pair that fails is among the outcomes, and the others go on. To stop in between, close
        the iterator: pairs that are being written are finished first.

        Args:
            fuser: What fuses; it is loaded if it was not.
            engine: What carries the batch out; None for threads of this process.
            options: What is done to a pair before and after the network; None for the defaults.
            scorer: Scores the outputs; its processes must have been started by this one.
            progress: Called with (pairs done, pairs in all); a part of a pair counts too.

        Yields:
            Each pair's outcome: in the order of the plan from threads of this process, as they are
            done from the workers of an engine.

        Raises:
            UsageError: The folder holds outputs of other settings, and `overwrite` is false; or
                another part of the batch is at work with others.
            ResourceError: The disk is full or gone, or a process that scores was killed. What was
                done before is kept, and the next run goes on from there.
            LkcfuseError: As `Engine.prepare`.
        """
        engine = engine or LocalEngine()
        options = options or PairOptions()
        engine.prepare(fuser)
        settings = Settings.of(fuser, self.plan.format, options)
        # From here on no part of the batch begins with other settings, and one that has begun and
        # ended while the weights were loaded has left its line.
        self._held.announce(settings.key)
        self._state = read_state(self.plan.folder)
        check_settings(self.plan, settings, self._state, overwrite=self._overwrite)
        with _open_journal(self.plan.folder, self._held) as journal:
            journal.begin(
                settings,
                pairs=len(self.plan.pairs),
                shard=self.plan.shard,
                **engine.about(fuser),
            )
            work = Work(
                self.plan,
                fuser,
                settings,
                self._state,
                journal,
                options=options,
                overwrite=self._overwrite,
                progress=progress,
            )
            yield from self._outcomes(engine, work, scorer)

    def _outcomes(self, engine: Engine, work: Work, scorer: Scorer | None) -> Iterator[Outcome]:
        count = len(self.plan.pairs)
        done = 0
        stopped: DiskError | None = None
        waiting: deque[_Waiting] = deque()
        with closing(engine.run(work)) as jobs:
            while True:
                try:
                    job = next(jobs)
                except StopIteration:
                    break
                except DiskError as error:
                    stopped = error
                    break
                done += job.error is None
                waiting.append(_Waiting(job, self._submit(job, scorer)))
                while waiting and (waiting[0].is_ready() or len(waiting) > SCORES_BEHIND):
                    yield self._outcome(waiting.popleft(), work.journal, scorer)
            for item in waiting:
                yield self._outcome(item, work.journal, scorer)
        if stopped is not None:
            raise ResourceError(
                f"{stopped} ({done} of {count} pairs are done and kept; run the same command "
                "to continue)"
            )

    def _submit(self, job: Finished, scorer: Scorer | None) -> Future[Scores] | None:
        """Have a pair scored, unless the journal has its metrics already."""
        if scorer is None or job.record is None or self._known_scores(job, scorer) is not None:
            return None
        return scorer.submit(job.pair)

    def _known_scores(self, job: Finished, scorer: Scorer) -> ScoreRecord | None:
        known = self._state.scores.get(job.pair.name)
        if (
            known is None
            or job.record is None
            or known.sources_sha256 != (job.record.first.sha256, job.record.second.sha256)
            or known.output_sha256 != job.record.output.sha256
            or known.lkcfuse != __version__
            or not known.baselines.keys() >= set(scorer.baselines)
            or not all(
                values.keys() >= set(scorer.names)
                for values in (known.values, *known.baselines.values())
            )
        ):
            return None
        return known

    def _outcome(self, item: _Waiting, journal: JournalWriter, scorer: Scorer | None) -> Outcome:
        job, record = item.job, item.job.record
        if record is None:
            return Outcome(job.pair, "failed", error=job.error)
        status: Status = "fused" if job.fused else "verified"
        if scorer is None:
            return Outcome(job.pair, status, record)
        score = self._known_scores(job, scorer)
        if item.scoring is not None:
            try:
                scored = scorer.result(item.scoring)
            except InputError as error:
                return Outcome(job.pair, status, record, error)
            score = ScoreRecord(
                job.pair.name,
                (record.first.sha256, record.second.sha256),
                record.output.sha256,
                __version__,
                scored.metrics,
                scored.baselines,
            )
            # Not waited for: what is lost of it is computed again.
            journal.append(score.to_record(), sync=False)
        assert score is not None
        return Outcome(
            job.pair,
            status,
            record,
            metrics={name: score.values[name] for name in scorer.names},
            baselines={
                method: {name: score.baselines[method][name] for name in scorer.names}
                for method in scorer.baselines
            },
        )


@dataclass(frozen=True)
class _Waiting:
    """A job that is done, and its metrics to come."""

    job: Finished
    scoring: Future[Scores] | None

    def is_ready(self) -> bool:
        return self.scoring is None or self.scoring.done()
