"""The engine on many machines: Ray holds the workers, and this process hands pairs out.

A pair goes to whichever worker is free, and comes back as a record and the output's bytes, which
stay on the worker's machine. The record goes to the journal, in company with the others that came
back meanwhile; then the output is written, by that worker. So the journal has one writer, and a
pair's line is on disk before its output appears.

Ray starts a worker anew that dies. Pairs it was at are done by others, each alone in a worker: one
that kills its worker again is named as failed, and harms no other.
"""

from __future__ import annotations

import math
import pickle
import socket
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lkcfuse.batch.engine import Finished, Work
from lkcfuse.batch.plan import PlannedPair
from lkcfuse.batch.ray_actor import Actor
from lkcfuse.batch.ray_cluster import Cluster, require_ray
from lkcfuse.batch.records import PairRecord
from lkcfuse.batch.stages import DiskError
from lkcfuse.batch.worker import Orders, Ready, Reply
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.fuser import Fuser, Progress
from lkcfuse.notes import Note
from lkcfuse.version import __version__

PAIRS_PER_WORKER = 4
"""Pairs that a worker has at a time: one in the network, others being read, encoded or written."""

DEATHS = 3
"""A pair that was in so many workers when they died, and alone in all but the first, kills them."""

_STARTS = 3
"""Times that Ray tries to start a worker again that dies before it is ready."""

_WAIT_SECONDS = 1.0
_LONG_SECONDS = 30.0
_LAST_WRITES_SECONDS = 60.0


class RayEngine:
    """Works through the pairs on workers of a Ray cluster, and yields them as they are done.

    Used as a context manager, it leaves the cluster at the end, and ends one that it started.

    Args:
        address: `HOST:PORT` of the cluster's head, `auto` for the one this machine is part of;
            None takes the one that `RAY_ADDRESS` names, or starts one of this machine alone.
        workers: Processes that fuse; None for as many as the cluster holds.
        cpus_per_worker: CPUs, and threads, of each.
        gpus_per_worker: GPUs of each; 0.25 lets four share one.

    Raises:
        ResourceError: Ray is not installed.
        UsageError: A number makes no sense.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int | None = None,
        cpus_per_worker: int = 1,
        gpus_per_worker: float = 0.0,
    ) -> None:
        require_ray()
        if (workers is not None and workers < 1) or cpus_per_worker < 1:
            raise UsageError("a run needs 1 worker or more, and a worker 1 CPU or more")
        if gpus_per_worker < 0 or (gpus_per_worker > 1 and gpus_per_worker % 1):
            raise UsageError(
                f"{gpus_per_worker:g} GPUs a worker make no sense: give a part of one, or "
                "whole ones"
            )
        self._address = address
        self._asked_workers = workers
        self._cpus = cpus_per_worker
        self._gpus = gpus_per_worker
        self._cluster: Cluster | None = None

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def prepare(self, fuser: Fuser, *, progress: Progress | None = None) -> None:
        """Find the weights and the cluster; workers load the network themselves."""
        fuser.resolve(progress=progress)
        self._connected()

    def describe(self, fuser: Fuser) -> str:
        """Return the weights and the workers, for people."""
        cluster = self._connected()
        noun = "worker" if cluster.workers == 1 else "workers"
        return f"{fuser.weights.name} on {cluster.workers} {noun} of Ray ({cluster.share()} each)"

    def about(self, fuser: Fuser) -> dict[str, object]:  # noqa: ARG002 - an engine's interface
        """Return what the journal should say of what computes."""
        cluster = self._connected()
        return {
            "engine": "ray",
            "workers": cluster.workers,
            "cpus_per_worker": cluster.cpus,
            "gpus_per_worker": cluster.gpus,
        }

    def run(self, work: Work) -> Generator[Finished, None, None]:
        """Yield each pair when it is done or has failed."""
        return _Run(self._connected(), work).run()

    def _connected(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self._address, self._asked_workers, self._cpus, self._gpus)
        return self._cluster


@dataclass(eq=False)
class _Worker:
    """A worker, as the driver sees it."""

    actor: Any
    ready: Ready | None = None
    gone: bool = False  # it died before it was ready, again and again
    pairs: list[_Try] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Whether it is not to get another pair beside those it has."""
        return (
            self.ready is None
            or len(self.pairs) >= PAIRS_PER_WORKER
            or any(one.deaths for one in self.pairs)
        )


