"""From a source file whose hash is right to a checked checkpoint in safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lkcfuse.errors import WeightsError
from lkcfuse.models.entry import Entry
from lkcfuse.models.metadata import to_metadata
from lkcfuse.version import __version__

if TYPE_CHECKING:
    from lkcfuse.models.checkpoint import Checkpoint


def check(path: Path, entry: Entry) -> Checkpoint:
    """Read a checkpoint and check that it is the network its entry describes.

    Only tensors are read, never code.

    Raises:
        WeightsError: It holds more than tensors, is damaged, has values that are not finite, is
            no network of a known architecture, or one of another width.
    """
    # Importing torch takes a second, so only who converts pays for it.
    from lkcfuse.models.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(path)
    checkpoint.network()
    architecture = checkpoint.architecture
    if architecture.name != entry.architecture:
        raise WeightsError(
            f"{path}: the network is of the architecture {architecture.name} where the manifest "
            f"says {entry.architecture} for '{entry.name}'"
        )
    width = architecture.facts(checkpoint.config).get("width")
    if entry.width is not None and width != entry.width:
        raise WeightsError(
            f"{path}: the network has width {width} where the manifest says {entry.width} for "
            f"'{entry.name}'"
        )
    return checkpoint


def convert(source: Path, target: Path, entry: Entry) -> None:
    """Write a source file as safetensors, with value ranges and provenance in its metadata.

    Args:
        source: The verified source file.
        target: The file to write; replaced whole or not at all.
        entry: What the source is.

    Raises:
        WeightsError: As `check`.
        OSError: `target` cannot be written.
    """
    from lkcfuse.models.checkpoint import save_checkpoint

    checkpoint = check(source, entry)
    metadata = to_metadata(entry.processing) | {
        "name": entry.name,
        "source": str(entry.source),
        "source_sha256": entry.sha256,
        "licence": entry.licence,
        "citation": entry.citation,
        "lkcfuse_version": __version__,
    }
    save_checkpoint(target, checkpoint, metadata=metadata)
