"""One run at a time in an output folder at a URL, where no system lets go of a dead run's lock.

A run makes a lock object, which the store lets only one of two do, and changes it every few
seconds. Who finds a lock watches whether it changes: one that does not is a dead run's, and is
taken over. No clocks are compared. A run that was taken for dead (a machine that slept) finds its
lock taken, and ends at its next line in the journal; until then both have written the same files.
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

from lkcfuse.batch.claim import Shard, busy, disagreement, is_beside, lock_name
from lkcfuse.batch.journal import FOLDER
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.fuser import Notify
from lkcfuse.notes import Note
from lkcfuse.remote import RemotePath

BEAT_SECONDS = 5.0
"""A run changes its lock as often."""

DEAD_SECONDS = 30.0
"""A lock that has not changed for so long is a dead run's."""


class Lease:
    """A lock that is held, and kept alive by a thread; `lease` makes it."""

    def __init__(self, folder: RemotePath, shard: Shard | None, notify: Notify) -> None:
        self._folder = folder
        self._shard = shard
        self._notify = notify
        self._path = folder / FOLDER / lock_name(shard)
        self._token = secrets.token_hex(8)
        self._beats = 0
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
        self._settings = settings
        try:
            # Of two that come at once each may see the other, but never neither.
            self._path.write_bytes(self._content())
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
            self._path.write_bytes(self._content(), new=True)
        except FileExistsError:
            if is_alive(self._path, self._notify):
                raise busy(self._folder) from None
            self._path.unlink()
            try:
                self._path.write_bytes(self._content(), new=True)
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

    def _keep(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            self._beats += 1
            # A store that does not answer for once is none that has given the lock to another.
            with suppress(OSError, ResourceError):
                if not self._is_own():
                    self._lost = True
                    return
                self._path.write_bytes(self._content())

    def _is_own(self) -> bool:
        try:
            return bool(json.loads(self._path.read_bytes())["token"] == self._token)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return False

    def _content(self) -> bytes:
        about = {
            "host": socket.gethostname(),
            "process": os.getpid(),
            "beat": self._beats,
            "settings": self._settings,
        }
        return json.dumps({"token": self._token, **about}).encode()


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
                path.unlink()
            yield held
        finally:
            held.release()
    except UsageError:
        raise
    except OSError as error:
        raise ResourceError(f"{folder} cannot be written to: {error}") from None


def _settings_in(path: RemotePath) -> str | None:
    """Return what the run of a lock has announced, if anything."""
    try:
        settings = json.loads(path.read_bytes())["settings"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return settings if isinstance(settings, str) else None


def is_alive(path: RemotePath, notify: Notify) -> bool:
    """Whether a lock changes within the time in which a live run changes it; a gone one has not.

    Args:
        path: The lock.
        notify: Told that it is watched.
    """
    try:
        before = path.read_bytes()
        notify(Note(f"a run has left {path}: looking for {DEAD_SECONDS:.0f} s whether it is alive"))
        deadline = time.monotonic() + DEAD_SECONDS
        while time.monotonic() < deadline:
            time.sleep(min(1.0, BEAT_SECONDS))
            if path.read_bytes() != before:
                return True
    except FileNotFoundError:
        pass
    return False
