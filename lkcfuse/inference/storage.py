"""Where feature maps live: in memory, or in a scratch file when memory is short.

A scratch file has no name (or goes with its last handle, on Windows), so nothing is left of it
however the process ends, `kill -9` included, and runs that share a folder cannot meet.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from io import FileIO
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from lkcfuse.errors import ResourceError
from lkcfuse.ops.regions import Region
from lkcfuse.ops.workspace import new_tensor, workspace


class MemoryMap:
    """A feature map in memory.

    Args:
        height: In pixels.
        width: In pixels.
        channels: Numbers a pixel.
        pool: Where the memory comes from.
        room: Channels to make room for, so that a later map can have the same memory.
    """

    def __init__(
        self, height: int, width: int, channels: int, pool: MemoryPool, room: int | None = None
    ) -> None:
        self.height, self.width, self.channels = height, width, channels
        self._pool = pool
        self._buffer = pool.take(height * width * (room or channels))
        self._values = self._buffer[: height * width * channels].view(height, width, channels)

    def read(self, region: Region) -> Tensor:
        """Return a view; see `FeatureMap.read`."""
        return self._values[region.top : region.bottom, region.left : region.right]

    def writing(self, region: Region) -> AbstractContextManager[Tensor]:
        """Give a view: what is put into it is in the map; see `FeatureMap.writing`."""
        return nullcontext(self.read(region))

    def narrowed(self, channels: int) -> MemoryMap:
        """See `FeatureMap.narrowed`."""
        narrow = copy(self)
        narrow.channels = channels
        rows = self._values.view(self.height, -1)[:, : self.width * channels]
        narrow._values = rows.view(self.height, self.width, channels)
        return narrow

    def release(self) -> None:
        """Hand the memory to the next map."""
        self._pool.give(self._buffer)


class MemoryPool:
    """Float32 buffers handed from map to map, so that the system need not zero them anew.

    Attributes:
        slack: How many times larger a buffer may be than what is asked for. Where there is memory
            for it, it is as large as the widest map of a network is to the others: the maps of a
            level can then have one another's buffers, and a second image finds all it needs.
    """

    def __init__(self) -> None:
        self.slack = 1.0
        self._free: list[Tensor] = []

    def take(self, size: int) -> Tensor:
        """Return a buffer of at least that many floats."""
        largest = size * self.slack
        fitting = [buffer for buffer in self._free if size <= buffer.numel() <= largest]
        if fitting:
            best = min(fitting, key=torch.numel)
            self._free = [buffer for buffer in self._free if buffer is not best]
            return best
        # Free buffers of about this size were of no use, and would come on top of the new one.
        self._free = [buffer for buffer in self._free if not size / 2 <= buffer.numel() <= 2 * size]
        return new_tensor(size)

    def give(self, buffer: Tensor) -> None:
        """Take a buffer back."""
        self._free.append(buffer)

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers that no map has."""
        return sum(buffer.nbytes for buffer in self._free)

    def clear(self) -> None:
        """Return the memory to the system."""
        self._free.clear()


class ScratchMap:
    """A feature map in a scratch file.

    It is read and written, never mapped into memory: mapped pages would count as the process's
    own, and a full disk would be a fatal signal where it is an error here.
    """

    def __init__(
        self, shape: tuple[int, int, int], file: FileIO, scratch: Scratch, name: str
    ) -> None:
        self.height, self.width, self.channels = shape
        self._file = file
        self._scratch = scratch
        self._dtype = scratch.dtype
        self._line_bytes = self.width * self.channels * self._dtype.itemsize
        self._name = name

    def read(self, region: Region) -> Tensor:
        """Read a region from the file; see `FeatureMap.read`."""
        shape = (region.height, region.width, self.channels)
        values = workspace.take(f"scratch {self._name}", *shape)
        raw = values if self._dtype == torch.float32 else torch.empty(shape, dtype=self._dtype)
        for rows, offset in self._pieces(region):
            _read_exactly(self._file, _bytes(raw[rows]), offset)
        if raw is not values:
            values.copy_(raw)
        return values

    @contextmanager
    def writing(self, region: Region) -> Iterator[Tensor]:
        """Give a buffer, and write it to the file; see `FeatureMap.writing`."""
        values = workspace.take("scratch to write", region.height, region.width, self.channels)
        yield values
        raw = values.to(self._dtype)
        try:
            for rows, offset in self._pieces(region):
                _write_exactly(self._file, _bytes(raw[rows]), offset)
        except OSError as error:
            raise _disk_error(self._scratch.folder, raw.nbytes, error) from error
        if self._scratch.write_out and region.width == self.width:
            _write_out_soon(self._file, offset, raw.nbytes)

    def narrowed(self, channels: int) -> ScratchMap:
        """See `FeatureMap.narrowed`."""
        narrow = copy(self)
        narrow.channels = channels
        return narrow

    def release(self) -> None:
        """Hand the file to the next map."""
        self._scratch.give(self._file)

    def _pieces(self, region: Region) -> list[tuple[slice, int]]:
        """Runs of rows that lie in one piece in the file, each with its place there."""
        pixel, line = self.channels * self._dtype.itemsize, self._line_bytes
        start = region.top * line + region.left * pixel
        if region.width * pixel == line:
            return [(slice(0, region.height), start)]
        return [(slice(row, row + 1), start + row * line) for row in range(region.height)]


