"""The cache of checkpoints: which files there are, in which state, and how they are kept apart.

Every file of an entry is called after the entry's name and the first digits of its source's hash,
so that two manifests that give one name to two files do not fight over the cache, and no name
from a server or a source reaches the disk. `<stem>` being that name::

    <stem>.safetensors        the file to load
    <stem>.json               its record; written last, so a file without one is not ready
    <stem>.source.pth         the source, between download and conversion, or for good if kept
    <stem>.download[.json]    an unfinished download, and the server's validator
    <stem>.lock               held by the process that fetches or removes
    rejected/                 files that were refused
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from lkcfuse.atomic import temporary_name
from lkcfuse.errors import ResourceError, WeightsError
from lkcfuse.models.entry import Entry
from lkcfuse.models.hashing import Progress, sha256_of
from lkcfuse.models.manifest import Notify
from lkcfuse.models.sidecar import Record
from lkcfuse.models.source import PackagedSource
from lkcfuse.notes import Note

#: A file of the cache, or what `atomic_write` calls one that is not whole yet.
_STEM = re.compile(
    r"(?:\.lkcfuse-|\.)?(?P<stem>(?P<name>[a-z0-9][a-z0-9._-]*?)-[0-9a-f]{12})\.[\w.]+"
    r"(?:-[0-9a-f]{12}\.tmp)?"
)
#: Room left on the disk beside what is about to be written.
_MARGIN = 16 << 20

PACKAGED, CACHED, PARTIAL, REMOTE = "packaged", "cached", "partial", "remote"


def cache_folder() -> Path:
    """Return the user's cache: ``LKCFUSE_CACHE``, or the system's place for such."""
    chosen = os.environ.get("LKCFUSE_CACHE")
    if chosen:
        return expand_user(chosen).absolute()
    return platformdirs.user_cache_path("lkcfuse", appauthor=False)


def expand_user(path: str | os.PathLike[str]) -> Path:
    """Return a path with `~` in its place; one of a user that is unknown stays as it is."""
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def packaged_path(source: PackagedSource) -> Path:
    """Return where a packaged file stands in this installation."""
    return Path(__file__).resolve().parent / "files" / source.file


@dataclass(frozen=True)
class Places:
    """The paths of one entry's files in the cache."""

    folder: Path
    stem: str
    suffix: str

    @property
    def ready(self) -> Path:
        """The file to load."""
        return self.folder / f"{self.stem}.safetensors"

    @property
    def record(self) -> Path:
        """The sidecar."""
        return self.folder / f"{self.stem}.json"

    @property
    def source(self) -> Path:
        """The source file, where it has to be converted."""
        return self.folder / f"{self.stem}.source{self.suffix}"

    @property
    def download(self) -> Path:
        """The unfinished download."""
        return self.folder / f"{self.stem}.download"


