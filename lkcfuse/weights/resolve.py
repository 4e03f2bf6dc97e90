"""From what the user names (nothing, a name, a file, an address on the Hub) to a file to load."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from lkcfuse.errors import WeightsError
from lkcfuse.tasks import Task, get_task
from lkcfuse.weights.entry import SECOND_FIRST, Entry
from lkcfuse.weights.hashing import sha256_of
from lkcfuse.weights.manifest import Manifest, Notify, load_manifest
from lkcfuse.weights.source import SUFFIXES, PackagedSource, is_hub_address

_LOG = logging.getLogger(__name__)
_UNIT_RANGE = (0.0, 1.0)


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
    sha256: str | None
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
) -> ResolvedWeights:
    """Find the checkpoint to fuse with.

    Args:
        weights: A name or alias of the manifest, the path of a checkpoint, or None for the task's
            default, which is the first entry that lists the task.
        task: The fusion task; it picks the default and decides between entries of one alias.
        offline: Never touch the network.
        manifest: A manifest already read, or the path of one to merge over the built-in one.
        notify: Told in one line what the user should know: an override, an assumed value range.
            Left out, such lines are logged as warnings.

    Raises:
        UsageError: The task is unknown.
        WeightsError: The weights are unknown, missing or damaged.
    """
    del offline  # nothing is fetched yet
    task = get_task(task)
    notify = notify or _LOG.warning
    if not isinstance(manifest, Manifest):
        manifest = load_manifest(manifest, notify=notify)
    if weights is None:
        return _from_entry(manifest.default(task))
    if isinstance(weights, str) and not _is_path(weights):
        entry = manifest.find(weights, task)
        if entry is None and not Path(weights).is_file():
            entry = manifest.get(weights)
        if entry is not None:
            if task.name not in entry.tasks:
                made_for = ", ".join(entry.tasks)
                notify(f"weights '{entry.name}' were made for {made_for}, not for {task.name}")
            return _from_entry(entry)
    return _from_file(Path(weights).expanduser(), manifest, notify)


def packaged_path(source: PackagedSource) -> Path:
    """Return where a packaged file stands in this installation."""
    return Path(__file__).resolve().parent / "files" / source.file


def _is_path(text: str) -> bool:
    """Tell a path from a name: by its suffix, or by a character that no name has."""
    if is_hub_address(text):
        return False
    return text.endswith(SUFFIXES) or any(mark in text for mark in ("/", "~", os.sep))


def _from_entry(entry: Entry) -> ResolvedWeights:
    if not isinstance(entry.source, PackagedSource):
        raise WeightsError(f"weights '{entry.name}' are not in the cache")
    path = packaged_path(entry.source)
    if not path.is_file() or sha256_of(path) != entry.sha256:
        raise WeightsError(f"{path} is missing or damaged: install lkcfuse again")
    return ResolvedWeights(
        path,
        entry,
        entry.name,
        entry.sha256,
        entry.input_range,
        entry.output_range,
        entry.channel_order,
    )


def _from_file(path: Path, manifest: Manifest, notify: Notify) -> ResolvedWeights:
    if not path.is_file():
        problem = "is not a file" if path.exists() else "does not exist"
        raise WeightsError(f"{path} {problem}: give a checkpoint or a name of 'weights list'")
    sha256 = sha256_of(path)
    metadata = _metadata(path)
    entry = manifest.by_sha256(sha256)
    if "input_range" in metadata or "output_range" in metadata:
        input_range = _range(path, metadata, "input_range")
        output_range = _range(path, metadata, "output_range")
    elif entry is not None:
        input_range, output_range = entry.input_range, entry.output_range
    else:
        input_range = output_range = _UNIT_RANGE
        notify(f"{path} does not say its value ranges: taking [0, 1] for input and output")
    return ResolvedWeights(path, entry, path.name, sha256, input_range, output_range)


def _metadata(path: Path) -> dict[str, str]:
    """Return the text metadata of a safetensors file; other formats carry none."""
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from None


def _range(path: Path, metadata: dict[str, str], key: str) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in json.loads(metadata[key]))
        if not -1e6 < low < high < 1e6:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise WeightsError(
            f"{path}: its metadata field '{key}' is not a value range such as [0, 1]"
        ) from None
    return low, high
