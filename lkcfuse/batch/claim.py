"""One run at a time in an output folder, or the shards of one batch side by side."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lkcfuse.atomic import TEMPORARY_PREFIX
from lkcfuse.batch.journal import FOLDER
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.remote import Location

Shard = tuple[int, int]


@contextmanager
def claim(folder: Path, shard: Shard | None = None) -> Iterator[FileLock]:
    """Make an output folder this run's own, and sweep up what a killed run left there.

    The system lets go of the lock when a process ends, however it ends.

    Args:
        folder: The output folder; made if only its last part is missing.
        shard: (K, N) for the K-th of N parts; other parts of the same N may run beside.

    Yields:
        The lock to hold while a line is written to the journal.

    Raises:
        UsageError: Another run is at work in the folder; or the folder it is in does not exist.
        ResourceError: The folder cannot be made or written to.
    """
    place = folder / FOLDER
    check_folder(folder)
    _make(folder)
    with ExitStack() as held:
        try:
            place.mkdir(exist_ok=True)
            journal_lock = FileLock(place / "journal.lock", thread_local=False)
            # Who comes second finds the first one's lock, whatever the order of what follows.
            with journal_lock:
                own = FileLock(place / lock_name(shard), thread_local=False)
                _acquire(own, folder)
                held.callback(own.release)
                alone = True
                for path in sorted(place.glob("run*.lock")):
                    if path.name == lock_name(shard):
                        continue
                    if is_beside(path.name, shard):
                        alone = alone and not _is_held(path)
                    elif _is_held(path):
                        raise busy(folder)
                if alone:
                    _sweep(folder)
        except OSError as error:
            raise ResourceError(
                f"{folder} cannot be written to: {error.strerror or error}"
            ) from None
        yield journal_lock


def check_folder(folder: Path) -> None:
    """Check that a folder is there, or the one that it would be made in.

    Raises:
        UsageError: Neither is.
        ResourceError: That cannot be seen, for want of a right.
    """
    try:
        if folder.is_dir():
            return
        if os.path.lexists(folder):
            raise UsageError(f"{folder} is a file: give -o a folder")
        if folder.parent.is_dir():
            return
        if file := next((place for place in folder.parents if place.is_file()), None):
            raise UsageError(f"{folder} cannot be made: {file} is a file")
    except OSError as error:
        raise ResourceError(f"{folder} cannot be used: {error.strerror or error}") from None
    raise UsageError(
        f"{folder} cannot be made: its folder does not exist "
        f"(make it: mkdir -p {shlex.quote(str(folder.parent))})"
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{folder} cannot be made: {error.strerror or error}") from None


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise busy(folder) from None


def _is_held(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def busy(folder: Location) -> UsageError:
    """Return the error of a folder that another run works in."""
    return UsageError(
        f"another run is at work in {folder}: wait until it ends, or choose another folder with -o"
    )


def lock_name(shard: Shard | None) -> str:
    """Return the name of a run's lock."""
    return "run.lock" if shard is None else f"run-{shard[0]}-of-{shard[1]}.lock"


def is_beside(name: str, shard: Shard | None) -> bool:
    """Whether a lock is that of another part of the same batch."""
    found = re.fullmatch(r"run-(\d+)-of-(\d+)\.lock", name)
    return shard is not None and found is not None and int(found[2]) == shard[1]


def _sweep(folder: Path) -> None:
    """Remove temporary files: nobody writes here, so a run that was killed left them."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY_PREFIX) and name.endswith(".tmp"):
                with suppress(OSError):
                    Path(place, name).unlink()
