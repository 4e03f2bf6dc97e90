"""Fuse two registered images of one scene into one, with LKC-FUNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lkcfuse.version import __version__

if TYPE_CHECKING:
    from lkcfuse import batch, errors, images, metrics, models, network, pairs
    from lkcfuse.fusion.fuser import Fuser, fuse
    from lkcfuse.fusion.model import FusionModel
    from lkcfuse.images import Image, read_image, write_image
    from lkcfuse.pairs import Pair
    from lkcfuse.tasks import Task

__all__ = [
    "Fuser",
    "FusionModel",
    "Image",
    "Pair",
    "Task",
    "__version__",
    "batch",
    "errors",
    "fuse",
    "images",
    "metrics",
    "models",
    "network",
    "pairs",
    "read_image",
    "write_image",
]

_HOME = {
    "Fuser": "lkcfuse.fusion.fuser",
    "FusionModel": "lkcfuse.fusion.model",
    "fuse": "lkcfuse.fusion.fuser",
    "Image": "lkcfuse.images",
    "Pair": "lkcfuse.pairs",
    "read_image": "lkcfuse.images",
    "Task": "lkcfuse.tasks",
    "write_image": "lkcfuse.images",
}

_MODULES = {"batch", "errors", "images", "metrics", "models", "network", "pairs"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `import lkcfuse` itself is fast."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"lkcfuse.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'lkcfuse' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
