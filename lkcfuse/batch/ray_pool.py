"""The workers of a run as its driver sees them: who is ready, what each is at, who has died."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lkcfuse.batch.engine import Work
from lkcfuse.batch.plan import PlannedPair
from lkcfuse.batch.ray_actor import Actor
from lkcfuse.batch.ray_cluster import Cluster
from lkcfuse.batch.records import PairRecord
from lkcfuse.batch.worker import Orders, Ready, Reply
from lkcfuse.errors import ResourceError
from lkcfuse.notes import Note
from lkcfuse.version import __version__

PAIRS_PER_WORKER = 4
"""Pairs that a worker has at a time: one in the network, others being read, encoded or written."""

_STARTS = 3
"""Times that Ray tries to start a worker again that dies before it is ready."""


@dataclass(eq=False)
class Held:
    """A worker.

    Attributes:
        actor: Ray's handle of it.
        ready: What it said of itself; None until its network is loaded.
        gone: It died before it was ready, again and again.
        pairs: What it has.
    """

    actor: Any
    ready: Ready | None = None
    gone: bool = False
    pairs: list[Try] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Whether it is not to get another pair beside those it has."""
        return (
            self.ready is None
            or len(self.pairs) >= PAIRS_PER_WORKER
            or any(one.deaths for one in self.pairs)
        )


@dataclass(eq=False)
class Try:
    """A pair on its way.

    Attributes:
        pair: The pair.
        worker: Where it is.
        deaths: Workers that died while it was in them.
        record: Its line, once that is in the journal.
        data: Where the output's bytes are.
    """

    pair: PlannedPair
    worker: Held | None = None
    deaths: int = 0
    record: PairRecord | None = None
    data: Any = None

    def give(self, worker: Held) -> Any:
        """Have it with a worker from now on, if it is not; return Ray's handle of that."""
        if self.worker is not worker:
            self.take()
            self.worker = worker
            worker.pairs.append(self)
        return worker.actor

    def take(self) -> Held | None:
        """Take it from its worker, if it is with one; return that."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.pairs.remove(self)
        return worker


class Pool:
    """The workers of a run.

    Args:
        cluster: That holds them.
        work: What they are for.
    """

    def __init__(self, cluster: Cluster, work: Work) -> None:
        self._ray = cluster.ray
        self._notify = work.fuser.notify
        weights = work.fuser.weights
        orders = Orders(
            fuser=work.fuser,
            stages=work.stages(),
            folder=str(Path.cwd()),
            host=socket.gethostname(),
            version=__version__,
            weights=weights.name,
            weights_sha256=weights.sha256,
            needs_gpu=cluster.gpus > 0,
        )
        # Calls that read, fuse and encode, as many that write, and a greeting.
        threads = 2 * PAIRS_PER_WORKER + 1
        count = min(cluster.workers, len(work.plan.pairs))
        self._workers = [
            Held(cluster.actor(Actor, pickle.dumps(orders), cluster.cpus, threads=threads))
            for _ in range(count)
        ]
        self._greeting: dict[Any, Held] = {}
        for worker in self._workers:
            self._greet(worker)

    @property
    def calls(self) -> Iterator[Any]:
        """Greetings that have not come back."""
        return iter(self._greeting)

    def ready(self) -> list[Held]:
        """Return the workers that are ready, the least busy first."""
        ready = [worker for worker in self._workers if worker.ready is not None]
        return sorted(ready, key=lambda worker: len(worker.pairs))

    def take_greeting(self, call: Any) -> bool:
        """Deal with a call that came back; return whether it was a greeting.

        Raises:
            LkcfuseError: The worker is of no use, or no worker could start.
        """
        worker = self._greeting.pop(call, None)
        if worker is None:
            return False
        try:
            answer: Ready | Reply = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            worker.gone = True
            if all(worker.gone for worker in self._workers):
                reason = str(error).strip().splitlines()[-1:] or [""]
                raise ResourceError(
                    "no worker could start: is lkcfuse installed on every machine of the cluster, "
                    f"and do workers have enough memory? ({reason[0].strip()})"
                ) from None
            return True
        if isinstance(answer, Ready):
            worker.ready = answer
        elif answer.error is not None:
            raise answer.error
        return True

    def bury(self, worker: Held | None) -> None:
        """Have nobody count on a worker that died until Ray has started it anew."""
        if worker is not None and worker.ready is not None:
            ready, worker.ready = worker.ready, None
            self._notify(
                Note(f"a worker died (process {ready.process} on {ready.host}): Ray starts it anew")
            )
            self._greet(worker)

    def end(self) -> None:
        """End the workers."""
        for worker in self._workers:
            self._ray.kill(worker.actor)

    def _greet(self, worker: Held) -> None:
        call = worker.actor.hello.options(max_task_retries=_STARTS)
        self._greeting[call.remote()] = worker
