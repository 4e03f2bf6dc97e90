"""Pairs: which files belong together, and what is done to two images before they are fused."""

from lkcfuse.pairs.options import PairOptions
from lkcfuse.pairs.pair import Pair, check_files
from lkcfuse.pairs.prepare import prepare_pair, read_pair
from lkcfuse.pairs.transforms import read_transform

__all__ = ["Pair", "PairOptions", "check_files", "prepare_pair", "read_pair", "read_transform"]
