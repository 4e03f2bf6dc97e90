"""Registration of two pictures that different sensors took."""

from lkcfuse.pairs.alignment.descriptors import View, strength_of_edges
from lkcfuse.pairs.alignment.register import MODELS, register
from lkcfuse.pairs.alignment.result import Alignment, corner_errors

__all__ = ["MODELS", "Alignment", "View", "corner_errors", "register", "strength_of_edges"]
