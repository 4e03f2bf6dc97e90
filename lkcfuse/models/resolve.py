"""From what the user names (nothing, a name, a file, an address on the Hub) to a file to load."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from lkcfuse.architectures.processing import Processing
from lkcfuse.errors import WeightsError
from lkcfuse.models import hub
from lkcfuse.models.entry import Entry
from lkcfuse.models.fetch import is_offline, pull
from lkcfuse.models.hashing import Progress, sha256_of
from lkcfuse.models.manifest import Manifest, Notify, load_manifest
from lkcfuse.models.metadata import read_processing
from lkcfuse.models.record import ModelRecord
from lkcfuse.models.source import PRETRAINED_FILE, SUFFIXES, is_hub_address, parse_hub_address
from lkcfuse.models.store import Store, expand_user
from lkcfuse.tasks import Task, get_task

_LOG = logging.getLogger(__name__)


def resolve(
    weights: str | os.PathLike[str] | None,
    task: str | Task,
    *,
    offline: bool = False,
    manifest: Manifest | str | os.PathLike[str] | None = None,
    notify: Notify | None = None,
    progress: Progress | None = None,
) -> ModelRecord:
    """Find the checkpoint to fuse with; fetch it if it is neither packaged nor cached.

    Args:
        weights: A name or alias of the manifest, ``hf://owner/repo/file@revision``, the path of a
            checkpoint or of a folder with a ``model.safetensors``, or None for the task's default,
            the first entry that lists the task.
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
        return _from_file(path, weights, task, manifest, notify)
    if isinstance(weights, str) and "://" in weights:
        _refuse_address(weights)
    entry = _entry(weights, task, manifest)
    if entry is None:
        path = _checkpoint_at(weights or "")
        return _from_file(path, path.name, task, manifest, notify)
    if task.name not in entry.tasks:
        made_for = ", ".join(entry.tasks)
        notify(f"weights '{entry.name}' were made for {made_for}, not for {task.name}")
    store = Store()
    path = pull(entry, store, offline=offline, notify=notify, progress=progress)
    record = store.record(entry)
    sha256 = entry.sha256 if record is None else record.sha256
    return ModelRecord(path, entry.name, sha256, task, entry.processing, entry)


def check_weights(
    weights: str | os.PathLike[str] | None,
    task: str | Task,
    manifest: Manifest | str | os.PathLike[str] | None = None,
) -> None:
    """Check that weights can be found, without reading or fetching them.

    Args:
        weights: As `resolve` takes them.
        task: The fusion task.
        manifest: As `resolve` takes it.

    Raises:
        UsageError: The task is unknown.
        WeightsError: No entry of the manifest has that name, and no checkpoint is there; or the
            manifest is not valid.
    """
    task = get_task(task)
    if weights is None and manifest is None:
        return
    if isinstance(weights, str) and is_hub_address(weights):
        parse_hub_address(weights)
        return
    if isinstance(weights, str) and "://" in weights:
        _refuse_address(weights)
    if not isinstance(manifest, Manifest):
        manifest = load_manifest(manifest)
    if _entry(weights, task, manifest) is None:
        _checkpoint_at(weights or "")


def _refuse_address(weights: str) -> NoReturn:
    raise WeightsError(
        f"'{weights}': a file at a bare address cannot be verified: add it to a manifest "
        "with its hash (--manifest), or download it and give its path"
    )


def _checkpoint_at(weights: str | os.PathLike[str]) -> Path:
    """Return the file at a path, or in the folder at it.

    Raises:
        WeightsError: It does not exist, or it is not a file.
    """
    path = expand_user(weights)
    try:
        if (path / PRETRAINED_FILE).is_file():
            path /= PRETRAINED_FILE
        if not path.is_file():
            problem = "is not a file" if path.exists() else "does not exist"
            raise WeightsError(
                f"{path} {problem}: give a checkpoint, or a name that 'lkcfuse weights list' shows"
            )
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    return path


def _entry(weights: str | os.PathLike[str] | None, task: Task, manifest: Manifest) -> Entry | None:
    """Return the entry that is meant, or None where a file is."""
    if weights is None:
        return manifest.default(task)
    if not isinstance(weights, str) or _is_path(weights):
        return None
    entry = manifest.find(weights, task)
    is_checkpoint = Path(weights).is_file() or (Path(weights) / PRETRAINED_FILE).is_file()
    if entry is None and not is_checkpoint:
        return manifest.get(weights)
    return entry


def _is_path(text: str) -> bool:
    """Tell a path from a name: by its suffix, or by a character that no name has."""
    return text.endswith(SUFFIXES) or any(mark in text for mark in ("/", "~", os.sep))


def _from_file(
    path: Path, name: str, task: Task, manifest: Manifest, notify: Notify
) -> ModelRecord:
    """Take a bare file: what it needs by its metadata, the entry of its hash, or its network."""
    sha256 = sha256_of(path)
    entry = manifest.by_sha256(sha256, task)
    processing = read_processing(path)
    if processing is None and entry is not None:
        processing = entry.processing
    if processing is None:
        # Importing torch takes a second, which only such a file costs.
        from lkcfuse.models.checkpoint import load_checkpoint

        processing = Processing()
        with suppress(WeightsError):  # who loads it is told what is wrong with it
            processing = load_checkpoint(path).architecture.processing(task.name)
        low, high = processing.input_range
        notify(
            f"{path} does not state its value ranges: assuming [{low:g}, {high:g}] for input "
            "and output"
        )
    return ModelRecord(path, name, sha256, task, processing, entry)
