"""Checkpoints: which there are, where they come from, how they are verified, kept and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lkcfuse.models.entry import Entry
from lkcfuse.models.manifest import Manifest, load_manifest
from lkcfuse.models.record import ModelRecord
from lkcfuse.models.resolve import resolve

if TYPE_CHECKING:
    from lkcfuse.models.checkpoint import (
        Checkpoint,
        load_checkpoint,
        load_network,
        save_checkpoint,
    )

__all__ = [
    "Checkpoint",
    "Entry",
    "Manifest",
    "ModelRecord",
    "load_checkpoint",
    "load_manifest",
    "load_network",
    "resolve",
    "save_checkpoint",
]


def __getattr__(name: str) -> object:
    """Import what needs torch when it is first asked for: names and hashes need none."""
    if name not in __all__:
        raise AttributeError(f"module 'lkcfuse.models' has no attribute '{name}'")
    from lkcfuse.models import checkpoint

    return getattr(checkpoint, name)
