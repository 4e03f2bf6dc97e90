"""The work on pairs: reading the next ones, the network and writing go on at the same time.

The network runs on the caller's thread, one pair at a time, so that a file comes out the same as
if it were fused alone. Threads read and decode the pairs to come, and encode and write those that
are done.
"""

from __future__ import annotations

import io
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from lkcfuse.atomic import atomic_write
from lkcfuse.batch.files import is_as_recorded, load, make_folders, record_of
from lkcfuse.batch.journal import Journal, State
from lkcfuse.batch.plan import Plan, PlannedPair
from lkcfuse.batch.records import FileRecord, PairRecord
from lkcfuse.batch.settings import Settings
from lkcfuse.errors import LkcfuseError, ResourceError, UsageError
from lkcfuse.fuser import Fuser
from lkcfuse.images import Image, Pair, read_image, write_image

AHEAD = 3
"""Pairs that are read before the network asks for them."""

BEHIND = 3
"""Pairs that wait to be written before the network waits for them."""

THREADS = 2
"""Threads that read, and as many that write: enough to hide behind a network on a GPU."""

PIXELS_IN_FLIGHT = 1 << 25
"""Pixels of the pairs in memory at a time, about 0.8 GB; one pair is, however large."""


@dataclass
class Job:
    """A pair on its way."""

    pair: PlannedPair
    reading: Future[_Read]
    writing: Future[PairRecord] | None = None
    record: PairRecord | None = None
    error: Exception | None = None
    pixels: int = 0  # that it holds in memory


@dataclass
class _Read:
    """A pair that was read, or found done before."""

    done: PairRecord | None = None
    pair: Pair | None = None
    first: FileRecord | None = None
    second: FileRecord | None = None
    seconds: float = 0.0


class DiskError(ResourceError):
    """What was to be written could not be: the next pairs would fare no better."""


