"""Files that appear whole or not at all: written beside their place, then renamed into it."""

from __future__ import annotations

import os
import secrets
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lkcfuse.errors import ResourceError, UsageError

TEMPORARY_PREFIX = ".lkcfuse-"
"""Temporary names start with this; only a process that was killed leaves one behind.

Where the system has files without a name (Linux, on most of its file systems), nothing is left of
one that was not finished.
"""

_PROC = Path("/proc/self/fd")


def temporary_name(name: str, mark: str) -> str:
    """Return the temporary name of a file; `*` for the mark gives the pattern of all it may have.

    Example:
        >>> temporary_name("fused.png", "6f1ed0")
        '.lkcfuse-fused.png-6f1ed0.tmp'
    """
    # As much of a long name as leaves room for the rest: file systems hold 255 bytes.
    start = name.encode("utf-8", "surrogateescape")[:200].decode("utf-8", "ignore")
    return f"{TEMPORARY_PREFIX}{start}-{mark}.tmp"


def check_destination(path: Path, *, overwrite: bool = False, to_be_made: object = None) -> None:
    """Check, before any work is done for it, that a file can be written there.

    Args:
        path: The file to write.
        overwrite: Whether a file that exists is replaced.
        to_be_made: A folder that the run makes; it need not exist yet.

    Raises:
        UsageError: The file exists and `overwrite` is false, it is a folder, or its folder does
            not exist.
        ResourceError: The folder cannot be written to.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder: name a file in it")
        if _is_special(path):
            return
        if not overwrite and os.path.lexists(path):
            raise _exists(path)
        folder = _target(path).parent
        if isinstance(to_be_made, Path) and folder.absolute() == to_be_made.absolute():
            folder = _nearest_folder(folder)
        if not folder.exists():
            raise UsageError(
                f"{path} cannot be written: its folder does not exist "
                f"(make it: mkdir -p {shlex.quote(str(folder))})"
            )
        if not folder.is_dir():
            raise UsageError(f"{path} cannot be written: {folder} is a file, not a folder")
        if not may_write_to(folder):
            raise ResourceError(f"{path} cannot be written: no permission to write to {folder}")
    except (OSError, ValueError) as error:
        raise ResourceError(f"{path} cannot be written: {_reason(error)}") from None


def may_write_to(folder: Path) -> bool:
    """Whether this process has the right to make files in a folder."""
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, where they do not exist.

    Raises:
        ResourceError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ResourceError(f"{folder} cannot be made: {_reason(error)}") from None


def _nearest_folder(folder: Path) -> Path:
    """Return the folder itself, or the nearest above it that exists."""
    return next((place for place in (folder, *folder.parents) if os.path.lexists(place)), folder)


def check_not_used(path: Path, used: Iterable[object]) -> None:
    """Check that a file is none of those that the same run reads or writes.

    Args:
        path: The file to write.
        used: The others; what is not a path on this machine is ignored.

    Raises:
        UsageError: It is one of them.
    """
    real = resolve(path)
    for other in used:
        # Of a million files few have its name, and to resolve them all would take a minute.
        if not isinstance(other, Path):
            continue
        if other.name in (path.name, real.name) and resolve(other) == real:
            raise UsageError(f"{path} has another part in this run: give it a name of its own")


@contextmanager
def atomic_write(path: Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a file that takes its place only when the block ends well.

    The bytes go to a temporary file in the same folder, without a name if possible, which is
    synced to disk and then gets its name; any failure, Ctrl-C included, removes it and leaves what
    stood at `path` untouched. A symbolic link is followed, and a device or a pipe is written to
    directly.

    Args:
        path: The file to write.
        overwrite: Whether a file that exists is replaced (its permissions are kept).

    Yields:
        The temporary file, open for reading and writing bytes.

    Raises:
        UsageError: As `check_destination`, also when the file appears while the block runs.
        ResourceError: The file cannot be written: disk full, no permission.
    """
    check_destination(path, overwrite=overwrite)
    try:
        if _is_special(path):
            with path.open("wb") as device:
                yield device
            return
        target = _target(path)
        temporary = target.parent / temporary_name(target.name, secrets.token_hex(6))
        try:
            unnamed = _open_unnamed(target.parent)
            with unnamed or temporary.open("xb+") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if unnamed is not None:
                    _name(file, temporary)
            _move(temporary, target, overwrite=overwrite)
        finally:
            # Gone already where all went well.
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except FileExistsError:
        raise _exists(path) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {_reason(error)}") from None


def _open_unnamed(folder: Path) -> BinaryIO | None:
    """Open a file that has no name yet; None where the file system has no such files."""
    if not hasattr(os, "O_TMPFILE") or not _PROC.is_dir():
        return None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError:
        # What else may be wrong with the folder shows when a name is tried.
        return None
    return os.fdopen(descriptor, "wb+")


def _name(file: BinaryIO, path: Path) -> None:
    """Give a name to a file without one."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # A link to the file itself, not to its entry in /proc: Python follows that only where the
        # new name's folder is told apart.
        os.link(_PROC / str(file.fileno()), path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _move(temporary: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        with suppress(OSError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
        return
    try:
        # Unlike a rename, a link never replaces a file that somebody made meanwhile.
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # The file system knows no hard links (FAT, some network shares).
        if target.exists():
            raise FileExistsError from None
        temporary.replace(target)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system offers that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _target(path: Path) -> Path:
    """Follow a symbolic link, so that the file it names is replaced and not the link."""
    return resolve(path) if path.is_symlink() else path


def resolve(path: Path) -> Path:
    """Return what a path leads to.

    `Path.resolve` raises RuntimeError for links that lead in a circle.

    Raises:
        UsageError: It is a link that leads to itself.
        ResourceError: It is relative to a folder that is gone.
    """
    try:
        return path.resolve()
    except RuntimeError:
        raise UsageError(f"{path} is a link that leads to itself: give another name") from None
    except FileNotFoundError:
        raise ResourceError(
            f"{path} cannot be found: the working folder does not exist any more"
        ) from None


def _is_special(path: Path) -> bool:
    """Whether it is a device or a pipe (`/dev/null`), which no rename may replace."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists: use --force to replace it")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def may_replace(path: Path, is_own: Callable[[bytes], bool], refusal: str) -> bool:
    """Whether a file exists and is one of ours, unchanged: `check_destination` says the rest.

    Args:
        path: The file.
        is_own: Tells by its bytes.
        refusal: What a file that is not ours is called: "is not a report".

    Raises:
        UsageError: It exists and is not ours, or was changed.
    """
    if not path.is_file():
        return False
    try:
        data = path.read_bytes()
    except OSError:
        return False
    if is_own(data):
        return True
    raise UsageError(
        f"{path} exists and {refusal}, or was changed since: give another name, or --force to "
        "replace it"
    )
