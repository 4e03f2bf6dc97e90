"""SHA-256 of files, in pieces, so that memory does not grow with the file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from lkcfuse.errors import WeightsError
from lkcfuse.plain_files import create

_PIECE = 1 << 20

#: Called with (done, total) bytes as work goes on.
Progress = Callable[[float, float], None]


def sha256_of(path: str | os.PathLike[str], *, progress: Progress | None = None) -> str:
    """Return the SHA-256 of a file as 64 lower-case hexadecimal digits.

    Raises:
        WeightsError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - takes any os.PathLike
            total = os.fstat(file.fileno()).st_size
            done = 0
            while piece := file.read(_PIECE):
                digest.update(piece)
                done += len(piece)
                if progress is not None:
                    progress(done, total)
    except OSError as error:
        raise WeightsError(f"{os.fspath(path)} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def copy_hashed(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
) -> str:
    """Copy a file, in the place of whatever the target is, and return the SHA-256 of the copy.

    Raises:
        WeightsError: The source cannot be read.
        OSError: The target cannot be written.
    """
    digest = hashlib.sha256()
    try:
        reader = open(source, "rb")  # noqa: PTH123, SIM115 - closed below, read errors apart
    except OSError as error:
        raise WeightsError(f"{os.fspath(source)} cannot be read: {error.strerror}") from None
    with reader, os.fdopen(create(Path(target)), "wb") as writer:
        total = os.fstat(reader.fileno()).st_size
        while piece := reader.read(_PIECE):
            digest.update(piece)
            writer.write(piece)
            if progress is not None:
                progress(writer.tell(), total)
    return digest.hexdigest()