class Scratch:
    """A folder that scratch files are made in; a context that closes them all.

    Args:
        folder: Where; None for the system's folder for temporary files.
        dtype: What numbers are stored as.
        write_out: Whether to have the system write to the disk all along. It costs time, and is
            for more than the system holds back: see `_write_out_soon`.

    Files are handed from map to map: writing anew what a file has held already is many times
    faster than the first writing, which has the file system find the room.
    """

    def __init__(
        self,
        folder: Path | None,
        dtype: torch.dtype = torch.float32,
        *,
        write_out: bool = True,
    ) -> None:
        self._asked = folder
        self.dtype = dtype
        self.write_out = write_out
        self._files = contextlib.ExitStack()
        self._free: list[FileIO] = []

    @property
    def folder(self) -> Path:
        """Where the files are made: looked for when the first is, since most images need none.

        Raises:
            ResourceError: None was named, and the system has no temporary folder that can be used.
        """
        try:
            return Path(self._asked or tempfile.gettempdir())
        except OSError:
            raise ResourceError(
                "no temporary folder can be written to: name one with --scratch or TMPDIR"
            ) from None

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()

    def check(self, size: int) -> None:
        """Make sure that the folder exists and has room.

        Raises:
            ResourceError: It does not exist, or has less than `size` bytes free.
        """
        if not self.folder.is_dir():
            raise ResourceError(
                f"{self.folder}: the scratch folder does not exist; make it or name another "
                "with --scratch"
            )
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise ResourceError(
                f"{self.folder}: {size / 1e9:.1f} GB of scratch space are needed and "
                f"{free / 1e9:.1f} GB are free; name another folder with --scratch"
            )

    def new_map(self, height: int, width: int, channels: int, name: str) -> ScratchMap:
        """Make a map in a new file, its space reserved.

        Raises:
            ResourceError: The disk is full or the folder cannot be written to.
        """
        size = height * width * channels * self.dtype.itemsize
        try:
            file = self._largest_free() or self._new_file()
            if _size(file) > 2 * size:
                file.truncate(size)
            _reserve(file, size)
        except OSError as error:
            raise _disk_error(self.folder, size, error) from error
        return ScratchMap((height, width, channels), file, self, name)

    def give(self, file: FileIO) -> None:
        """Take back the file of a map that is no longer needed."""
        self._free.append(file)

    def _new_file(self) -> FileIO:
        file = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
        return self._files.enter_context(file)

    def _largest_free(self) -> FileIO | None:
        """The largest file that no map has; the others are closed, and with that removed.

        So never more lies on the disk than maps that are alive at one time take.
        """
        free, self._free = sorted(self._free, key=_size), []
        for file in free[:-1]:
            file.close()
        return free[-1] if free else None


def _size(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _reserve(file: FileIO, size: int) -> None:
    """Have the file system set room aside now, so that a full disk shows before the work."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    elif _size(file) < size:
        file.truncate(size)


def _write_out_soon(file: FileIO, offset: int, size: int) -> None:
    """Have the system begin to write a part of a file to the disk.

    Left to itself it gathers some gigabytes first and then makes the writer wait for them. But what
    is written it forgets, and has to find room for anew.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), offset, size, os.POSIX_FADV_DONTNEED)


def _disk_error(folder: Path, size: int, error: OSError) -> ResourceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError(
            f"{folder}: the disk has no room for {size / 1e9:.1f} GB of scratch; name another "
            "folder with --scratch"
        )
    return ResourceError(
        f"{folder}: scratch cannot be written there ({error.strerror}); name another folder "
        "with --scratch"
    )


def _bytes(values: Tensor) -> memoryview:
    """The memory of a contiguous tensor, as bytes."""
    return values.view(torch.uint8).numpy().reshape(-1).data


def _read_exactly(file: FileIO, target: memoryview, offset: int) -> None:
    done = 0
    while done < len(target):
        count = _read_at(file, target[done:], offset + done)
        if not count:
            raise ResourceError("a scratch file is shorter than it was made")
        done += count


def _write_exactly(file: FileIO, source: memoryview, offset: int) -> None:
    done = 0
    while done < len(source):
        done += _write_at(file, source[done:], offset + done)


# Threads share a file, so its position cannot be relied on.
if hasattr(os, "preadv"):

    def _read_at(file: FileIO, target: memoryview, offset: int) -> int:
        return os.preadv(file.fileno(), [target], offset)

    def _write_at(file: FileIO, source: memoryview, offset: int) -> int:
        return os.pwrite(file.fileno(), source, offset)

else:
    _POSITION = threading.Lock()

    def _read_at(file: FileIO, target: memoryview, offset: int) -> int:
        with _POSITION:
            file.seek(offset)
            return file.readinto(target) or 0

    def _write_at(file: FileIO, source: memoryview, offset: int) -> int:
        with _POSITION:
            file.seek(offset)
            return file.write(source) or 0
