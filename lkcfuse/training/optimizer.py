"""What turns gradients into steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lkcfuse.architectures.lkc_funet import LKCFUNet
from lkcfuse.ops.depthwise import DepthwiseConv2d
from lkcfuse.training.centres import centre_of, large_kernels
from lkcfuse.training.muon import Muon

BETAS = (0.9, 0.99)


class Optimizer:
    """AdamW, or Muon for the kernels and AdamW for the rest.

    Muon (Jordan and others, 2024) makes a step of all directions equally long: the gradient of a
    matrix is replaced by the nearest orthogonal one. A kernel (outputs, inputs, K, K) is taken as
    a matrix of `outputs` rows. What is not a product of channels is left to AdamW: biases,
    normalisations, depthwise kernels and the head, whose one row has one direction.

    Args:
        network: What is trained; its parameters stay where they are in memory.
        name: `adamw` or `muon`.
        weight_decay: On the kernels alone.
        centres: Whether Muon also makes steps with the centres of the large kernels by themselves:
            see `lkcfuse.training.centres`.
    """

    def __init__(
        self, network: nn.Module, name: str, *, weight_decay: float, centres: bool = False
    ) -> None:
        matrices = _matrices(network) if name == "muon" else []
        ours = {id(parameter) for parameter in matrices}
        rest = [p for p in network.parameters() if id(p) not in ours]
        groups = [
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._parts: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, betas=BETAS)]
        # Muon takes matrices alone: these are the same memory, seen as such.
        self._views = [(parameter, parameter.detach().flatten(1)) for parameter in matrices]
        if self._views:
            views = [view for _, view in self._views]
            self._parts.append(Muon(views, weight_decay=weight_decay))
        self._centres = [
            (kernel, torch.zeros_like(centre_of(kernel)).flatten(1))
            for kernel in (large_kernels(network) if centres else ())
            if id(kernel) in ours
        ]
        if self._centres:
            self._parts.append(Muon([steps for _, steps in self._centres], weight_decay=0.0))

    def step(self, rate: float) -> None:
        """Change the parameters by their gradients, at a learning rate."""
        for parameter, view in self._views:
            view.grad = None if parameter.grad is None else parameter.grad.flatten(1)
        for kernel, steps in self._centres:
            steps.grad = None if kernel.grad is None else centre_of(kernel.grad).flatten(1)
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
        with torch.no_grad():
            for kernel, steps in self._centres:
                centre = centre_of(kernel)
                centre.add_(steps.view(centre.shape))
                steps.zero_()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return what has to be kept to go on."""
        return [part.state_dict() for part in self._parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Take over what `state_dict` returned."""
        for part, kept in zip(self._parts, state, strict=True):
            part.load_state_dict(kept)


def _matrices(network: nn.Module) -> list[Tensor]:
    head = network.head.conv if isinstance(network, LKCFUNet) else None
    return [
        module.weight
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
        and not isinstance(module, DepthwiseConv2d)
        and module is not head
        and min(module.weight.shape[:2]) > 1
    ]
