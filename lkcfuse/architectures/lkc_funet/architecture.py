"""LKC-FUNet as an architecture: its checkpoints, its sizes, its streaming."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from torch import Tensor, nn

from lkcfuse.architectures.base import Architecture, Tensors
from lkcfuse.architectures.lkc_funet.config import LEVELS, Base, NetworkConfig
from lkcfuse.architectures.lkc_funet.memory import WHOLE_MAPS
from lkcfuse.architectures.lkc_funet.names import AUTHORS_PREFIX, from_authors
from lkcfuse.architectures.lkc_funet.network import LKCFUNet
from lkcfuse.architectures.lkc_funet.streaming import LkcFunetStreaming

_OURS = ("stem.", "encoder.", "decoder.", "head.")
_AUTHORS = ("init_conv.", "IN_conv.", "downs.", "ups.")


class LkcFunet(Architecture):
    """Large-kernel convolution fusion UNet (He et al., arXiv 2411.10036)."""

    name = "lkc-funet"
    title = "LKC-FUNet"
    network_type = LKCFUNet
    streaming: ClassVar[LkcFunetStreaming] = LkcFunetStreaming()

    def recognises(self, names: Collection[str]) -> bool:
        """Whether there are names of ours or, with or without their prefix, of the authors'."""
        return any(
            name.startswith(_OURS) or name.removeprefix(AUTHORS_PREFIX).startswith(_AUTHORS)
            for name in names
        )

    def our_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the tensors under our names, whoever named them."""
        theirs = any(
            name.startswith(AUTHORS_PREFIX) or name == "init_conv.weight" for name in tensors
        )
        if not theirs:
            return dict(tensors)
        renamed = {}
        for name, tensor in tensors.items():
            ours = from_authors(name)
            if ours is None:
                raise ValueError(f"'{name}' is not a tensor of {self.title}")
            renamed[ours] = tensor
        return renamed

    def read_config(self, tensors: Tensors, stored: str | None) -> NetworkConfig:
        """Read width, kernels and stem off the tensors; the base is in what was stored."""
        base: Base = NetworkConfig.from_json(stored).base if stored else "none"
        kernels = tuple(
            self.shape(tensors, f"encoder.{level}.residual.first.conv.weight")[-1]
            for level in range(LEVELS)
        )
        return NetworkConfig(
            inner=self.shape(tensors, "stem.conv.weight")[0],
            kernels=(kernels[0], kernels[1], kernels[2]),
            stem_norm="batch" if "stem.norm.running_mean" in tensors else "instance",
            base=base,
        )

    def write_config(self, config: NetworkConfig) -> str:
        """Return a configuration as one line of JSON."""
        return config.to_json()

    def build(self, config: NetworkConfig, task: str | None = None) -> nn.Module:  # noqa: ARG002
        """Make a network; it is the same for every task."""
        return LKCFUNet(config)

    def facts(self, config: NetworkConfig) -> dict[str, int]:
        """Return the width."""
        return {"width": config.inner}

    def floats_per_pixel(self, config: NetworkConfig) -> float:
        """Return what the module's forward holds at the worst moment."""
        return WHOLE_MAPS * config.channels


ARCHITECTURE = LkcFunet()
