"""Which architectures there are. Importing this does not import torch; asking for one does."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from lkcfuse.architectures.base import Architecture

DEFAULT = "lkc-funet"
"""What a manifest's entry is that does not name its architecture."""

# Name: what people call it, and the module whose `ARCHITECTURE` it is.
_BUILT_IN = {
    "lkc-funet": ("LKC-FUNet", "lkcfuse.architectures.lkc_funet.architecture"),
    "seafusion": ("SeAFusion", "lkcfuse.architectures.seafusion.architecture"),
    "ltofusion": ("LTOFusion", "lkcfuse.architectures.ltofusion.architecture"),
    "weight-map": ("WeightMap", "lkcfuse.architectures.weight_map.architecture"),
}
_ADDED: dict[str, Architecture] = {}


def register(architecture: Architecture) -> None:
    """Add an architecture: from now on its checkpoints load, and manifests may name it.

    Raises:
        ValueError: The name is taken.
    """
    if architecture.name in names():
        raise ValueError(f"an architecture called '{architecture.name}' is registered already")
    _ADDED[architecture.name] = architecture


def unregister(name: str) -> None:
    """Remove an architecture that `register` added."""
    del _ADDED[name]


def names() -> tuple[str, ...]:
    """Return the names of all architectures."""
    return (*_BUILT_IN, *_ADDED)


def title(name: str) -> str:
    """Return what people call an architecture."""
    return _ADDED[name].title if name in _ADDED else _BUILT_IN[name][0]


def get(name: str) -> Architecture:
    """Return an architecture by name.

    Raises:
        ValueError: None has that name; the message lists those there are.
    """
    if name in _ADDED:
        return _ADDED[name]
    if name not in _BUILT_IN:
        raise ValueError(f"no architecture is called '{name}': choose one of {', '.join(names())}")
    architecture: Architecture = import_module(_BUILT_IN[name][1]).ARCHITECTURE
    return architecture


def recognise(tensors: Collection[str]) -> Architecture | None:
    """Return the architecture whose checkpoints have tensors of these names, if there is one."""
    return next((known for known in _all() if known.recognises(tensors)), None)


def architecture_of(network: nn.Module) -> Architecture:
    """Return the architecture that a network is of.

    Raises:
        TypeError: It is of none.
    """
    for known in _all():
        if isinstance(network, known.network_type):
            return known
    raise TypeError(
        f"{type(network).__name__} is not a network of a known architecture: register its own"
    )


def _all() -> Iterator[Architecture]:
    # Added ones first: they may be more particular than what is built in.
    return (get(name) for name in (*_ADDED, *_BUILT_IN))
