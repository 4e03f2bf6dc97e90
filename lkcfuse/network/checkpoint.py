"""Checkpoints: the one way in, and the one way out, for a network's tensors.

Read are safetensors files and PyTorch's `.pth` archives (only tensors, never code), under our names
or the authors'. Written are safetensors under our names, with the configuration and whatever the
caller adds in the metadata.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lkcfuse.atomic import atomic_write
from lkcfuse.errors import WeightsError
from lkcfuse.network.config import LEVELS, Base, NetworkConfig
from lkcfuse.network.lkcfunet import LKCFUNet
from lkcfuse.network.names import AUTHORS_PREFIX, from_authors

CONFIG_KEY = "lkcfuse.config"
"""Where the metadata of our own files keep the configuration, as JSON."""

Source = str | os.PathLike[str] | Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A network's tensors, and what is known about them.

    Attributes:
        config: Width, kernels and stem read off the tensors; `base` from the metadata.
        state_dict: The tensors under our names, float32 (counters int64).
        metadata: The file's own, without the configuration; empty where there was none.
        name: What to call it in messages: the file's path.
    """

    config: NetworkConfig
    state_dict: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    name: str = "these weights"

    def network(self) -> LKCFUNet:
        """Build the network, in evaluation mode.

        Raises:
            WeightsError: A tensor is missing, left over, of the wrong shape or type, or not finite.
        """
        with torch.device("meta"):
            network = LKCFUNet(self.config)
        _check_tensors(self.state_dict, network.state_dict(), self.name)
        network.load_state_dict(self.state_dict, assign=True)
        return network.eval().requires_grad_(False)


def load_network(source: Source, *, base: Base | None = None) -> LKCFUNet:
    """Load a network, in evaluation mode, on the CPU.

    Args:
        source: A path (`.safetensors`, or a `.pth` as the authors publish it), or a state dict;
            under our names or the authors'.
        base: What the output is added to, where the metadata are to be overruled.

    Returns:
        The network, `(N, 2, H, W)` to `(N, 1, H, W)`, in float32.

    Raises:
        WeightsError: The file cannot be read, or holds no such network; the message names the file
            and the tensor.
    """
    checkpoint = load_checkpoint(source)
    if base is not None:
        checkpoint = replace(checkpoint, config=replace(checkpoint.config, base=base))
    return checkpoint.network()


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
    state_dict = _our_names(tensors, name)
    try:
        stored = metadata.pop(CONFIG_KEY, None)
        base: Base = NetworkConfig.from_json(stored).base if stored else "none"
        config = _read_config(state_dict, base, name)
    except ValueError as error:
        raise WeightsError(f"{name}: {error}") from error
    return Checkpoint(config, state_dict, metadata, name)


def save_checkpoint(
    path: str | os.PathLike[str],
    network: LKCFUNet | Checkpoint,
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
    stored = {}
    for key, tensor in (
        network.state_dict if isinstance(network, Checkpoint) else network.state_dict()
    ).items():
        keep = not tensor.is_floating_point() or "running" in key
        stored[key] = tensor.detach().to("cpu", tensor.dtype if keep else dtype).contiguous()
    extra = dict(network.metadata) if isinstance(network, Checkpoint) else {}
    extra |= {**(metadata or {}), CONFIG_KEY: network.config.to_json()}
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
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: holds more than tensors and was not loaded, for it could run code"
        ) from error
    except (RuntimeError, BadZipFile, EOFError, OSError, KeyError, ValueError) as error:
        # The file opened: an OSError here is a seek to a place that a cut archive has not.
        raise WeightsError(f"{path}: is a damaged PyTorch archive; fetch it again") from error
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise WeightsError(f"{path}: is no table of tensors")
    return dict(loaded)


def _our_names(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    theirs = any(key.startswith(AUTHORS_PREFIX) or key == "init_conv.weight" for key in tensors)
    renamed = {}
    for key, tensor in tensors.items():
        ours = from_authors(key) if theirs else key
        if ours is None:
            raise WeightsError(f"{name}: '{key}' is no tensor of LKC-FUNet")
        renamed[ours] = tensor.float() if tensor.is_floating_point() else tensor
    return renamed


def _read_config(state_dict: dict[str, Tensor], base: Base, name: str) -> NetworkConfig:
    def shape(key: str) -> torch.Size:
        if key not in state_dict:
            raise WeightsError(f"{name}: is no LKC-FUNet: it has no tensor '{key}'")
        if state_dict[key].ndim != 4:
            raise WeightsError(f"{name}: '{key}' is no convolution's weight")
        return state_dict[key].shape

    kernels = tuple(
        shape(f"encoder.{level}.residual.first.conv.weight")[-1] for level in range(LEVELS)
    )
    return NetworkConfig(
        inner=shape("stem.conv.weight")[0],
        kernels=(kernels[0], kernels[1], kernels[2]),
        stem_norm="batch" if "stem.norm.running_mean" in state_dict else "instance",
        base=base,
    )


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
            raise WeightsError(f"{name}: tensor '{key}' has values that are not finite")
    for key in given:
        if key not in expected:
            raise WeightsError(f"{name}: tensor '{key}' is left over")
