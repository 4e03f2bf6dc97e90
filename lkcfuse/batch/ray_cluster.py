"""Ray, found or started: the only module that imports it.

Ray talks a good deal, on standard output too, and takes signals over: here it is kept to its work.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from lkcfuse.cpus import available_cpus
from lkcfuse.errors import ResourceError, UsageError

_STORE_BYTES = 256 << 20
"""Memory for the outputs that wait to be written, on one machine; what exceeds it goes to disk."""

_PROBE_SECONDS = 10.0

_CURE = "give --address the HOST:PORT of its head, on a machine of the cluster"


def require_ray() -> None:
    """Check that Ray is installed, without importing it.

    Raises:
        ResourceError: It is not.
    """
    if importlib.util.find_spec("ray") is None:
        raise ResourceError("Ray is not installed: pip install 'lkcfuse[ray]'")


class Cluster:
    """A Ray cluster: the one at an address, or one of this machine alone.

    Args:
        address: `HOST:PORT` of the cluster's head, `auto` for the one this machine is part of;
            None takes the one that `RAY_ADDRESS` names, or starts one of this machine's CPUs and
            GPUs that ends with this process.
        workers: How many workers it is to hold; None for as many as it can.
        cpus: CPUs for each of them.
        gpus: GPUs for each; a fraction is a share of one.

    Raises:
        ResourceError: Ray is not installed, no cluster answers, or it has no room for a worker.
    """

    def __init__(self, address: str | None, workers: int | None, cpus: int, gpus: float) -> None:
        address = address or os.environ.get("RAY_ADDRESS") or None
        self.local = address is None
        self.ray = _import_ray(alone=self.local)
        self.cpus, self.gpus = cpus, gpus
        self._owned = not self.ray.is_initialized()
        if self._owned:
            if address is None:
                self._start(workers)
            else:
                self._join(address)
        room = self._room()
        # A cluster that grows when asked may have no room as yet for workers that were counted.
        if room < 1 and (self.local or workers is None):
            self.close()
            place = "this machine" if self.local else "any machine of the cluster"
            cure = "" if self.local else ", or, if the cluster grows, say how many with --workers"
            raise ResourceError(
                f"a worker with {self.share()} does not fit on {place}: lower "
                f"--cpus-per-worker or --gpus-per-worker{cure}"
            )
        self.workers = workers or room

    def share(self) -> str:
        """Return what each worker has, for people."""
        share = f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"
        if self.gpus:
            share += f" and {self.gpus:g} GPU{'s' if self.gpus > 1 else ''}"
        return share

    def actor(self, kind: type, *arguments: object, threads: int) -> Any:
        """Start an actor: a process somewhere that Ray starts anew whenever it dies.

        Args:
            kind: Its class.
            arguments: What its constructor gets, each time.
            threads: Calls it works on at a time.
        """
        options = {
            "num_cpus": self.cpus,
            "num_gpus": self.gpus,
            "max_restarts": -1,
            # What it was at is handed to whoever is free, not kept for it: it may never return.
            "max_task_retries": 0,
            "max_concurrency": threads,
        }
        return self.ray.remote(kind).options(**options).remote(*arguments)

    def close(self) -> None:
        """Leave the cluster, and end it if it is this process's own."""
        if self._owned:
            self._owned = False
            self.ray.shutdown()

    def _start(self, workers: int | None) -> None:
        """Start a cluster of this machine alone."""
        self._init(
            # Not one that somebody else has started here.
            address="local",
            # Ray keeps account of CPUs, and ties nobody to them: workers that are asked for share
            # what there is.
            num_cpus=max(available_cpus(), (workers or 0) * self.cpus),
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            failed="Ray cannot be started here ({})",
        )

    def _join(self, address: str) -> None:
        """Join the cluster at an address."""
        failed = f"no Ray cluster answers at '{address}' ({{}}): {_CURE}"
        if address == "auto":
            failed = (
                "no Ray cluster answers on this machine: start one with 'ray start', or "
                "give --address HOST:PORT"
            )
        _probe(address, self.ray, failed=failed)
        self._init(address=address, failed=failed)

    def _init(self, *, failed: str, **options: Any) -> None:
        said: list[str] = []
        try:
            with _own_signals(), _captured_stderr() as said:
                self.ray.init(**options, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            if "token" in f"{error}{''.join(said)}".lower():
                raise ResourceError(
                    "the Ray cluster asks for a token: set RAY_AUTH_MODE=token, on a machine that "
                    "has it (see 'ray get-auth-token')"
                ) from None
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise ResourceError(failed.format(reason)) from None

    def _room(self) -> int:
        """Return how many workers the cluster's machines hold, each machine by itself."""
        room = 0
        for node in self.ray.nodes():
            if node["Alive"]:
                there = node["Resources"]
                fits = there.get("CPU", 0) // self.cpus
                if self.gpus:
                    fits = min(fits, math.floor(there.get("GPU", 0) / self.gpus + 1e-9))
                room += int(fits)
        return room


def _probe(address: str, ray: ModuleType, *, failed: str) -> None:
    """Check that something listens at an address: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if address != "auto" and ("://" in address or not host or not port.isdecimal()):
        raise UsageError(f"'{address}' is neither HOST:PORT of a Ray cluster nor auto")
    try:
        # Where `auto` leads; and Ray takes this machine's own address for the loopback one.
        found = ray._private.services.canonicalize_bootstrap_address(address) or address
        host, _, port = found.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS).close()
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResourceError(failed.format(reason)) from None


def _import_ray(*, alone: bool) -> ModuleType:
    require_ray()
    # Ray reads these when it is imported. No figures for its makers; and a cluster of this machine
    # alone keeps to the loopback address, as Ray has it by itself on Windows and macOS.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if alone:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray
    import ray._private.services
    import ray._private.worker

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    # Ray prints the deaths of workers to standard output, where the results go. They are told as
    # notes of ours.
    ray._private.worker._worker_logs_enabled = False
    return ray


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handlers of signals that Ray would replace."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@contextmanager
def _captured_stderr() -> Iterator[list[str]]:
    """Keep to ourselves what Ray's native part prints while it connects.

    Yields:
        A list; what was printed is in it at the end.
    """
    said: list[str] = []
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
