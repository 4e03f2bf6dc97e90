"""Makes the file to load out of a verified source, and records it as ready."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lkcfuse.errors import WeightsError
from lkcfuse.models.convert import check, convert
from lkcfuse.models.entry import Entry
from lkcfuse.models.hashing import sha256_of
from lkcfuse.models.manifest import Notify
from lkcfuse.models.sidecar import Record
from lkcfuse.models.store import Store
from lkcfuse.notes import Note


def finish(entry: Entry, store: Store, origin: str, keep: bool, notify: Notify) -> Path:
    """Check the tensors of a verified source, make the file to load of it, and record it.

    Args:
        entry: Which checkpoint.
        store: The cache; the entry's lock is held.
        origin: Where the source came from, in words.
        keep: Keep the source beside the converted file.
        notify: Told of what is done.

    Raises:
        WeightsError: The source is refused, and set aside.
    """
    places = store.places(entry)
    for leftover in store.leftovers(places):
        leftover.unlink()  # of a conversion that was killed
    if places.suffix == ".safetensors":
        with refusing(places.source, store):
            check(places.source, entry)
        with store.writing():
            places.source.replace(places.ready)
        return write_record(entry, store, origin, places.ready, entry.sha256)
    notify(Note(f"{entry.name}: converting to safetensors"))
    with store.writing(), refusing(places.source, store):
        convert(places.source, places.ready, entry)
    path = write_record(entry, store, origin, places.ready)
    if not keep:
        places.source.unlink()
    return path


def write_record(
    entry: Entry, store: Store, origin: str, path: Path, sha256: str | None = None
) -> Path:
    """Record a file as ready to load, and return it.

    Args:
        entry: Which checkpoint.
        store: The cache.
        origin: Where the source came from, in words.
        path: The file to load.
        sha256: Its hash, if known.
    """
    places = store.places(entry)
    own = path.parent == places.folder
    with store.writing():
        Record(
            name=entry.name,
            source=origin,
            source_sha256=entry.sha256,
            source_bytes=entry.bytes,
            file=path.name if own else str(path.absolute()),
            sha256=sha256 or sha256_of(path),
            bytes=path.stat().st_size,
        ).write(places.record)
    return path


@contextmanager
def refusing(path: Path, store: Store) -> Iterator[None]:
    """Set aside a file whose tensors are refused."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{error}; set aside as {store.set_aside(path)}") from None
