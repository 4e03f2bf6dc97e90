"""A worker: a process on some machine that holds one network, and does what a driver asks for.

What it is asked for comes on several threads. They read and encode; a thread of the worker's own
runs the network, pair by pair. `ray_actor.py` is what makes such a process of Ray's.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lkcfuse.batch import stages
from lkcfuse.batch.files import exists, is_as_recorded
from lkcfuse.batch.plan import PlannedPair
from lkcfuse.batch.records import PairRecord
from lkcfuse.batch.stages import Sources, Stages
from lkcfuse.errors import LkcfuseError, ResourceError, UsageError, WeightsError
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.images import Image
from lkcfuse.version import __version__


@dataclass(frozen=True)
class Orders:
    """What a worker is made of; it travels to the worker's machine.

    Attributes:
        fuser: What to fuse with, not loaded.
        stages: What else is done to a pair.
        folder: The driver's working folder, which relative paths start from.
        host: The driver's machine.
        version: The driver's lkcfuse.
        weights: Name of the driver's weights.
        weights_sha256: Their hash.
        needs_gpu: Whether each worker was given a share of a GPU.
    """

    fuser: Fuser
    stages: Stages
    folder: str
    host: str
    version: str
    weights: str
    weights_sha256: str
    needs_gpu: bool = False


@dataclass(frozen=True)
class Ready:
    """A worker that can begin.

    Attributes:
        host: Its machine.
        process: Its process.
        device: What its network runs on, for people.
    """

    host: str
    process: int
    device: str


@dataclass(frozen=True)
class Reply:
    """What became of a pair in a worker: it has a record, or an error.

    Attributes:
        record: Its line for the journal, or that of a pair found done.
        verified: Whether it was found done.
        error: Why it failed.
        unfit: Whether it failed because the worker is of no use.
        notes: Lines for the user.
    """

    record: PairRecord | None = None
    verified: bool = False
    error: Exception | None = None
    unfit: bool = False
    notes: tuple[str, ...] = ()


class Unfit(Exception):  # noqa: N818 - it carries the error
    """A worker that cannot fuse as the driver would."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Worker:
    """Fuses pairs, and writes what it is told to write."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._host = socket.gethostname()
        self._notes: list[str] = []
        self._room = _Room()
        self._network = ThreadPoolExecutor(1, "network")
        self._loaded = False
        # A relative path is the same file only where this folder is the same; else it is missed.
        with suppress(OSError):
            os.chdir(orders.folder)

    def hello(self) -> Ready | Reply:
        """Load the network, and say that this was done or what was wrong."""
        try:
            self._network.submit(self._load).result()
        except Unfit as unfit:
            return Reply(error=unfit.error, unfit=True)
        return Ready(self._host, os.getpid(), self._orders.fuser.describe())

    def fuse(
        self, pair: PlannedPair, known: PairRecord | None, overwrite: bool
    ) -> tuple[Reply, bytes | None]:
        """Fuse a pair, but do not write it.

        Args:
            pair: The pair.
            known: What the journal says of it.
            overwrite: Whether an output that exists may be replaced.

        Returns:
            What became of it, and the output's bytes if it was fused.
        """
        try:
            with self._room.for_a_pair() as holds:
                sources = self._orders.stages.read(pair, known)
                if sources.done is not None:
                    return Reply(sources.done, verified=True), None
                assert sources.pair is not None
                height, width = sources.pair.size
                holds(height * width)
                fused, seconds, notes = self._network.submit(self._fuse, sources).result()
                record, data = self._orders.stages.encode(pair, sources, fused, seconds)
            if not overwrite and exists(pair.output):
                raise UsageError(f"{pair.output} exists: use --force to replace it")
            return Reply(record, notes=notes), data
        except Unfit as unfit:
            return Reply(error=unfit.error, unfit=True), None
        except Exception as error:
            return Reply(error=self._portable(error)), None

    def publish(
        self, pair: PlannedPair, record: PairRecord, data: bytes, overwrite: bool
    ) -> Exception | None:
        """Write an output whose line is in the journal; once more does no harm.

        Args:
            pair: Whose it is.
            record: The line.
            data: The output's bytes.
            overwrite: Whether an output that exists may be replaced.

        Returns:
            What went wrong, if anything did.
        """
        try:
            if not is_as_recorded(pair.output, record.output):
                self._orders.stages.publish(pair, data, overwrite=overwrite)
        except Exception as error:
            return self._portable(error)
        return None

    def _load(self) -> None:
        """Load the network, once, and check that it is the driver's."""
        if self._loaded:
            return
        orders, fuser = self._orders, self._orders.fuser
        # The driver has told what there is to tell about the weights.
        fuser.notify = lambda _line: None
        try:
            if __version__ != orders.version:
                raise ResourceError(
                    f"{self._host} has lkcfuse {__version__}, and this machine {orders.version}: "
                    "install the same on every machine"
                )
            fuser.load()
            if fuser.weights.sha256 != orders.weights_sha256:
                raise WeightsError(
                    f"weights '{orders.weights}' are a different file on {self._host} than "
                    "on this machine: copy it there, or give a path that all machines share"
                )
            if orders.needs_gpu and fuser.device.type == "cpu":
                raise ResourceError(
                    f"workers were given GPUs, and torch on {self._host} uses none: install a "
                    "build of it with CUDA there, or leave out --gpus-per-worker (and --device cpu)"
                )
        except Exception as error:
            raise Unfit(self._portable(error)) from None
        fuser.notify = self._notes.append
        self._loaded = True

    def _fuse(self, sources: Sources) -> tuple[Image, dict[str, float], tuple[str, ...]]:
        self._load()
        assert sources.pair is not None
        started = time.perf_counter()
        self._notes.clear()
        try:
            options = self._orders.stages.options
            fused = self._orders.fuser.fuse_pair(
                sources.pair,
                invert_first=options.invert_first,
                strength=options.strength,
                refuse_warnings=options.refuse_warnings,
            )
        finally:
            # The sources' pixels go before the next pair's come.
            sources.pair = None
        seconds = {"read": sources.seconds, "fuse": time.perf_counter() - started}
        return fused, seconds, tuple(self._notes)

    def _portable(self, error: Exception) -> Exception:
        """Return an error that can travel, and says where it happened if that is elsewhere."""
        where = "" if self._host == self._orders.host else f" (on {self._host})"
        if isinstance(error, LkcfuseError):
            return type(error)(f"{error}{where}")
        if isinstance(error, (MemoryError, OSError)):
            return error
        return RuntimeError(f"{type(error).__name__}: {error}{where}")


class _Room:
    """Room in memory for the pixels of pairs; one pair always finds some, however large."""

    def __init__(self) -> None:
        self._held: dict[object, int] = {}
        self._largest = 0
        self._changed = threading.Condition()

    @contextmanager
    def for_a_pair(self) -> Iterator[Callable[[int], None]]:
        """Wait for room, and give it back at the end.

        Yields:
            A function to call with the pair's pixels once they are known. Until then it is taken
            to be as large as any so far, and the first one fills the room.
        """
        key = object()
        with self._changed:
            self._changed.wait_for(self._is_free)
            self._held[key] = self._largest or stages.PIXELS_IN_FLIGHT

        def holds(pixels: int) -> None:
            with self._changed:
                self._held[key] = pixels
                self._largest = max(self._largest, pixels)
                self._changed.notify_all()

        try:
            yield holds
        finally:
            with self._changed:
                del self._held[key]
                self._changed.notify_all()

    def _is_free(self) -> bool:
        held = sum(self._held.values())
        return not held or 0 < self._largest <= stages.PIXELS_IN_FLIGHT - held
