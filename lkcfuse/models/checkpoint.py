"""Checkpoints: the one way in, and the one way out, for a network's tensors.

Read are safetensors files and PyTorch's `.pth` archives (only tensors, never code), under our names
or the authors'. Written are safetensors under our names, with the configuration and whatever the
caller adds in the metadata.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lkcfuse.architectures import registry
from lkcfuse.architectures.base import Architecture, Config
from lkcfuse.atomic import atomic_write
from lkcfuse.errors import WeightsError
from lkcfuse.models.archive import load_archive

ARCHITECTURE_KEY = "lkcfuse.architecture"
"""Where the metadata of our own files name the architecture; absent from older files."""

CONFIG_KEY = "lkcfuse.config"
"""Where the metadata of our own files keep the configuration, as JSON."""

Source = str | os.PathLike[str] | Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A network's tensors, and what is known about them.

    Attributes:
        architecture: What they are a network of.
        config: What the tensors tell of it, and what the metadata say beyond that.
        state_dict: The tensors under our names, float32 (counters int64).
        metadata: The file's own, without architecture and configuration.
        name: What to call it in messages: the file's path.
    """

    architecture: Architecture
    config: Config
    state_dict: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    name: str = "these weights"

    def network(self, task: str | None = None) -> nn.Module:
        """Build the network, in evaluation mode.

        Args:
            task: Name of the task it is to be used for.

        Raises:
            WeightsError: A tensor is missing, left over, of the wrong shape or type, or not finite.
        """
        with torch.device("meta"):
            network = self.architecture.build(self.config, task)
        _check_tensors(self.state_dict, network.state_dict(), self.name)
        network.load_state_dict(self.state_dict, assign=True)
        return network.eval().requires_grad_(False)


def load_network(source: Source, *, task: str | None = None) -> nn.Module:
    """Load a network, in evaluation mode, on the CPU.

    Args:
        source: A path (`.safetensors`, or a PyTorch archive as its authors publish it), or a state
            dict; under our names or the authors'.
        task: Name of the task it is to be used for; it matters to architectures that run
            differently for each.

    Returns:
        The network, `(N, 2, H, W)` to `(N, 1, H, W)`, in float32.

    Raises:
        WeightsError: The file cannot be read, or holds no network of a known architecture; the
            message names the file and the tensor.
    """
    return load_checkpoint(source).network(task)


def load_checkpoint(source: Source) -> Checkpoint:
    """Read a checkpoint; see `load_network` for what is accepted and raised."""
    metadata: dict[str, str] = {}
    name = "these weights"
    if isinstance(source, Mapping):
        tensors = dict(source)
    else:
        path = Path(source)
        name = str(path)
        tensors, metadata = _read(path)
    for key, tensor in tensors.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor):
            raise WeightsError(f"{name}: not a table of tensors by name (see {key!r:.60})")
        if not _is_plain(tensor):
            raise WeightsError(
                f"{name}: tensor '{key}' is sparse, quantized, packed or without data: "
                "save the weights as float32"
            )
    try:
        architecture = _architecture(tensors, metadata.pop(ARCHITECTURE_KEY, None))
        state_dict = {
            key: tensor.float() if tensor.is_floating_point() else tensor
            for key, tensor in architecture.our_names(tensors).items()
        }
        config = architecture.read_config(state_dict, metadata.pop(CONFIG_KEY, None))
    except ValueError as error:
        raise WeightsError(f"{name}: {error}") from error
    return Checkpoint(architecture, config, state_dict, metadata, name)


