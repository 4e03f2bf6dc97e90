"""Scans: volumes of slices with a geometry, from files to values that can be fused, and back."""

from lkcfuse.volumes.grid import Grid
from lkcfuse.volumes.options import VolumeOptions
from lkcfuse.volumes.recognise import is_volume
from lkcfuse.volumes.volume import Patient, Volume

__all__ = ["Grid", "Patient", "Volume", "VolumeOptions", "is_volume"]
