"""The engine on this machine: reading, the network and writing go on at the same time.

The network runs on the caller's thread, one pair at a time, so that a file comes out the same as
if it were fused alone. Threads read and decode the pairs to come, and encode and write those that
are done.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lkcfuse.batch import stages
from lkcfuse.batch.engine import Finished, Work
from lkcfuse.batch.plan import PlannedPair
from lkcfuse.batch.records import PairRecord
from lkcfuse.batch.stages import DiskError, Sources
from lkcfuse.fusion.fuser import Fuser, Progress
from lkcfuse.images import Image

AHEAD = 3
"""Pairs that are read before the network asks for them."""

BEHIND = 3
"""Pairs that wait to be written before the network waits for them."""

THREADS = 2
"""Threads that read, and as many that write: enough to hide behind a network on a GPU."""


class LocalEngine:
    """Works through the pairs in the order of the plan, in this process."""

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def prepare(self, fuser: Fuser, *, progress: Progress | None = None) -> None:
        """Load the network."""
        fuser.load(progress=progress)

    def describe(self, fuser: Fuser) -> str:
        """Return the weights and the device, for people."""
        return fuser.describe()

    def about(self, fuser: Fuser) -> dict[str, object]:
        """Return what the journal should say of what computes."""
        return {"device": str(fuser.device), "threads": fuser.threads}

    def run(self, work: Work) -> Generator[Finished, None, None]:
        """Yield each pair in the order of the plan, when it is done or has failed."""
        return _Run(work).run()


@dataclass
class _Job:
    """A pair on its way."""

    pair: PlannedPair
    reading: Future[Sources]
    writing: Future[PairRecord] | None = None
    record: PairRecord | None = None
    error: Exception | None = None
    pixels: int = 0  # that it holds in memory


class _Run:
    """One run through a plan."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._stages = work.stages()
        self._largest = 0

    def run(self) -> Generator[Finished, None, None]:
        reading: deque[_Job] = deque()
        finishing: deque[_Job] = deque()
        todo = iter(self._work.plan.pairs)
        readers = ThreadPoolExecutor(THREADS, "read")
        writers = ThreadPoolExecutor(THREADS, "write")
        failure: DiskError | None = None
        begun = 0
        try:
            while failure is None:
                self._read_ahead(todo, reading, finishing, readers)
                if not reading:
                    if not finishing:
                        break
                    # No room for another pair until one is written, or no other to come.
                    failure = yield from self._finish(finishing.popleft())
                    continue
                job = reading.popleft()
                self._take(job)
                # The next pairs may be read while this one is in the network.
                self._read_ahead(todo, reading, (*finishing, job), readers)
                self._fuse(job, writers, begun)
                finishing.append(job)
                begun += 1
                self._work.report(begun)
                while finishing and failure is None and self._must_finish(finishing):
                    failure = yield from self._finish(finishing.popleft())
            for job in finishing:
                failure = (yield from self._finish(job)) or failure
        finally:
            # Readers leave nothing behind, and one may hang on a mount that does not answer.
            readers.shutdown(wait=False, cancel_futures=True)
            writers.shutdown()
        if failure is not None:
            raise failure

    def _read_ahead(
        self,
        todo: Iterator[PlannedPair],
        reading: deque[_Job],
        others: Sequence[_Job],
        readers: ThreadPoolExecutor,
    ) -> None:
        """Start reading pairs while there is room, taking the next to be as large as any so far."""
        while len(reading) < (AHEAD if self._largest else 1):
            held = sum(job.pixels for job in others) + len(reading) * self._largest
            if held and held + self._largest > stages.PIXELS_IN_FLIGHT:
                return
            pair = next(todo, None)
            if pair is None:
                return
            reading.append(_Job(pair, readers.submit(self._read, pair)))

    def _take(self, job: _Job) -> None:
        """Wait until a pair is read."""
        # Not without end, so that an interrupt is answered on Windows too.
        while not job.reading.done():
            wait([job.reading], timeout=0.2)
        try:
            read = job.reading.result()
        except Exception as error:
            job.error = error
            return
        job.record = read.done
        if read.done is not None:
            self._largest = max(self._largest, read.done.width * read.done.height)
        if read.pair is not None:
            height, width = read.pair.size
            job.pixels = height * width
            self._largest = max(self._largest, job.pixels)

    def _fuse(self, job: _Job, writers: ThreadPoolExecutor, begun: int) -> None:
        """Run the network, and hand the result over to be written."""
        if job.error is not None or job.record is not None:
            return
        read = job.reading.result()
        assert read.pair is not None
        started = time.perf_counter()
        try:
            fused = self._work.fuser.fuse_pair(
                read.pair,
                invert_first=self._work.options.invert_first,
                strength=self._work.options.strength,
                refuse_warnings=self._work.options.refuse_warnings,
                progress=lambda part, whole: self._work.report(begun + part / whole),
            )
        except Exception as error:
            job.error = error
            job.pixels = 0
            return
        finally:
            # The sources' pixels go before the next pair's come.
            read.pair = None
        seconds = {"read": read.seconds, "fuse": time.perf_counter() - started}
        job.writing = writers.submit(self._write, job.pair, read, fused, seconds)

    def _must_finish(self, finishing: deque[_Job]) -> bool:
        """Whether the oldest is done, or has to be before the network goes on."""
        oldest = finishing[0]
        return (
            oldest.writing is None
            or oldest.writing.done()
            or len(finishing) > BEHIND
            or sum(job.pixels for job in finishing) > stages.PIXELS_IN_FLIGHT
        )

    def _finish(self, job: _Job) -> Generator[Finished, None, DiskError | None]:
        """Wait until a pair is written and yield it; return what makes it useless to go on."""
        if job.writing is not None:
            try:
                job.record = job.writing.result()
            except DiskError as error:
                return error
            except Exception as error:
                job.error = error
            job.pixels = 0
        yield Finished(job.pair, job.record, job.error, fused=job.writing is not None)
        return None

    def _read(self, pair: PlannedPair) -> Sources:
        return self._stages.read(pair, self._work.state.pairs.get(pair.name))

    def _write(
        self, pair: PlannedPair, sources: Sources, fused: Image, seconds: dict[str, float]
    ) -> PairRecord:
        """Encode and write an image; its line in the journal comes before its name."""
        record, data = self._stages.encode(pair, sources, fused, seconds)
        self._stages.publish(
            pair,
            data,
            overwrite=self._work.replaces(pair),
            before=lambda: self._work.journal.append(record.to_record()),
        )
        return record
