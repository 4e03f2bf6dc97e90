"""Files of a batch, read once and known by their hashes."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from lkcfuse.batch.records import FileRecord
from lkcfuse.errors import InputError, ResourceError
from lkcfuse.remote import Location, RemotePath


def file_sha256(path: Location) -> str | None:
    """Return the SHA-256 of a file; None where it cannot be read."""
    digest = hashlib.sha256()
    try:
        if isinstance(path, RemotePath):
            return hashlib.sha256(path.read_bytes()).hexdigest()
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError:
        return None
    return digest.hexdigest()


def is_as_recorded(path: Location, record: FileRecord) -> bool:
    """Whether a file's bytes are those a record has."""
    try:
        size = path.size() if isinstance(path, RemotePath) else path.stat().st_size
        if size != record.bytes:
            return False
    except OSError:
        return False
    return file_sha256(path) == record.sha256


def exists(path: Location) -> bool:
    """Whether there is something of that name: a file, a folder, a link to nothing."""
    return path.exists() if isinstance(path, RemotePath) else os.path.lexists(path)


def load(path: Location) -> bytes:
    """Read a file once: what is hashed is what is decoded, whatever happens to the file.

    Raises:
        InputError: It is missing, is not a regular file, or cannot be read.
    """
    try:
        if isinstance(path, RemotePath):
            return path.read_bytes()
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{path} is not a regular file: a batch reads no pipes or devices")
            return file.read()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: name an image in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}") from None


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a named pipe without waiting for its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def record_of(path: str, data: bytes) -> FileRecord:
    """Return the record of a file with these bytes."""
    return FileRecord(path, hashlib.sha256(data).hexdigest(), len(data))


def make_folders(top: Path, folder: Path) -> None:
    """Make a folder below another, but never that itself: it may be a mount that has gone.

    Raises:
        ResourceError: It cannot be made.
    """
    missing = []
    while folder != top and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{folder} cannot be made: {error.strerror or error}") from None