@dataclass
class Work:
    """Works through the pairs of a plan.

    Attributes:
        plan: What to do.
        fuser: With what.
        settings: Of this run.
        state: What the journal said at the start.
        journal: Gets a line for each pair.
        invert_first: The first images are black-hot.
        overwrite: Whether an output is replaced that the journal does not know.
        progress: Called with (pairs done, pairs in all); a part of a pair counts too.
    """

    plan: Plan
    fuser: Fuser
    settings: Settings
    state: State
    journal: Journal
    invert_first: bool = False
    overwrite: bool = False
    progress: Callable[[float, float], None] | None = None
    _largest: int = field(default=0, init=False)

    def run(self) -> Generator[Job, None, None]:
        """Yield each pair's job in the order of the plan, when it is done or has failed.

        Raises:
            ResourceError: The disk is full or gone; what was done before is done.
        """
        reading: deque[Job] = deque()
        finishing: deque[Job] = deque()
        todo = iter(self.plan.pairs)
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
                self._report(begun)
                while finishing and failure is None and self._must_finish(finishing):
                    failure = yield from self._finish(finishing.popleft())
            for job in finishing:
                failure = (yield from self._finish(job)) or failure
        finally:
            readers.shutdown(cancel_futures=True)
            writers.shutdown()
        if failure is not None:
            raise failure

    def _report(self, done: float) -> None:
        if self.progress is not None:
            self.progress(done, len(self.plan.pairs))

    def _read_ahead(
        self,
        todo: Iterator[PlannedPair],
        reading: deque[Job],
        others: Sequence[Job],
        readers: ThreadPoolExecutor,
    ) -> None:
        """Start reading pairs while there is room, taking the next to be as large as any so far."""
        while len(reading) < (AHEAD if self._largest else 1):
            held = sum(job.pixels for job in others) + len(reading) * self._largest
            if held and held + self._largest > PIXELS_IN_FLIGHT:
                return
            pair = next(todo, None)
            if pair is None:
                return
            reading.append(Job(pair, readers.submit(self._read, pair)))

    def _take(self, job: Job) -> None:
        """Wait until a pair is read."""
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

    def _fuse(self, job: Job, writers: ThreadPoolExecutor, begun: int) -> None:
        """Run the network, and hand the result over to be written."""
        if job.error is not None or job.record is not None:
            return
        read = job.reading.result()
        assert read.pair is not None
        started = time.perf_counter()
        try:
            fused = self.fuser.fuse_pair(
                read.pair,
                invert_first=self.invert_first,
                progress=lambda part, whole: self._report(begun + part / whole),
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

    def _must_finish(self, finishing: deque[Job]) -> bool:
        """Whether the oldest is done, or has to be before the network goes on."""
        oldest = finishing[0]
        return (
            oldest.writing is None
            or oldest.writing.done()
            or len(finishing) > BEHIND
            or sum(job.pixels for job in finishing) > PIXELS_IN_FLIGHT
        )

    def _finish(self, job: Job) -> Generator[Job, None, DiskError | None]:
        """Wait until a pair is written and yield it; return what makes it useless to go on."""
        if job.writing is not None:
            try:
                job.record = job.writing.result()
            except DiskError as error:
                return error
            except Exception as error:
                job.error = error
            job.pixels = 0
        yield job
        return None

    def _read(self, pair: PlannedPair) -> _Read:
        """Read a pair's files, and decode them unless the pair is done."""
        started = time.perf_counter()
        first, second = load(pair.first), load(pair.second)
        sources = (
            record_of(str(pair.first.absolute()), first),
            record_of(str(pair.second.absolute()), second),
        )
        known = self.state.pairs.get(pair.name)
        if known is not None and self._is_done(known, pair, sources):
            return _Read(done=known)
        images = Pair(
            read_image(io.BytesIO(first), name=str(pair.first)),
            read_image(io.BytesIO(second), name=str(pair.second)),
        )
        return _Read(None, images, *sources, time.perf_counter() - started)

    def _is_done(
        self, known: PairRecord, pair: PlannedPair, sources: tuple[FileRecord, FileRecord]
    ) -> bool:
        """Whether a pair was fused with these settings, and its three files are as they were."""
        return (
            known.settings == self.settings.key
            and known.first.sha256 == sources[0].sha256
            and known.second.sha256 == sources[1].sha256
            and known.output.path == relative_output(self.plan, pair)
            and is_as_recorded(pair.output, known.output)
        )

    def _write(
        self, pair: PlannedPair, read: _Read, fused: Image, seconds: dict[str, float]
    ) -> PairRecord:
        """Encode and write an image; its line in the journal comes before its name."""
        started = time.perf_counter()
        buffer = io.BytesIO()
        write_image(fused, buffer, format=self.plan.format.name)
        data = buffer.getvalue()
        height, width = fused.size
        assert read.first is not None
        assert read.second is not None
        path = relative_output(self.plan, pair)
        record = PairRecord(
            name=pair.name,
            first=read.first,
            second=read.second,
            output=record_of(path, data),
            settings=self.settings.key,
            width=width,
            height=height,
            seconds={
                stage: round(spent, 4)
                for stage, spent in {**seconds, "encode": time.perf_counter() - started}.items()
            },
            time=round(time.time(), 3),
        )
        overwrite = self.overwrite or path in self.state.outputs
        try:
            make_folders(self.plan.folder, pair.output.parent)
            with atomic_write(pair.output, overwrite=overwrite) as file:
                file.write(data)
                # A full disk shows here, before the journal says anything.
                file.flush()
                self.journal.append(record.to_record())
        except UsageError as error:
            if os.path.lexists(pair.output):
                raise
            raise DiskError(str(error)) from None
        except LkcfuseError as error:
            raise DiskError(str(error)) from None
        return record


def relative_output(plan: Plan, pair: PlannedPair) -> str:
    """Return an output's path as the journal has it."""
    return pair.output.relative_to(plan.folder).as_posix()
