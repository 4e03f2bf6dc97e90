"""Brings a checkpoint into the cache: from its source or by hand, verified, ready to load."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from lkcfuse.errors import InputError, NotCachedError, WeightsError
from lkcfuse.models import hub
from lkcfuse.models.convert import check, convert
from lkcfuse.models.download import Received, Retries, download
from lkcfuse.models.entry import Entry
from lkcfuse.models.hashing import Progress, copy_hashed, sha256_of
from lkcfuse.models.install import finish, refusing, write_record
from lkcfuse.models.manifest import Notify
from lkcfuse.models.source import HubSource, PackagedSource, UrlSource
from lkcfuse.models.store import Store
from lkcfuse.models.transport import check_address, split_login
from lkcfuse.notes import Note

_TRUE = {"1", "ON", "YES", "TRUE"}


def is_offline(offline: bool = False) -> bool:
    """Tell whether the network is off: by the option, or by ``HF_HUB_OFFLINE``."""
    return offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE


def pull(
    entry: Entry,
    store: Store,
    *,
    notify: Notify,
    offline: bool = False,
    keep: bool = False,
    progress: Progress | None = None,
    retries: Retries | None = None,
) -> Path:
    """Return the file to load, fetched, verified and converted if it is not in the cache yet.

    Args:
        entry: Which checkpoint.
        store: The cache.
        notify: Told of notices, retries and waits.
        offline: Never touch the network.
        keep: Keep the source file beside the converted one.
        progress: Called with (done, total) bytes.
        retries: How to retry a download.

    Returns:
        A safetensors file that has just been verified.

    Raises:
        WeightsError: The source cannot be reached, is not what the manifest says, or is no
            LKC-FUNet; the refused file is set aside and the message says where.
        ResourceError: The cache cannot be written, or the disk is too small.
    """
    if isinstance(entry.source, PackagedSource):
        return _packaged(entry, store)
    # No lock for what is there: the cache may be one that others filled and we may only read.
    cached = store.path(entry)
    if cached is not None and store.problem(entry) is None:
        return cached
    places = store.places(entry)
    with store.locked(places.stem, notify):
        ready = _ready(entry, store, notify)
        if ready is not None:
            return ready
        if not _is_source(places.source, entry, store, notify):
            if isinstance(entry.source, HubSource):
                return _from_hub(entry, entry.source, store, is_offline(offline), notify, progress)
            if is_offline(offline):
                raise NotCachedError(offline_advice(entry, store))
            if entry.notice:
                notify(f"{entry.name}: {entry.notice}")
            _download(entry, entry.source, store, notify, progress, retries)
        return finish(entry, store, str(entry.source), keep, notify)


def import_file(
    entry: Entry,
    file: Path,
    store: Store,
    *,
    notify: Notify,
    keep: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Take a source file that was carried here by hand, with the same verification as a download.

    Args:
        entry: Which checkpoint the file is said to be.
        file: The file; it stays where it is.
        store: The cache.
        notify: Told of what is done.
        keep: Keep a copy of the source file beside the converted one.
        progress: Called with (done, total) bytes.

    Returns:
        The safetensors file to load.

    Raises:
        InputError: There is no such file.
        WeightsError: It is not the file the manifest describes, or is not an LKC-FUNet.
        ResourceError: The cache cannot be written, or the disk is too small.
    """
    if isinstance(entry.source, PackagedSource):
        raise WeightsError(f"weights '{entry.name}' come with lkcfuse: there is nothing to import")
    if not file.is_file():
        raise InputError(f"{file} is not a file: give the checkpoint that was fetched")
    size = file.stat().st_size
    if size != entry.bytes:
        raise WeightsError(
            f"{file} has {size} bytes where the manifest says {entry.bytes} for "
            f"'{entry.name}': it is a different file, or was cut off"
        )
    places = store.places(entry)
    with store.locked(places.stem, notify):
        ready = _ready(entry, store, notify)
        if ready is not None:
            notify(Note(f"{entry.name} is already in the cache"))
            return ready
        store.require_space(2 * size)
        with store.writing():
            sha256 = copy_hashed(file, places.download, progress=progress)
            if sha256 != entry.sha256:
                places.download.unlink()
                raise WeightsError(
                    f"{file} does not match the hash the manifest gives for '{entry.name}': "
                    "fetch it again"
                )
            places.download.replace(places.source)
        try:
            return finish(entry, store, str(file), keep, notify)
        except WeightsError as error:
            raise WeightsError(f"{file} is refused: {error}") from None


