"""One run at a time in an output folder at a URL, where no system lets go of a dead run's lock.

A run makes a lock object, which the store lets only one of two do, and every few seconds writes
another one anew, its beat. Who finds a lock watches its beat: where that does not change, the run
is dead, and its lock is taken over. No clocks are compared. A lock is never written again, and a
beat by nobody else, so a run that was taken for dead (a machine that slept) cannot write over what
took its place: it finds its lock taken, and ends at its next line in the journal; until then both
have written the same files.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lkcfuse import strict_json
from lkcfuse.batch.claim import Shard, busy, disagreement, is_beside, lock_name
from lkcfuse.batch.journal import FOLDER
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.fusion.fuser import Notify
from lkcfuse.notes import Note
from lkcfuse.remote import RemotePath

BEAT_SECONDS = 5.0
"""A run writes its beat as often."""

DEAD_SECONDS = 30.0
"""A lock whose beat has not changed for so long is a dead run's."""


class Lease:
    """A lock that is held, and kept alive by a thread; `lease` makes it."""

    def __init__(self, folder: RemotePath, shard: Shard | None, notify: Notify) -> None:
        self._folder = folder
        self._shard = shard
        self._notify = notify
        self._path = folder / FOLDER / lock_name(shard)
        self._token = secrets.token_hex(8)
        self._beat_path = _beat_path(self._path, self._token)
        self._beats = 0
        self._beating = threading.Lock()
        self._ended = threading.Event()
        self._lost = False
        self._settings: str | None = None
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def check(self) -> None:
        """Check that the folder is this run's still.

        Raises:
            ResourceError: Another run took this one for dead.
        """
        if self._lost:
            raise ResourceError(
                f"another run has taken {self._folder} over, having heard nothing of this one for "
                f"{DEAD_SECONDS:.0f} s"
            )

    def announce(self, settings: str) -> None:
        """Say with what settings this run fuses: see `Claim.announce`.

        Raises:
            UsageError: Another part is at work with other ones.
            ResourceError: The store cannot be written to, or another run took this one for dead.
        """
        self.check()
        try:
            # Of two that come at once each may see the other, but never neither.
            self._beat(settings)
            for path in (self._folder / FOLDER).find():
                if path == self._path or not is_beside(path.name, self._shard):
                    continue
                theirs = _settings_in(path)
                if theirs not in (None, settings) and is_alive(path, self._notify):
                    raise disagreement(self._folder)
        except OSError as error:
            raise ResourceError(f"{self._folder} cannot be written to: {error}") from None

    def acquire(self) -> None:
        """Take the lock, from a dead run if need be.

        Raises:
            UsageError: A run that is alive has it.
            OSError: The store cannot be written to.
        """
        try:
            self._write_lock()
        except FileExistsError:
            if is_alive(self._path, self._notify):
                raise busy(self._folder) from None
            remove_lock(self._path)
            try:
                self._write_lock()
            except FileExistsError:
                raise busy(self._folder) from None
        self._thread.start()

    def release(self) -> None:
        """Give the lock back."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(OSError):
            if self._is_own():
                self._path.unlink()
            self._beat_path.unlink()

    def _write_lock(self) -> None:
        about = {"host": socket.gethostname(), "process": os.getpid()}
        lock = json.dumps({"token": self._token, **about}).encode()
        self._path.write_bytes(lock, new=True)

    def _keep(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            # A store that does not answer for once is none that has given the lock to another.
            with suppress(OSError, ResourceError):
                if not self._is_own():
                    self._lost = True
                    return
                self._beat()

    def _beat(self, settings: str | None = None) -> None:
        with self._beating:
            self._beats += 1
            self._settings = settings or self._settings
            content = {"beat": self._beats, "settings": self._settings}
            self._beat_path.write_bytes(json.dumps(content).encode())

    def _is_own(self) -> bool:
        try:
            return _token_in(self._path.read_bytes()) == self._token
        except FileNotFoundError:
            return False


@contextmanager
def lease(
    folder: RemotePath, shard: Shard | None = None, *, notify: Notify = lambda _line: None
) -> Iterator[Lease]:
    """Make an output folder at a URL this run's own: see `claim`.

    Args:
        folder: The output folder.
        shard: (K, N) for the K-th of N parts.
        notify: Told when it takes a while.

    Raises:
        UsageError: Another run is at work in the folder.
        ResourceError: The store cannot be written to.
    """
    place = folder / FOLDER
    held = Lease(folder, shard, notify)
    try:
        held.acquire()
        try:
            # Who comes second finds the first one's lock, whatever the order of what follows.
            for path in place.find():
                if path.suffix != ".lock" or path.name == lock_name(shard):
                    continue
                if is_beside(path.name, shard):
                    continue
                if is_alive(path, notify):
                    raise busy(folder)
                remove_lock(path)
            yield held
        finally:
            held.release()
    except UsageError:
        raise
    except OSError as error:
        raise ResourceError(f"{folder} cannot be written to: {error}") from None


def is_alive(path: RemotePath, notify: Notify) -> bool:
    """Whether a lock's beat changes within the time in which a live run's does; a gone one has not.

    Args:
        path: The lock.
        notify: Told that it is watched.
    """
    try:
        lock, beat = path.read_bytes(), _beat_of(path)
        notify(Note(f"a run has left {path}: looking for {DEAD_SECONDS:.0f} s whether it is alive"))
        deadline = time.monotonic() + DEAD_SECONDS
        while time.monotonic() < deadline:
            time.sleep(min(1.0, BEAT_SECONDS))
            # The lock comes last: of a run that ends, the beat goes after it.
            beat_now = _beat_of(path)
            if path.read_bytes() != lock or beat_now not in (beat, None):
                return True
    except FileNotFoundError:
        pass
    return False


def remove_lock(path: RemotePath) -> None:
    """Remove a dead run's lock, and its beat."""
    with suppress(FileNotFoundError):
        token = _token_in(path.read_bytes())
        path.unlink()
        if token is not None:
            _beat_path(path, token).unlink()


def _settings_in(path: RemotePath) -> str | None:
    """Return what the run of a lock has announced, if anything."""
    try:
        settings = strict_json.loads(_beat_of(path) or b"null")["settings"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return settings if isinstance(settings, str) else None


def _beat_of(path: RemotePath) -> bytes | None:
    """Return the beat of a lock's run; None before its first one, and after it has ended.

    Raises:
        FileNotFoundError: The lock is gone.
    """
    token = _token_in(path.read_bytes())
    if token is None:
        return None
    try:
        return _beat_path(path, token).read_bytes()
    except FileNotFoundError:
        return None


def _token_in(lock: bytes) -> str | None:
    try:
        token = strict_json.loads(lock)["token"]
    except (ValueError, KeyError, TypeError):
        return None
    return token if isinstance(token, str) else None


def _beat_path(lock: RemotePath, token: str) -> RemotePath:
    return lock.parent / f"{lock.name.removesuffix('.lock')}-{token}.beat"
