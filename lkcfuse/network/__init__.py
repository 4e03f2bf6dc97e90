"""LKC-FUNet itself: wiring, blocks, fast large-kernel convolution, checkpoints."""

from lkcfuse.network.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint
from lkcfuse.network.config import NetworkConfig
from lkcfuse.network.lkcfunet import LKCFUNet

__all__ = [
    "Checkpoint",
    "LKCFUNet",
    "NetworkConfig",
    "load_checkpoint",
    "load_network",
    "save_checkpoint",
]
