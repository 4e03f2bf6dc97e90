"""Files at names that others may have taken: in a cache or an output folder that several share.

Whoever may write to a folder can put a link there in the place of a file of ours, and what we write
would land behind it. So such files are opened without following links, and nothing but a regular
file is taken.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file, and nothing else that has its name.

    Args:
        path: The file.
        flags: As `os.open` takes them, without `O_TRUNC`.

    Returns:
        A descriptor, to be closed.

    Raises:
        OSError: It is a link, a pipe, a device or a folder, it does not exist, or it cannot be
            opened.
    """
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    if path.is_symlink():  # where a system cannot be told not to follow one
        raise OSError(errno.ELOOP, "it is a link, which others may have put there", str(path))
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return descriptor


def open_own(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file that belongs to this user and has no other name; see `open_plain`.

    Raises:
        OSError: As `open_plain`; or it is somebody else's.
    """
    descriptor = open_plain(path, flags)
    about = os.fstat(descriptor)
    if (hasattr(os, "geteuid") and about.st_uid != os.geteuid()) or about.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EPERM, "it belongs to somebody else", str(path))
    return descriptor


def create(path: Path) -> int:
    """Make a new file in the place of whatever has its name, and open it for writing.

    A link is removed, not followed.

    Raises:
        OSError: It cannot be made, or is a folder.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    return os.open(path, flags, 0o666)


def read_plain(path: Path) -> bytes:
    """Return the bytes of a regular file; see `open_plain`."""
    with os.fdopen(open_plain(path), "rb") as file:
        return file.read()


def write_new(path: Path, data: bytes) -> None:
    """Write a new file in the place of whatever has its name; see `create`."""
    with os.fdopen(create(path), "wb") as file:
        file.write(data)
