"""Fuse two registered images of one scene into one, with LKC-FUNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lkcfuse.version import __version__

if TYPE_CHECKING:
    from lkcfuse.fusion.fuser import Fuser, fuse
    from lkcfuse.fusion.model import FusionModel
    from lkcfuse.tasks import Task

__all__ = ["Fuser", "FusionModel", "Task", "__version__", "fuse"]

_HOME = {
    "Fuser": "lkcfuse.fusion.fuser",
    "FusionModel": "lkcfuse.fusion.model",
    "fuse": "lkcfuse.fusion.fuser",
    "Task": "lkcfuse.tasks",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: `import lkcfuse` itself costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'lkcfuse' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
