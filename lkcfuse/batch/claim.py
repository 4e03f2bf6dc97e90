"""One run at a time in an output folder, or the shards of one batch side by side."""

from __future__ import annotations

import errno
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lkcfuse.atomic import TEMPORARY_PREFIX, may_write_to
from lkcfuse.batch.journal import FOLDER
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.plain_files import read_plain, write_new
from lkcfuse.remote import Location

Shard = tuple[int, int]


class Claim:
    """An output folder that is this run's own; `claim` makes it.

    Attributes:
        journal_lock: To hold while a line is written to the journal.
    """

    def __init__(self, folder: Path, shard: Shard | None) -> None:
        self._folder = folder
        self._shard = shard
        self._lock = folder / FOLDER / lock_name(shard)
        self.journal_lock = FileLock(folder / FOLDER / "journal.lock", thread_local=False)

    def announce(self, settings: str) -> None:
        """Say with what settings this run fuses: the parts of one batch must agree.

        Args:
            settings: Their `Settings.key`.

        Raises:
            UsageError: Another part is at work with other ones.
            ResourceError: The folder cannot be written to.
        """
        try:
            with self.journal_lock:
                for path in self._beside():
                    theirs = _announcement(path)
                    if _is_held(path) and _settings_in(theirs) not in (None, settings):
                        raise disagreement(self._folder)
                if self._shard is not None:
                    write_new(_announcement(self._lock), settings.encode())
        except OSError as error:
            raise _unwritable(self._folder, error) from None

    def _take(self, held: ExitStack) -> None:
        """Take this run's lock, which `held` lets go of, and see that nobody else is at work."""
        own = FileLock(self._lock, thread_local=False)
        # Who comes second finds the first one's lock, whatever the order of what follows.
        with self.journal_lock:
            _acquire(own, self._folder)
            held.callback(own.release)
            # What a run that was killed announced says nothing of this one.
            _announcement(self._lock).unlink(missing_ok=True)
            held.callback(_announcement(self._lock).unlink, missing_ok=True)
            beside = self._beside()
            for path in sorted(self._lock.parent.glob("run*.lock")):
                if path != self._lock and path not in beside and _is_held(path):
                    raise busy(self._folder)
            if not any(map(_is_held, beside)):
                _sweep(self._folder)

    def _beside(self) -> list[Path]:
        """Return the locks of the other parts of the same batch, held or not."""
        paths = sorted(self._lock.parent.glob("run*.lock"))
        return [path for path in paths if path != self._lock and is_beside(path.name, self._shard)]


@contextmanager
def claim(folder: Path, shard: Shard | None = None) -> Iterator[Claim]:
    """Make an output folder this run's own, and sweep up what a killed run left there.

    The system lets go of the lock when a process ends, however it ends.

    Args:
        folder: The output folder; made if only its last part is missing.
        shard: (K, N) for the K-th of N parts; other parts of the same N may run beside.

    Yields:
        The claim, which holds until the end.

    Raises:
        UsageError: Another run is at work in the folder; or the folder it is in does not exist.
        ResourceError: The folder cannot be made or written to.
    """
    check_folder(folder)
    _make(folder)
    with ExitStack() as held:
        try:
            (folder / FOLDER).mkdir(exist_ok=True)
            if (folder / FOLDER).is_symlink():
                raise OSError(errno.ELOOP, f"its {FOLDER} is a link: remove it")
            own = Claim(folder, shard)
            own._take(held)
        except OSError as error:
            raise _unwritable(folder, error) from None
        yield own


def check_idle(folder: Path, shard: Shard | None = None) -> None:
    """Check that `claim` would succeed, and leave everything as it is.

    Raises:
        UsageError: Another run is at work in the folder, or it cannot be made.
        ResourceError: It cannot be written to.
    """
    check_folder(folder)
    place = folder if folder.exists() else folder.parent
    if not may_write_to(place):
        raise ResourceError(f"{folder} cannot be written to: no permission to write to {place}")
    for path in sorted((folder / FOLDER).glob("run*.lock")):
        is_own = path.name == lock_name(shard)
        try:
            is_held = (is_own or not is_beside(path.name, shard)) and _is_held(path)
        except OSError as error:
            raise _unwritable(folder, error) from None
        if is_held:
            raise busy(folder)


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
        f"another run is working in {folder}: wait until it ends, or choose another folder with -o"
    )


def disagreement(folder: Location) -> UsageError:
    """Return the error of a part of a batch that differs from another in its settings."""
    return UsageError(
        f"another part of this batch is working in {folder} with other settings: give every "
        "part the same task, weights, format and --invert-first"
    )


def lock_name(shard: Shard | None) -> str:
    """Return the name of a run's lock."""
    return "run.lock" if shard is None else f"run-{shard[0]}-of-{shard[1]}.lock"


def is_beside(name: str, shard: Shard | None) -> bool:
    """Whether a lock is that of another part of the same batch."""
    found = re.fullmatch(r"run-(\d+)-of-(\d+)\.lock", name)
    return shard is not None and found is not None and int(found[2]) == shard[1]


def _announcement(lock: Path) -> Path:
    return lock.with_suffix(".settings")


def _settings_in(announcement: Path) -> str | None:
    """Return what a part of a batch has announced; None if it has announced nothing."""
    try:
        return read_plain(announcement).decode()
    except FileNotFoundError:
        return None


def _unwritable(folder: Path, error: OSError) -> ResourceError:
    return ResourceError(f"{folder} cannot be written to: {error.strerror or error}")


def _sweep(folder: Path) -> None:
    """Remove temporary files: nobody writes here, so a run that was killed left them."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY_PREFIX) and name.endswith(".tmp"):
                with suppress(OSError):
                    Path(place, name).unlink()