class Store:
    """The cached checkpoints of this user.

    Args:
        folder: Where they are; ``weights`` in the user's cache if left out.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = cache_folder() / "weights" if folder is None else folder

    def places(self, entry: Entry) -> Places:
        """Return the paths of an entry's files, whether they exist or not."""
        stem = f"{entry.name}-{entry.sha256[:12]}"
        return Places(self.folder, stem, Path(entry.source.file_name).suffix)

    def record(self, entry: Entry) -> Record | None:
        """Return the record of a cached entry; None if there is none for this very source."""
        record = _read_record(self.places(entry).record)
        return record if record is not None and record.source_sha256 == entry.sha256 else None

    def path(self, entry: Entry) -> Path | None:
        """Return the file of an entry that is ready to use, without looking inside it."""
        if isinstance(entry.source, PackagedSource):
            return packaged_path(entry.source)
        record = self.record(entry)
        if record is None:
            return None
        path = self.folder / record.file
        return path if path.is_file() else None

    def state(self, entry: Entry) -> str:
        """Return where an entry stands: packaged, cached, partial (a download) or remote."""
        if isinstance(entry.source, PackagedSource):
            return PACKAGED
        if self.path(entry) is not None:
            return CACHED
        places = self.places(entry)
        return PARTIAL if places.download.exists() or places.source.exists() else REMOTE

    def problem(self, entry: Entry, *, progress: Progress | None = None) -> str | None:
        """Hash the file of an entry that is ready to use; return what is wrong with it, if so."""
        path = self.path(entry)
        record = self.record(entry)
        if path is None or not path.is_file():
            return "is missing"
        if isinstance(entry.source, PackagedSource):
            return _difference(path, entry.bytes, entry.sha256, progress)
        assert record is not None
        return _difference(path, record.bytes, record.sha256, progress)

    def leftovers(self, places: Places) -> Iterator[Path]:
        """Yield what a process that was killed has left of an entry's files, half written.

        Under the entry's lock there is no other process whose they could be.
        """
        yield from self.folder.glob(f".{places.stem}.*.part")
        yield from self.folder.glob(temporary_name(places.ready.name, "*"))

    def records(self) -> Iterator[tuple[Path, Record]]:
        """Yield every record of the cache and its path, whichever manifest it came from."""
        for path in sorted(self.folder.glob("*.json")):
            record = _read_record(path)
            if record is not None:
                yield path, record

    def verify(self, path: Path, record: Record, *, progress: Progress | None = None) -> str | None:
        """Hash a recorded file, and its source if that was kept; set aside what is damaged.

        Returns:
            What is wrong, or None.
        """
        file = self.folder / record.file
        problem = (
            _difference(file, record.bytes, record.sha256, progress)
            if file.is_file()
            else "is missing"
        )
        if problem is not None:
            with self.writing():
                path.unlink(missing_ok=True)
            return f"{file} {problem}{self._put_away(file)}"
        for source in self.folder.glob(f"{path.stem}.source.*"):
            problem = _difference(source, record.source_bytes, record.source_sha256, progress)
            if problem is not None:
                return f"{source} {problem}{self._put_away(source)}"
        return None

    def set_aside(self, path: Path) -> Path:
        """Move a refused file out of the way, over an earlier one, and return where it is now.

        A file of the Hub's cache is moved from behind its link, so that the Hub fetches it anew. No
        link is followed that leads elsewhere: what is behind it is not ours to move.
        """
        target = path.resolve() if _is_hub_link(path) else path
        aside = self.folder / "rejected" / path.name
        with self.writing():
            aside.parent.mkdir(parents=True, exist_ok=True)
            if aside.parent.is_symlink():
                raise OSError(errno.ELOOP, "it is a link: remove it", str(aside.parent))
            aside.unlink(missing_ok=True)
            shutil.move(target, aside)
            if target != path:
                path.unlink(missing_ok=True)
        return aside

    def remove(self, name: str) -> int:
        """Remove everything cached under a name, of whatever source; return the bytes freed.

        Args:
            name: An entry's name, or ``all`` for the whole cache, the refused files included.
        """
        if not self.folder.is_dir():
            return 0
        stems: dict[str, list[Path]] = {}
        for path in self.folder.iterdir():
            match = _STEM.fullmatch(path.name)
            if match is not None and name in ("all", match["name"]):
                stems.setdefault(match["stem"], []).append(path)
        freed = 0
        for stem, paths in stems.items():
            with self.locked(stem), self.writing():
                # The record goes first: a file without one is not ready, so none is left half gone.
                for path in sorted(paths, key=lambda path: path.suffix != ".json"):
                    if path.suffix != ".lock" and path.exists():
                        freed += path.stat().st_size
                        path.unlink()
        if name == "all" and (self.folder / "rejected").is_dir():
            freed += sum(path.stat().st_size for path in (self.folder / "rejected").iterdir())
            shutil.rmtree(self.folder / "rejected")
        return freed

    @contextmanager
    def locked(self, stem: str, notify: Notify | None = None) -> Iterator[None]:
        """Keep other processes from an entry's files; wait for one that is at work on them."""
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / f"{stem}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if notify is not None:
                    notify(Note(f"another process is using {stem}: waiting for it"))
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def require_space(self, needed: int) -> None:
        """Check that the disk has room.

        Raises:
            ResourceError: It has not.
        """
        with self.writing():
            free = shutil.disk_usage(self.folder).free
        if free < needed + _MARGIN:
            raise ResourceError(
                f"{self.folder}: {(needed + _MARGIN) / 1e6:.0f} MB are needed and {free / 1e6:.0f} "
                "MB free: make room, or set LKCFUSE_CACHE to a folder on another disk"
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn a failure to write the cache into an error that says what to do."""
        try:
            yield
        except OSError as error:
            place = error.filename or self.folder
            raise ResourceError(
                f"{place}: cannot be written ({error.strerror or error}): "
                "make room, or set LKCFUSE_CACHE to another folder"
            ) from error

    def _put_away(self, path: Path) -> str:
        return f"; set aside as {self.set_aside(path)}" if path.is_file() else ""


def _is_hub_link(path: Path) -> bool:
    """Whether it is a link of the Hub's cache: from a snapshot of a repository to its blobs."""
    if not path.is_symlink():
        return False
    blobs = path.resolve().parent
    return blobs.name == "blobs" and blobs.parent / "snapshots" in path.absolute().parents


def _read_record(path: Path) -> Record | None:
    """Return a record; one that cannot be read counts as none, for the file is fetched anew."""
    try:
        return Record.read(path)
    except (OSError, ValueError, WeightsError):
        return None


def _difference(path: Path, size: int, sha256: str, progress: Progress | None) -> str | None:
    found = path.stat().st_size
    if found != size:
        return f"has {found} bytes instead of {size}"
    if sha256_of(path, progress=progress) != sha256:
        return "does not match its hash"
    return None
