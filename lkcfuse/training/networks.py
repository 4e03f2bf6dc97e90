"""The network that a configuration describes, as training begins with it."""

from __future__ import annotations

from torch import nn

from lkcfuse.architectures.lkc_funet import LKCFUNet
from lkcfuse.architectures.weight_map import WeightedMean, WeightMapConfig
from lkcfuse.training.config import TrainingConfig


def new_network(config: TrainingConfig) -> nn.Module:
    """Return the network that is to be trained, its weights drawn by torch's generator."""
    found = config.network()
    if isinstance(found, WeightMapConfig):
        return WeightedMean(found)
    return LKCFUNet(found, dropout=config.dropout, drop_path=config.drop_path)
