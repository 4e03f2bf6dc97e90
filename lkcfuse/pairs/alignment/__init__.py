"""Registration of two pictures that different sensors took."""

from lkcfuse.pairs.alignment.descriptors import View, strength_of_edges
from lkcfuse.pairs.alignment.images import align_images, check_trusted
from lkcfuse.pairs.alignment.register import MODELS, register
from lkcfuse.pairs.alignment.result import LEAST_CONFIDENCE, Alignment, corner_errors

__all__ = [
    "LEAST_CONFIDENCE",
    "MODELS",
    "Alignment",
    "View",
    "align_images",
    "check_trusted",
    "corner_errors",
    "register",
    "strength_of_edges",
]