def offline_advice(entry: Entry, store: Store) -> str:
    """Say which file to bring, and where to put it, for an entry that must not be fetched."""
    if isinstance(entry.source, HubSource):
        address = hub.download_page(entry.source)
    else:
        address = str(entry.source)
    name = entry.source.file_name
    return (
        f"weights '{entry.name}' are not in the cache and the network is off: fetch {address} "
        f"({entry.bytes} bytes) elsewhere, then run 'lkcfuse weights import {name} --name "
        f"{entry.name}', or put the file at {store.places(entry).source}"
    )


def _packaged(entry: Entry, store: Store) -> Path:
    path, problem = store.path(entry), store.problem(entry)
    if path is None or problem is not None:
        raise WeightsError(f"{path} {problem}: install lkcfuse again")
    return path


def _ready(entry: Entry, store: Store, notify: Notify) -> Path | None:
    """Return the cached file if it is intact; a damaged one is set aside."""
    path = store.path(entry)
    if path is None:
        return None
    problem = store.problem(entry)
    if problem is None:
        return path
    with store.writing():
        store.places(entry).record.unlink(missing_ok=True)
    notify(f"{path} {problem}: set aside as {store.set_aside(path)}")
    return None


def _is_source(path: Path, entry: Entry, store: Store, notify: Notify) -> bool:
    """Tell whether the source is there: kept, left by an interruption, or put there by hand."""
    ready = store.places(entry).ready
    if path.suffix == ready.suffix and ready.is_file() and not path.exists():
        ready.replace(path)  # interrupted before it was recorded
    if not path.is_file():
        return False
    if path.stat().st_size == entry.bytes and sha256_of(path) == entry.sha256:
        return True
    notify(f"{path} is not what the manifest says: set aside as {store.set_aside(path)}")
    return False


def _download(
    entry: Entry,
    source: UrlSource,
    store: Store,
    notify: Notify,
    progress: Progress | None,
    retries: Retries | None,
) -> None:
    """Fetch the source file, verify its hash and give it its place."""
    url, login = split_login(_address(source))
    places = store.places(entry)
    partial = places.download
    here = partial.lstat().st_size if partial.is_file() else 0
    converted = 0 if places.suffix == ".safetensors" else entry.bytes
    store.require_space(max(0, entry.bytes - here) + converted)

    def receive() -> Received:
        with store.writing():
            return download(
                url,
                partial,
                entry.bytes,
                notify=notify,
                headers=login,
                progress=progress,
                retries=retries,
            )

    received = receive()
    if received.sha256 != entry.sha256 and received.resumed:
        # Two halves of two versions of the file: the whole of one may well be right.
        notify(f"{url}: the parts do not make the file of the manifest; fetching it anew")
        partial.unlink()
        received = receive()
    if received.sha256 != entry.sha256:
        aside = partial.with_name(f"{places.stem}{places.suffix}")
        partial.replace(aside)
        raise WeightsError(
            f"{url} does not match the hash the manifest gives for '{entry.name}': "
            f"refused, and set aside as {store.set_aside(aside)}"
        )
    with store.writing():
        partial.replace(places.source)


def _address(source: UrlSource) -> str:
    """Return where to ask for a file: at its source, or at the mirror under its bare name."""
    mirror = os.environ.get("LKCFUSE_MIRROR")
    if not mirror:
        return source.url
    check_address(mirror, source="LKCFUSE_MIRROR")
    return f"{mirror.rstrip('/')}/{quote(source.file_name)}"


def _from_hub(
    entry: Entry,
    source: HubSource,
    store: Store,
    offline: bool,
    notify: Notify,
    progress: Progress | None,
) -> Path:
    """Fetch through the Hub's cache; what needs no conversion is loaded from there."""
    if entry.notice and not offline:
        notify(f"{entry.name}: {entry.notice}")
    try:
        path = hub.fetch(source, offline=offline, notify=notify, progress=progress)
    except WeightsError:
        if offline:
            raise NotCachedError(offline_advice(entry, store)) from None
        raise
    if path.stat().st_size != entry.bytes or sha256_of(path) != entry.sha256:
        raise WeightsError(
            f"{source} is not the file the manifest describes as '{entry.name}': "
            f"refused, and set aside as {store.set_aside(path)}"
        )
    places = store.places(entry)
    if path.suffix == ".safetensors":
        with refusing(path, store):
            check(path, entry)
        return write_record(entry, store, str(source), path, entry.sha256)
    store.require_space(entry.bytes)
    with store.writing(), refusing(path, store):
        convert(path, places.ready, entry)
    return write_record(entry, store, str(source), places.ready)
