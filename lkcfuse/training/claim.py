"""One run at a time on the files of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lkcfuse.errors import ResourceError, UsageError


@contextmanager
def claim(output: Path) -> Iterator[None]:
    """Make a checkpoint, its log and its state this run's own.

    The system lets go of the lock when a process ends, however it ends.

    Args:
        output: The checkpoint.

    Raises:
        UsageError: Another run is at work on it.
        ResourceError: The folder cannot be written to.
    """
    path = output.with_name(f".{output.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"another run is writing {output}: wait until it ends, or give another --output"
        ) from None
    except OSError as error:
        raise ResourceError(f"{output} cannot be written: {error.strerror or error}") from None
    try:
        yield
    finally:
        # While it is held: once let go of, it may be another run's.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()
