"""SHA-256 of files, in pieces, so that memory does not grow with the file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from lkcfuse.errors import WeightsError

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
