"""LTOFusion as an architecture: its checkpoints, its sizes, its steps and halo."""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import Tensor, nn

from lkcfuse.architectures.base import Architecture, Tensors
from lkcfuse.architectures.gradient_block import AUTHORS_NAMES
from lkcfuse.architectures.ltofusion.network import SIZE_MULTIPLE, LTOFusion, LTOFusionConfig
from lkcfuse.architectures.processing import FIRST_SECOND, SECOND_FIRST, Processing

VISIBLE_TASK = "ir-vis"
MEDICAL_STEPS = 5

HALO_OF_A_STEP = 64
"""Pixels around a pixel that one step of it depends on, in whole cells of the eighth resolution."""

# The authors' names of modules, and ours; what follows a block's name is in the tables below.
_BLOCKS = {
    "policy.F_enc1": "policy.state.0",
    "policy.F_enc2": "policy.state.1",
    "policy.F_enc3": "policy.state.2",
    "policy.bottle": "policy.bottom",
    "policy.A_enc1": "policy.guide.0",
    "policy.A_enc2": "policy.guide.1",
    "policy.A_enc3": "policy.guide.2",
    "action.dec1": "action.levels.0",
    "action.dec4": "action.levels.1",
    "action.dec5": "action.levels.2",
    "action.affine4": "action.levels.0.skip",
    "action.affine5": "action.levels.1.skip",
    "action.affine6": "action.levels.2.skip",
    "action.finnal.0": "action.refine",
    "action.finnal.1": "action.last",
}
_LAYERS = {
    **AUTHORS_NAMES,
    "conv.0": "conv",
    "conv.1": "norm",
    "conv.2": "activation",
    "res_conv": "shortcut",
    "up": "up",
    "": "",
}
_LAYERS_OF_LEVEL = {
    "up": "up",
    "main.0": "block.conv",
    "main.1": "block.norm",
    "main.2": "block.activation",
    "res_conv": "block.shortcut",
}
_LEFT_OVER = re.compile(r"policy\.B_enc\d\.|(policy|action)\.affine1\.|action\.B_enc\d\.")


class LTOFusionArchitecture(Architecture):
    """Learning to optimise a fusion (He et al., 2026)."""

    name = "ltofusion"
    title = "LTOFusion"
    network_type = LTOFusion

    def recognises(self, names: Collection[str]) -> bool:
        """Whether there are names of a policy and of an action, whoever named them."""
        return all(any(name.startswith(part) for name in names) for part in ("policy.", "action."))

    def our_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the tensors under our names, without what is left over from training."""
        return {
            _our_name(name): tensor
            for name, tensor in tensors.items()
            if not _LEFT_OVER.match(name)
        }

    def read_config(self, tensors: Tensors, stored: str | None) -> LTOFusionConfig:  # noqa: ARG002
        """Read the widths off the tensors."""
        full, half, quarter, eighth = (
            self.outputs(tensors, layer)
            for layer in (*(f"policy.state.{n}.conv" for n in range(3)), "policy.bottom.conv")
        )
        return LTOFusionConfig((full, half, quarter, eighth))

    def build(self, config: LTOFusionConfig, task: str | None = None) -> nn.Module:
        """Make a network that takes as many steps as a task needs."""
        medical = task is not None and task != VISIBLE_TASK
        return LTOFusion(config, steps=MEDICAL_STEPS if medical else 1)

    def processing(self, task: str) -> Processing:
        """Return the authors' way: [0, 1], the visible image or the MRI slice first."""
        return Processing(channel_order=SECOND_FIRST if task == VISIBLE_TASK else FIRST_SECOND)

    def halo(self, network: nn.Module) -> int:
        """Return what all steps together see."""
        assert isinstance(network, LTOFusion)
        return network.steps * HALO_OF_A_STEP

    def alignment(self, network: nn.Module) -> int:  # noqa: ARG002
        """Return the pixels of a cell at the eighth resolution."""
        return SIZE_MULTIPLE

    def floats_per_pixel(self, config: LTOFusionConfig) -> float:
        """Return what the last level has beside the maps of the others."""
        full, half, quarter, eighth = config.widths
        return 8 * full + 4 * half + (4 * quarter + 2 * eighth) / 4


def _our_name(name: str) -> str:
    module, _, parameter = name.rpartition(".")
    for theirs, ours in _BLOCKS.items():
        if module != theirs and not module.startswith(f"{theirs}."):
            continue
        inside = module[len(theirs) + 1 :]
        table = _LAYERS_OF_LEVEL if theirs.startswith("action.dec") else _LAYERS
        layer = table.get(inside, inside)
        return ".".join(part for part in (ours, layer, parameter) if part)
    return name


ARCHITECTURE = LTOFusionArchitecture()
