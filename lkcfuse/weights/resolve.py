"""From what the user names (nothing, a name, a file, an address on the Hub) to a file to load."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from lkcfuse.errors import WeightsError
from lkcfuse.tasks import Task, get_task
from lkcfuse.weights import hub
from lkcfuse.weights.entry import SECOND_FIRST, Entry
from lkcfuse.weights.fetch import is_offline, pull
from lkcfuse.weights.hashing import Progress, sha256_of
from lkcfuse.weights.manifest import Manifest, Notify, load_manifest
from lkcfuse.weights.metadata import Feed, read_feed
from lkcfuse.weights.source import SUFFIXES, is_hub_address, parse_hub_address
from lkcfuse.weights.store import Store, expand_user

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResolvedWeights:
    """A checkpoint on disk, verified, with what is needed to feed it.

    Attributes:
        path: The file to load.
        entry: The manifest's entry, or None for a file the manifest does not know.
        name: The entry's name, or the file's.
        sha256: Hash of the file at `path`.
        input_range: Values that stand for black and white in the network's input.
        output_range: Values that stand for black and white in its output.
        channel_order: Which source is channel 0 and which is channel 1.
    """

    path: Path
    entry: Entry | None
    name: str
    sha256: str
    input_range: tuple[float, float]
    output_range: tuple[float, float]
    channel_order: tuple[str, ...] = SECOND_FIRST


def resolve(
    weights: str | os.PathLike[str] | None,
    task: str | Task,
    *,
    offline: bool = False,
    manifest: Manifest | str | os.PathLike[str] | None = None,
    notify: Notify | None = None,
    progress: Progress | None = None,
) -> ResolvedWeights:
    """Find the checkpoint to fuse with; fetch it if it is neither packaged nor cached.

    Args:
        weights: A name or alias of the manifest, ``hf://owner/repo/file@revision``, the path of a
            checkpoint, or None for the task's default, the first entry that lists the task.
        task: The fusion task; it picks the default and decides between entries of one alias.
        offline: Never touch the network; ``HF_HUB_OFFLINE=1`` does the same.
        manifest: A manifest already read, or the path of one to merge over the built-in one.
        notify: Told in one line what the user should know: an override, an assumed value range.
            Left out, such lines are logged as warnings.
        progress: Called with (done, total) bytes while a file is fetched.

    Returns:
        A file whose hash has just been verified, where the manifest knows one.

    Raises:
        UsageError: The task is unknown.
        WeightsError: The weights are unknown, missing, unreachable or damaged.
        ResourceError: The cache cannot be written.
    """
    task = get_task(task)
    notify = notify or _LOG.warning
    if not isinstance(manifest, Manifest):
        manifest = load_manifest(manifest, notify=notify)
    if isinstance(weights, str) and is_hub_address(weights):
        source = parse_hub_address(weights)
        path = hub.fetch(source, offline=is_offline(offline), notify=notify, progress=progress)
        return _from_file(path, weights, manifest, notify)
    if isinstance(weights, str) and "://" in weights:
        raise WeightsError(
            f"'{weights}': nothing would verify a file from a bare address: name it, with its "
            "hash, in a manifest (see --manifest), or fetch it and give its path"
        )
    entry = _entry(weights, task, manifest)
    if entry is None:
        path = expand_user(weights or "")
        return _from_file(path, path.name, manifest, notify)
    if task.name not in entry.tasks:
        made_for = ", ".join(entry.tasks)
        notify(f"weights '{entry.name}' were made for {made_for}, not for {task.name}")
    store = Store()
    path = pull(entry, store, offline=offline, notify=notify, progress=progress)
    record = store.record(entry)
    sha256 = entry.sha256 if record is None else record.sha256
    return _resolved(path, entry, entry.name, sha256, Feed.of(entry))


def _entry(weights: str | os.PathLike[str] | None, task: Task, manifest: Manifest) -> Entry | None:
    """Return the entry that is meant, or None where a file is."""
    if weights is None:
        return manifest.default(task)
    if not isinstance(weights, str) or _is_path(weights):
        return None
    entry = manifest.find(weights, task)
    if entry is None and not Path(weights).is_file():
        return manifest.get(weights)
    return entry


def _is_path(text: str) -> bool:
    """Tell a path from a name: by its suffix, or by a character that no name has."""
    return text.endswith(SUFFIXES) or any(mark in text for mark in ("/", "~", os.sep))


def _from_file(path: Path, name: str, manifest: Manifest, notify: Notify) -> ResolvedWeights:
    """Take a bare file: its ranges from its metadata, else from the entry of its hash."""
    try:
        if not path.is_file():
            problem = "is not a file" if path.exists() else "does not exist"
            raise WeightsError(
                f"{path} {problem}: give a checkpoint, or a name that 'lkcfuse weights list' shows"
            )
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    sha256 = sha256_of(path)
    entry = manifest.by_sha256(sha256)
    feed = read_feed(path)
    if feed is None and entry is not None:
        feed = Feed.of(entry)
    if feed is None:
        feed = Feed()
        notify(f"{path} does not say its value ranges: taking [0, 1] for input and output")
    return _resolved(path, entry, name, sha256, feed)


def _resolved(
    path: Path, entry: Entry | None, name: str, sha256: str, feed: Feed
) -> ResolvedWeights:
    return ResolvedWeights(
        path, entry, name, sha256, feed.input_range, feed.output_range, feed.channel_order
    )