@dataclass(eq=False)
class _Try:
    """A pair on its way.

    Attributes:
        pair: The pair.
        worker: Where it is.
        deaths: Workers that died while it was in them.
        record: Its line, once that is in the journal.
        data: Where the output's bytes are.
    """

    pair: PlannedPair
    worker: _Worker | None = None
    deaths: int = 0
    record: PairRecord | None = None
    data: Any = None


class _Run:
    """One run through a plan."""

    def __init__(self, cluster: Cluster, work: Work) -> None:
        self._ray = cluster.ray
        self._errors = cluster.ray.exceptions
        self._work = work
        self._todo: Iterator[PlannedPair] = iter(work.plan.pairs)
        self._suspects: deque[_Try] = deque()  # each was in a worker that died
        self._unwritten: deque[_Try] = deque()  # in the journal, and no worker at hand to write
        self._greeting: dict[Any, _Worker] = {}
        self._fusing: dict[Any, _Try] = {}
        self._writing: dict[Any, _Try] = {}
        self._waiting_since = time.monotonic()
        self._share = cluster.share()
        weights = work.fuser.weights
        orders = Orders(
            fuser=work.fuser,
            stages=work.stages(),
            invert_first=work.invert_first,
            folder=str(Path.cwd()),
            host=socket.gethostname(),
            version=__version__,
            weights=weights.name,
            weights_sha256=weights.sha256,
        )
        # Calls that read, fuse and encode, as many that write, and a greeting.
        threads = 2 * PAIRS_PER_WORKER + 1
        count = min(cluster.workers, len(work.plan.pairs))
        self._workers = [
            _Worker(cluster.actor(Actor, pickle.dumps(orders), cluster.cpus, threads=threads))
            for _ in range(count)
        ]

    def run(self) -> Generator[Finished, None, None]:
        done = 0
        try:
            for worker in self._workers:
                self._greet(worker)
            while True:
                self._hand_out()
                if done == len(self._work.plan.pairs):
                    break
                for finished in self._collect():
                    done += 1
                    self._work.report(done)
                    yield finished
        finally:
            self._end()

    def _greet(self, worker: _Worker) -> None:
        worker.ready = None
        call = worker.actor.hello.options(max_task_retries=_STARTS)
        self._greeting[call.remote()] = worker

    def _hand_out(self) -> None:
        """Give the workers as much as they take, the least busy first."""
        while self._unwritten and (idle := self._ready()):
            self._write(self._unwritten.popleft(), idle[0])
        while self._suspects and (idle := [w for w in self._ready() if not w.pairs]):
            self._fuse(self._suspects.popleft(), idle[0])
        while True:
            ready = [worker for worker in self._ready() if not worker.closed]
            if self._suspects:
                # The least busy one is left to run empty, for a pair that has to be alone.
                ready = ready[1:]
            pair = next(self._todo, None) if ready else None
            if pair is None:
                return
            self._fuse(_Try(pair), ready[0])

    def _ready(self) -> list[_Worker]:
        """Return the workers that are ready, the least busy first."""
        ready = [worker for worker in self._workers if worker.ready is not None]
        return sorted(ready, key=lambda worker: len(worker.pairs))

    def _fuse(self, one: _Try, worker: _Worker) -> None:
        one.worker = worker
        worker.pairs.append(one)
        known = self._work.state.pairs.get(one.pair.name)
        call = worker.actor.fuse.options(num_returns=2)
        reply, one.data = call.remote(one.pair, known, self._work.replaces(one.pair))
        self._fusing[reply] = one

    def _write(self, one: _Try, worker: _Worker) -> None:
        one.worker = worker
        if one not in worker.pairs:
            worker.pairs.append(one)
        replaces = self._work.replaces(one.pair)
        written = worker.actor.publish.remote(one.pair, one.record, one.data, replaces)
        self._writing[written] = one

    def _collect(self) -> Iterator[Finished]:
        """Wait for something to come back, and deal with all that has."""
        calls = [*self._greeting, *self._fusing, *self._writing]
        back, _ = self._ray.wait(calls, timeout=_WAIT_SECONDS, fetch_local=False)
        if not back:
            self._tell_of_waiting()
        else:
            back, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0, fetch_local=False)
        fused: list[_Try] = []
        records: list[PairRecord] = []
        for call in back:
            if call in self._greeting:
                self._take_greeting(call)
            elif call in self._fusing:
                one = self._fusing.pop(call)
                reply = self._result(call, one)
                if isinstance(reply, Finished):
                    yield reply
                elif reply is not None and reply.record is not None:
                    if one.record is None or one.record.output != reply.record.output:
                        one.record = reply.record
                        records.append(reply.record)
                    fused.append(one)
            else:
                yield from self._take_written(call, self._writing.pop(call))
        if records:
            try:
                self._work.journal.append_all([record.to_record() for record in records])
            except ResourceError as error:
                raise DiskError(str(error)) from None
        for one in fused:
            assert one.worker is not None
            self._write(one, one.worker)

    def _tell_of_waiting(self) -> None:
        """Say so, once, when no worker has been to be had for long."""
        now = time.monotonic()
        if self._ready():
            self._waiting_since = now
        elif now - self._waiting_since > _LONG_SECONDS:
            self._waiting_since = math.inf
            self._work.fuser.notify(
                Note(f"waiting for a worker: Ray has found no {self._share} for one as yet")
            )

    def _result(self, call: Any, one: _Try) -> Reply | Finished | None:
        """Return what came back of a pair: to be written, finished, or nothing as yet."""
        assert one.worker is not None
        try:
            reply: Reply = self._ray.get(call)
        except self._errors.RayTaskError as error:
            one.worker.pairs.remove(one)
            return Finished(one.pair, error=RuntimeError(str(error)))
        except self._errors.RayError:
            return self._died(one)
        for note in reply.notes:
            self._work.fuser.notify(note)
        if reply.error is not None and reply.unfit:
            raise reply.error
        if reply.error is not None or reply.verified:
            one.worker.pairs.remove(one)
            return Finished(one.pair, reply.record, reply.error)
        return reply

    def _died(self, one: _Try) -> Finished | None:
        """Have a pair done again whose worker died, or give it up."""
        self._leave(one)
        one.deaths += 1
        if one.deaths >= DEATHS:
            return Finished(
                one.pair,
                error=ResourceError(
                    f"{one.pair.first} and {one.pair.second}: a worker died of them {one.deaths} "
                    "times, for want of memory most likely: give workers less to do at a time "
                    "(--memory), or more room"
                ),
            )
        self._suspects.append(one)
        return None

    def _leave(self, one: _Try) -> None:
        """Take a pair out of a worker that died, and wait for that to be started anew."""
        worker = one.worker
        assert worker is not None
        worker.pairs.remove(one)
        if worker.ready is not None:
            ready = worker.ready
            self._work.fuser.notify(
                Note(f"a worker died (process {ready.process} on {ready.host}): Ray starts it anew")
            )
            self._greet(worker)

    def _take_greeting(self, call: Any) -> None:
        worker = self._greeting.pop(call)
        try:
            answer: Ready | Reply = self._ray.get(call)
        except self._errors.RayError as error:
            worker.gone = True
            if all(worker.gone for worker in self._workers):
                reason = str(error).strip().splitlines()[-1:] or [""]
                raise ResourceError(
                    "no worker could start: is lkcfuse installed on every machine of the cluster, "
                    f"and has a worker memory enough? ({reason[0].strip()})"
                ) from None
            return
        if isinstance(answer, Ready):
            worker.ready = answer
        elif answer.error is not None:
            raise answer.error

    def _take_written(self, call: Any, one: _Try) -> Iterator[Finished]:
        assert one.worker is not None
        try:
            error: Exception | None = self._ray.get(call)
        except self._errors.ObjectLostError:
            # The machine that held the output is gone: its line stands, its bytes are made again.
            one.worker.pairs.remove(one)
            self._suspects.append(one)
            return
        except self._errors.RayError:
            self._leave(one)
            self._unwritten.append(one)
            return
        one.worker.pairs.remove(one)
        if isinstance(error, DiskError):
            raise error
        yield Finished(one.pair, None if error else one.record, error, fused=True)

    def _end(self) -> None:
        """Let what is in the journal be written, and end the workers."""
        if self._writing:
            calls = list(self._writing)
            self._ray.wait(
                calls, num_returns=len(calls), timeout=_LAST_WRITES_SECONDS, fetch_local=False
            )
        for worker in self._workers:
            self._ray.kill(worker.actor)
