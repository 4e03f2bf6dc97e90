"""A network that weighs two photographs pixel by pixel: exposures and focal planes."""

from lkcfuse.architectures.weight_map.config import WeightMapConfig
from lkcfuse.architectures.weight_map.network import WeightedMean, WeightMap

__all__ = ["WeightMap", "WeightMapConfig", "WeightedMean"]
