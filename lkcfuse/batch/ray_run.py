"""One run on the workers of a Ray cluster: what its driver does from the first pair to the last.

A pair goes to whichever worker is free, and comes back as a record and the output's bytes, which
stay on the worker's machine. The record goes to the journal, in company with the others that came
back meanwhile; then the output is written, by that worker. So the journal has one writer, and a
pair's line is on disk before its output appears.

Ray starts a worker anew that dies. Pairs it was at are done by others, each alone in a worker: one
that kills its worker again is named as failed, and harms no other.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any

from lkcfuse.batch.engine import Finished, Work
from lkcfuse.batch.plan import PlannedPair
from lkcfuse.batch.ray_cluster import Cluster
from lkcfuse.batch.ray_pool import Held, Pool, Try
from lkcfuse.batch.stages import DiskError
from lkcfuse.batch.worker import Reply
from lkcfuse.errors import ResourceError
from lkcfuse.notes import Note

DEATHS = 3
"""A pair that was in so many workers when they died, and alone in all but the first, kills them."""

_WAIT_SECONDS = 1.0
_LONG_SECONDS = 30.0
_LAST_WRITES_SECONDS = 60.0


def run(cluster: Cluster, work: Work) -> Generator[Finished, None, None]:
    """Yield each pair when it is done or has failed.

    Raises:
        LkcfuseError: As `Engine.run`.
    """
    pool = Pool(cluster, work)
    driver = _Driver(cluster, work, pool)
    try:
        done = 0
        while done < len(work.plan.pairs):
            driver.hand_out()
            for finished in driver.collect():
                done += 1
                work.report(done)
                yield finished
    finally:
        driver.let_write()
        pool.end()


class _Driver:
    """Hands pairs out, and takes what comes back."""

    def __init__(self, cluster: Cluster, work: Work, pool: Pool) -> None:
        self._ray = cluster.ray
        self._errors = cluster.ray.exceptions
        self._work = work
        self._pool = pool
        self._todo: Iterator[PlannedPair] = iter(work.plan.pairs)
        self._suspects: deque[Try] = deque()  # each was in a worker that died
        self._unwritten: deque[Try] = deque()  # in the journal, and no worker at hand to write
        self._fusing: dict[Any, Try] = {}
        self._writing: dict[Any, Try] = {}
        self._waiting_since = time.monotonic()
        self._share = cluster.share()

    def hand_out(self) -> None:
        """Give the workers as much as they take, the least busy first."""
        while self._unwritten and (idle := self._pool.ready()):
            self._write(self._unwritten.popleft(), idle[0])
        while self._suspects and (idle := [w for w in self._pool.ready() if not w.pairs]):
            self._fuse(self._suspects.popleft(), idle[0])
        while True:
            ready = [worker for worker in self._pool.ready() if not worker.closed]
            if self._suspects:
                # The least busy one is left to run empty, for a pair that has to be alone.
                ready = ready[1:]
            pair = next(self._todo, None) if ready else None
            if pair is None:
                return
            self._fuse(Try(pair), ready[0])

    def _fuse(self, one: Try, worker: Held) -> None:
        known = self._work.state.pairs.get(one.pair.name)
        call = one.give(worker).fuse.options(num_returns=2)
        reply, one.data = call.remote(one.pair, known, self._work.replaces(one.pair))
        self._fusing[reply] = one

    def _write(self, one: Try, worker: Held) -> None:
        replaces = self._work.replaces(one.pair)
        written = one.give(worker).publish.remote(one.pair, one.record, one.data, replaces)
        self._writing[written] = one

    def collect(self) -> Iterator[Finished]:
        """Wait for something to come back, and deal with all that has."""
        calls = [*self._pool.calls, *self._fusing, *self._writing]
        back, _ = self._ray.wait(calls, timeout=_WAIT_SECONDS, fetch_local=False)
        if not back:
            self._tell_of_waiting()
        else:
            back, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0, fetch_local=False)
        fused: list[tuple[Try, Reply]] = []
        for call in back:
            if call in self._fusing:
                one = self._fusing.pop(call)
                reply = self._result(call, one)
                if isinstance(reply, Finished):
                    yield reply
                elif reply is not None:
                    fused.append((one, reply))
            elif call in self._writing:
                finished = self._written(call, self._writing.pop(call))
                if finished is not None:
                    yield finished
            else:
                self._pool.take_greeting(call)
        self._record(fused)

    def _record(self, fused: list[tuple[Try, Reply]]) -> None:
        """Write the lines of pairs that were fused, then have their outputs written."""
        records = []
        for one, reply in fused:
            assert reply.record is not None
            # Done again on another machine, it may be rounded in another way.
            if one.record is None or one.record.output != reply.record.output:
                one.record = reply.record
                records.append(reply.record.to_record())
        if records:
            try:
                self._work.journal.append_all(records)
            except ResourceError as error:
                raise DiskError(str(error)) from None
        for one, _ in fused:
            assert one.worker is not None
            self._write(one, one.worker)

    def _tell_of_waiting(self) -> None:
        """Say so, once, when no worker has been to be had for long."""
        now = time.monotonic()
        if self._pool.ready():
            self._waiting_since = now
        elif now - self._waiting_since > _LONG_SECONDS:
            self._waiting_since = math.inf
            self._work.fuser.notify(
                Note(f"waiting for a worker: Ray has no room yet for one with {self._share}")
            )

    def _result(self, call: Any, one: Try) -> Reply | Finished | None:
        """Return what came back of a pair: to be written, finished, or nothing as yet."""
        try:
            reply: Reply = self._ray.get(call)
        except self._errors.RayTaskError as error:
            one.take()
            return Finished(one.pair, error=RuntimeError(str(error)))
        except self._errors.RayError:
            return self._died(one)
        for note in reply.notes:
            self._work.fuser.notify(note)
        if reply.error is not None and reply.unfit:
            raise reply.error
        if reply.error is not None or reply.verified:
            one.take()
            return Finished(one.pair, reply.record, reply.error)
        return reply

    def _died(self, one: Try) -> Finished | None:
        """Have a pair done again whose worker died, or give it up."""
        self._pool.bury(one.take())
        one.deaths += 1
        if one.deaths < DEATHS:
            self._suspects.append(one)
            return None
        return Finished(
            one.pair,
            error=ResourceError(
                f"{one.pair.first} and {one.pair.second}: {one.deaths} workers crashed while "
                "this pair was in progress, most likely for lack of memory: give workers "
                "more memory, or less work at a time (--memory)"
            ),
        )

    def _written(self, call: Any, one: Try) -> Finished | None:
        """Return a pair whose output was written or cannot be; None if it is to be done again."""
        try:
            error: Exception | None = self._ray.get(call)
        except self._errors.ObjectLostError:
            # The machine that held the output is gone: its line stands, its bytes are made again.
            one.take()
            self._suspects.append(one)
            return None
        except self._errors.RayError:
            self._pool.bury(one.take())
            self._unwritten.append(one)
            return None
        one.take()
        if isinstance(error, DiskError):
            raise error
        return Finished(one.pair, None if error else one.record, error, fused=True)

    def let_write(self) -> None:
        """Wait until what is in the journal is written too."""
        if self._writing:
            calls = list(self._writing)
            self._ray.wait(
                calls, num_returns=len(calls), timeout=_LAST_WRITES_SECONDS, fetch_local=False
            )
