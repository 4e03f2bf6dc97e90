"""LKC-FUNet: wiring, names of its tensors, streaming and memory (He et al., arXiv 2411.10036)."""

from lkcfuse.architectures.lkc_funet.config import NetworkConfig
from lkcfuse.architectures.lkc_funet.network import LKCFUNet

__all__ = ["LKCFUNet", "NetworkConfig"]
