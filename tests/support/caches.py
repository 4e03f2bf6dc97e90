"""Looking into a cache of checkpoints."""

from __future__ import annotations

import torch

from lkcfuse.models.checkpoint import load_network


def listing(store):
    """The files of the cache by suffix, without locks."""
    names = [path.name for path in store.folder.iterdir() if path.suffix != ".lock"]
    return sorted(name.partition("-")[2][12:] if "-" in name else name for name in names)


def set_aside(store):
    return sorted(path.name for path in (store.folder / "rejected").iterdir())


def same(path, network):
    loaded = load_network(path).state_dict()
    return all(torch.equal(loaded[key], tensor) for key, tensor in network.state_dict().items())
