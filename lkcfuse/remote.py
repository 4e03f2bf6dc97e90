"""Objects at URLs, `s3://bucket/folder/x.png`: the only module that knows fsspec.

A `RemotePath` has those methods of `pathlib.Path` that a batch needs, and raises the same errors,
so that most code takes either. An object appears whole or not at all when it is written.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from lkcfuse.errors import ResourceError, UsageError

_STORES = ("s3", "s3a", "gs", "gcs")
"""Schemes of URLs that can be used: stores that write an object whole, and a new one for one alone
of those who try at a time. A batch rests on both."""

# Of an object that is read in parts, this much is fetched at a time.
_BLOCK_BYTES = 1 << 16

# How the stores' libraries say what a user can mend, by a part of their words, and the cure.
_CURES = {
    "unable to locate credentials": "run 'aws configure', or set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY",
    "default credentials": "run 'gcloud auth application-default login'",
    "bucket does not exist": "check the URL, or make the bucket",
    "not connect to": "check the network, and AWS_ENDPOINT_URL for a store that is not Amazon's",
    "anonymous caller": "run 'gcloud auth application-default login'",
    "denied": "ask for the right to list, read and write there",
    "forbidden": "check the credentials, and their right to list, read and write there",
}


@dataclass(frozen=True, slots=True)
class RemotePath:
    """An object, or what stands for a folder of them.

    Attributes:
        url: Its URL, without a `/` at the end.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, other: str | PurePosixPath) -> RemotePath:
        return RemotePath(f"{self.url}/{other}")

    @property
    def name(self) -> str:
        """The last part; the bucket's for a bucket."""
        return self.url.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The last part's suffix with its dot, or nothing."""
        return PurePosixPath(self.name).suffix

    @property
    def parents(self) -> tuple[RemotePath, ...]:
        """The folders it is in, the nearest first, down to the bucket."""
        scheme, _, path = self.url.partition("://")
        parts = path.split("/")
        return tuple(
            RemotePath(f"{scheme}://{'/'.join(parts[:count])}")
            for count in range(len(parts) - 1, 0, -1)
        )

    @property
    def parent(self) -> RemotePath:
        """The folder it is in."""
        return self.parents[0]

    def absolute(self) -> RemotePath:
        """Return it: a URL depends on no working folder."""
        return self

    def read_bytes(self) -> bytes:
        """Return the object's bytes.

        Raises:
            OSError: As `Path.read_bytes`.
        """
        with _as_os_errors():
            data: bytes = self._system().cat_file(self.url)
        return data

    def open(self) -> BinaryIO:
        """Open the object to read parts of it.

        Raises:
            OSError: As `Path.open`.
        """
        with _as_os_errors():
            file: BinaryIO = self._system().open(self.url, "rb", block_size=_BLOCK_BYTES)
        return file

    def write_bytes(self, data: bytes, *, new: bool = False) -> None:
        """Write the object.

        Args:
            data: Its bytes.
            new: It must not exist; the store decides that between two who write it at a time.

        Raises:
            FileExistsError: It does, and `new` is true.
            OSError: It cannot be written.
        """
        with _as_os_errors():
            self._system().pipe_file(self.url, data, mode="create" if new else "overwrite")

    def unlink(self) -> None:
        """Remove the object, if it is there."""
        with _as_os_errors(), suppress(FileNotFoundError):
            self._system().rm_file(self.url)

    def exists(self) -> bool:
        """Whether there is such an object."""
        with _as_os_errors():
            return bool(self._system().isfile(self.url))

    def size(self) -> int:
        """Return its length in bytes.

        Raises:
            OSError: As `Path.stat`.
        """
        with _as_os_errors():
            return int(self._system().size(self.url))

    def find(self) -> list[RemotePath]:
        """Return all objects below, in order.

        Raises:
            OSError: The store cannot be reached, or has no such bucket.
        """
        system = self._system()
        with _as_os_errors():
            found = system.find(self.url)
        top = system._strip_protocol(self.url)
        return [self / path[len(top) + 1 :] for path in sorted(found) if path != top]

    def _system(self) -> Any:
        """Return fsspec's file system for the URL."""
        # What goes wrong is raised, and said once.
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
        try:
            from fsspec.core import url_to_fs

            # Others write there too: what was listed before may be out of date.
            return url_to_fs(self.url, use_listings_cache=False)[0]
        except ImportError:
            scheme = self.url.partition("://")[0]
            raise ResourceError(
                f"{self.url} cannot be reached: what {scheme}:// needs is not installed (pip "
                "install 'lkcfuse[remote]')"
            ) from None
        except ValueError as error:
            raise UsageError(f"{self.url} cannot be used as a URL: {error}") from None


Location = Path | RemotePath
"""Where something is: on a file system of this machine, or at a URL."""


def as_location(word: str | Path) -> Location:
    """Return what a user's word stands for: a URL's object or folder, or a path.

    Raises:
        UsageError: It is a URL of no store that is known, or names no bucket.
    """
    text = str(word)
    if not is_url(text):
        return Path(text)
    if text.lower().startswith("file:"):
        return Path(unquote(urlsplit(text).path))
    scheme, _, path = text.partition("://")
    if scheme.lower() not in _STORES:
        raise UsageError(f"{text} cannot be used: give a path, or an s3:// or gs:// URL")
    if not path.partition("/")[0]:
        raise UsageError(f"{text} names no bucket: give {scheme}://BUCKET/FOLDER")
    return RemotePath(text.rstrip("/"))


def is_url(text: str) -> bool:
    """Whether a word is a URL, and no path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def relative_to(path: Location, folder: Location) -> PurePosixPath:
    """Return a path below a folder, relative to it.

    Raises:
        ValueError: It is not below it.
    """
    if isinstance(path, Path) and isinstance(folder, Path):
        return PurePosixPath(path.relative_to(folder).as_posix())
    start, text = f"{folder}/", str(path)
    if not text.startswith(start):
        raise ValueError(f"{path} is not below {folder}")
    return PurePosixPath(text[len(start) :])


def read_objects(paths: Sequence[RemotePath]) -> list[bytes]:
    """Return the bytes of several objects of one store, read side by side.

    Raises:
        OSError: One cannot be read.
    """
    if not paths:
        return []
    system = paths[0]._system()
    with _as_os_errors():
        found = system.cat([path.url for path in paths], on_error="raise")
    if isinstance(found, bytes):  # of one alone
        return [found]
    return [found[system._strip_protocol(path.url)] for path in paths]


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn what stores raise into OSError, with the cure where one is known."""
    try:
        yield
    except (FileExistsError, ResourceError, UsageError):
        raise
    except ImportError as error:
        raise ResourceError(f"{error}: pip install 'lkcfuse[remote]'") from None
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else OSError
        raise kind(f"{text}: {cure}" if (cure := _cure(text)) else text) from error


def _cure(text: str) -> str | None:
    """Return what a user can do about what a store said, where that is known."""
    return next((cure for words, cure in _CURES.items() if words in text.lower()), None)
