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
        self.local = address is None and "RAY_ADDRESS" not in os.environ
        self.ray = _import_ray(alone=self.local)
        self.cpus, self.gpus = cpus, gpus
        self._owned = not self.ray.is_initialized()
        if self._owned:
            self._connect(address, workers)
        room = self._room()
        if room < 1 and self.local:
            self.close()
            raise ResourceError(
                f"a worker with {self.share()} finds no room on this machine: give less with "
                "--cpus-per-worker and --gpus-per-worker"
            )
        self.workers = workers or max(1, room)

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

    def _connect(self, address: str | None, workers: int | None) -> None:
        options: dict[str, Any] = {"address": address}
        if not self.local:
            _probe(address or os.environ["RAY_ADDRESS"])
        if self.local:
            options = {
                # Ray keeps account of CPUs, and ties nobody to them: what is asked for is there.
                "num_cpus": max(available_cpus(), (workers or 1) * self.cpus),
                "include_dashboard": False,
                "object_store_memory": _STORE_BYTES,
            }
        try:
            with _own_signals():
                self.ray.init(**options, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            if self.local:
                raise ResourceError(f"Ray cannot be started here: {reason}") from None
            raise _no_cluster(address or os.environ["RAY_ADDRESS"], reason) from None

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


def _probe(address: str) -> None:
    """Check that something listens at an address: Ray itself tries for minutes, and talks."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise UsageError(f"--address {address} is neither HOST:PORT of a Ray cluster nor auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, getattr(error, "strerror", None) or str(error)) from None


def _no_cluster(address: str, reason: str) -> ResourceError:
    return ResourceError(
        f"no Ray cluster answers at '{address}' ({reason}): give --address the HOST:PORT of its "
        "head, on a machine of the cluster"
    )


def _import_ray(*, alone: bool) -> ModuleType:
    require_ray()
    # Ray reads these when it is imported. No figures for its makers; and a cluster of this machine
    # alone keeps to the loopback address, as Ray has it by itself on Windows and macOS.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if alone:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray
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
