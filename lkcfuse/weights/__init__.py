"""Checkpoints: which there are, where they come from, and how they are verified and kept."""

from lkcfuse.weights.entry import Entry
from lkcfuse.weights.manifest import Manifest, load_manifest
from lkcfuse.weights.metadata import Feed
from lkcfuse.weights.resolve import ResolvedWeights, resolve

__all__ = ["Entry", "Feed", "Manifest", "ResolvedWeights", "load_manifest", "resolve"]
