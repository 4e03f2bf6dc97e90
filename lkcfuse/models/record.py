"""What is known of the checkpoint in use: the one record that everything above goes by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lkcfuse.architectures.processing import Processing
from lkcfuse.models.entry import Entry
from lkcfuse.tasks import Task


@dataclass(frozen=True)
class ModelRecord:
    """A checkpoint on disk, verified, with what is needed to feed it.

    Attributes:
        path: The file to load.
        name: The manifest entry's name, or the file's.
        sha256: Hash of the file at `path`.
        task: What it is used for.
        processing: How the network is fed, and what its output needs.
        entry: The manifest's entry, with architecture, source and licence; None for a file that
            the manifest does not know.
    """

    path: Path
    name: str
    sha256: str
    task: Task
    processing: Processing
    entry: Entry | None = None