def save_checkpoint(
    path: str | os.PathLike[str],
    network: nn.Module | Checkpoint,
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a network's tensors as safetensors, whole or not at all.

    Args:
        path: The file, replaced if it exists.
        network: A network, or a checkpoint (whose metadata go along).
        metadata: What else to store: value ranges, tasks, training.
        dtype: Type the tensors are stored in: float32 or float16 (half the size; statistics of
            batch normalisation stay in float32).

    Raises:
        UsageError: The path is a folder, or its folder does not exist.
        ResourceError: The file cannot be written: disk full, no permission.
    """
    given: Checkpoint | None = network if isinstance(network, Checkpoint) else None
    if isinstance(network, Checkpoint):
        architecture, tensors = network.architecture, network.state_dict
    else:
        architecture, tensors = registry.architecture_of(network), network.state_dict()
    stored = {}
    for key, tensor in tensors.items():
        keep = not tensor.is_floating_point() or "running" in key
        stored[key] = tensor.detach().to("cpu", tensor.dtype if keep else dtype).contiguous()
    extra = {} if given is None else dict(given.metadata)
    extra |= {
        **(metadata or {}),
        ARCHITECTURE_KEY: architecture.name,
        CONFIG_KEY: architecture.write_config(network.config),
    }
    with atomic_write(Path(path), overwrite=True) as file:
        file.write(save(stored, metadata=extra))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        if not path.is_file():
            problem = "is a folder" if path.is_dir() else "does not exist"
            raise WeightsError(f"{path}: the weights file {problem}")
        with path.open("rb") as file:
            is_archive = file.read(2) == b"PK"
        return (_read_pth(path), {}) if is_archive else _read_safetensors(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise WeightsError(
            f"{path}: neither a safetensors file nor a PyTorch archive, or damaged ({error})"
        ) from error


def _read_pth(path: Path) -> dict[str, Tensor]:
    try:
        loaded: Any = load_archive(path)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}; fetch it again") from error
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    tensors = _flat(loaded)
    if tensors is None:
        raise WeightsError(f"{path}: is not a table of tensors")
    # Views of one stored number can have any size; tied weights are stored once and used twice.
    size = sum(tensor.nbytes for tensor in tensors.values() if _is_plain(tensor))
    if size > 2 * path.stat().st_size:
        raise WeightsError(
            f"{path}: its tensors take {size} bytes, far more than the file contains; fetch "
            "it again"
        )
    return tensors


def _flat(loaded: Any) -> dict[str, Tensor] | None:
    """Join a table of tensors, or of such tables, into one; None where it is neither."""
    if not isinstance(loaded, Mapping):
        return None
    tensors: dict[str, Tensor] = {}
    for key, value in loaded.items():
        if not isinstance(key, str):
            return None
        if isinstance(value, Tensor):
            tensors[key] = value
        elif isinstance(value, Mapping) and all(isinstance(v, Tensor) for v in value.values()):
            tensors |= {f"{key}.{name}": tensor for name, tensor in value.items()}
        else:
            return None
    return tensors


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor has a number in memory, that can be computed with, for each element."""
    packed = getattr(torch, "float4_e2m1fn_x2", None)
    strided = tensor.layout == torch.strided and not tensor.is_meta
    return strided and not tensor.is_quantized and tensor.dtype != packed


def _architecture(tensors: Mapping[str, Tensor], stored: str | None) -> Architecture:
    """Return the architecture that the metadata name, else the one that knows the tensors."""
    if stored is not None:
        return registry.get(stored)
    found = registry.recognise(tensors)
    if found is None:
        known = ", ".join(map(registry.title, registry.names()))
        raise ValueError(f"not a checkpoint of a known network ({known})")
    return found


def _check_tensors(given: dict[str, Tensor], expected: dict[str, Tensor], name: str) -> None:
    for key, tensor in expected.items():
        if key not in given:
            raise WeightsError(f"{name}: tensor '{key}' is missing")
        if given[key].shape != tensor.shape:
            found, wanted = tuple(given[key].shape), tuple(tensor.shape)
            raise WeightsError(f"{name}: tensor '{key}' has shape {found} instead of {wanted}")
        # A counter may be a float, as averaged weights have it: no result depends on it.
        if tensor.is_floating_point() and not given[key].is_floating_point():
            kind = str(given[key].dtype).removeprefix("torch.")
            raise WeightsError(
                f"{name}: tensor '{key}' is {kind} instead of float: save the weights as float32"
            )
        if not torch.isfinite(given[key]).all():
            raise WeightsError(f"{name}: tensor '{key}' contains NaN or infinite values")
    for key in given:
        if key not in expected:
            raise WeightsError(f"{name}: tensor '{key}' is not part of this network")
