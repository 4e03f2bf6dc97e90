"""SeAFusion as an architecture: its checkpoints, its sizes, its halo."""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import Tensor, nn

from lkcfuse.architectures.base import Architecture, Tensors
from lkcfuse.architectures.gradient_block import AUTHORS_NAMES
from lkcfuse.architectures.processing import SECOND_FIRST, Processing
from lkcfuse.architectures.seafusion.network import SeAFusion, SeAFusionConfig

_STREAMS = {"vis": "visible", "inf": "infrared"}
_DECODER_LAYERS = 4


class SeAFusionArchitecture(Architecture):
    """Semantic-aware fusion of infrared and visible images (Tang, Yuan and Ma, 2022)."""

    name = "seafusion"
    title = "SeAFusion"
    network_type = SeAFusion

    def recognises(self, names: Collection[str]) -> bool:
        """Whether there are names of the authors' two streams, or ours of them."""
        return any(
            name.startswith(("vis_rgbd", "inf_rgbd", "visible.", "infrared.")) for name in names
        )

    def our_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the tensors under our names, without the decoder's unused normalisations."""
        renamed = {}
        for name, tensor in tensors.items():
            if not re.match(r"decode\d\.bn\.", name):
                renamed[_our_name(name)] = tensor
        return renamed

    def read_config(self, tensors: Tensors, stored: str | None) -> SeAFusionConfig:  # noqa: ARG002
        """Read the widths off the tensors."""
        blocks = sum(bool(re.fullmatch(r"visible\.blocks\.\d+\.merge\.weight", n)) for n in tensors)
        layers = sum(bool(re.fullmatch(r"decoder\.\d+\.weight", name)) for name in tensors)
        encoder = ["visible.stem", *(f"visible.blocks.{n}.merge" for n in range(blocks))]
        decoder = [f"decoder.{number}" for number in range(layers - 1)]
        return SeAFusionConfig(
            tuple(self.outputs(tensors, layer) for layer in encoder),
            tuple(self.outputs(tensors, layer) for layer in decoder),
        )

    def build(self, config: SeAFusionConfig, task: str | None = None) -> nn.Module:  # noqa: ARG002
        """Make a network; it is the same for every task."""
        return SeAFusion(config)

    def processing(self, task: str) -> Processing:  # noqa: ARG002
        """Return the authors' way: [0, 1], visible first, the coloured result stretched."""
        return Processing(channel_order=SECOND_FIRST, stretch=True)

    def halo(self, network: nn.Module) -> int:
        """Return one pixel for every 3x3 convolution that follows another."""
        config: SeAFusionConfig = network.config  # type: ignore[assignment]
        return 1 + 2 * (len(config.encoder) - 1) + len(config.decoder) + 1

    def floats_per_pixel(self, config: SeAFusionConfig) -> float:
        """Return what the last block of the second stream has beside the first stream's result."""
        *_, inputs, outputs = config.encoder
        return 2 * outputs + 2 * outputs + 8 * inputs


def _our_name(name: str) -> str:
    if found := re.fullmatch(r"(vis|inf)_conv\.conv\.(\w+)", name):
        return f"{_STREAMS[found[1]]}.stem.{found[2]}"
    if found := re.fullmatch(r"(vis|inf)_rgbd(\d)\.(.+)\.(weight|bias)", name):
        layer = AUTHORS_NAMES.get(found[3], found[3])
        return f"{_STREAMS[found[1]]}.blocks.{int(found[2]) - 1}.{layer}.{found[4]}"
    if found := re.fullmatch(r"decode(\d)\.conv\.(\w+)", name):
        return f"decoder.{_DECODER_LAYERS - int(found[1])}.{found[2]}"
    return name


ARCHITECTURE = SeAFusionArchitecture()
