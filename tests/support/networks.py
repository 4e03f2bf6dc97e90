"""Small networks in which every tensor counts."""

from __future__ import annotations

import torch

from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
from lkcfuse.architectures.weight_map import WeightedMean, WeightMapConfig


def random_network(seed: int = 0, **config) -> LKCFUNet:
    """A network in evaluation mode whose normalisations, biases and head are all untrivial."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = LKCFUNet(NetworkConfig(**{"inner": 2, **config}))
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.1 * torch.randn_like(parameter))
                elif name.startswith("head"):
                    # Outputs of the order of an image's values at any width.
                    parameter.normal_(0, parameter[0].numel() ** -0.5)
    return network.eval().requires_grad_(False)


def random_weight_map(widths=(4, 6, 6), seed=5):
    """Return a weight-map network whose weights vary from pixel to pixel, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = WeightedMean(WeightMapConfig(widths)).eval()
    with torch.no_grad():
        network.map.decoder.head.weight *= 30
    return network.requires_grad_(False)
