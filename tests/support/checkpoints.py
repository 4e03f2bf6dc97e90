"""Small real checkpoints, and manifests that point at them."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
from lkcfuse.architectures.lkc_funet.names import to_authors
from lkcfuse.models.checkpoint import save_checkpoint

TINY = NetworkConfig(inner=2, kernels=(5, 3, 3))


def tiny_network(seed: int = 0, config: NetworkConfig = TINY) -> LKCFUNet:
    """A small network with weights of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LKCFUNet(config).eval()


def authors_pth(network: LKCFUNet) -> bytes:
    """A network as the authors publish theirs: a PyTorch archive under their names."""
    renamed = {to_authors(key): tensor for key, tensor in network.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(renamed, buffer)
    return buffer.getvalue()


def safetensors(network: LKCFUNet, folder: Path, **metadata: str) -> bytes:
    """A network as we write it."""
    path = folder / "written.safetensors"
    save_checkpoint(path, network, metadata=metadata)
    data = path.read_bytes()
    path.unlink()
    return data


def entry(name: str, url: str, data: bytes, **fields: Any) -> dict[str, Any]:
    """An entry of a manifest for these bytes at this address."""
    return {
        "name": name,
        "tasks": ["ir-vis"],
        "width": TINY.inner,
        "source": {"url": url},
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "input_range": [0, 1],
        "output_range": [0, 1],
        "channel_order": ["second", "first"],
        "licence": "CC0-1.0",
        "citation": "nobody",
        "trained_on": "nothing",
        **fields,
    }


def write_manifest(path: Path, *entries: dict[str, Any]) -> Path:
    """A manifest with these entries."""
    path.write_text(json.dumps({"schema": 1, "weights": list(entries)}))
    return path
