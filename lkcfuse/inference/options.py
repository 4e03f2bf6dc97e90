"""What a caller may choose about a run; known without importing torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lkcfuse.errors import UsageError

MOST_THREADS = 4096
"""Threads beyond which a number is taken for a mistake: no machine runs as many."""

MOST_MEMORY = 1 << 60
"""Bytes beyond which a number is taken for a mistake."""

MOST_PIXELS = 1 << 31
"""Side of a region beyond which a number is taken for a mistake."""

SMALLEST_TILE = 32
"""Side of the smallest region, in pixels: below it the margins are nearly all the work."""

_DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d+)?", re.ASCII)

Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
ScratchType = Literal["float32", "float16"]


def check_device_name(name: str) -> str:
    """Return a device's name in lower case, if a device can have it.

    Raises:
        UsageError: No kind of device has that name.
    """
    asked = name.strip().lower()
    if not _DEVICES.fullmatch(asked):
        raise UsageError(f"no device is called '{name}': choose auto, cpu, cuda, cuda:N or mps")
    return asked


def check_threads(threads: int | None) -> int | None:
    """Return a number of threads, if it is positive or None.

    Raises:
        UsageError: The number is below 1, or far beyond any machine's.
    """
    if threads is not None and threads > MOST_THREADS:
        raise UsageError(f"the number of threads is too large: give {MOST_THREADS} at most")
    if threads is not None and threads < 1:
        raise UsageError(f"the number of threads is {threads}: give 1 or more")
    return threads


@dataclass(frozen=True)
class InferenceOptions:
    """How to run a network; none of it changes the result beyond rounding.

    Attributes:
        tile: `auto` tiles where the memory asks for it, `off` never, a number bounds the sides of
            the regions worked on at a time, in pixels.
        memory: Bytes the run may take beyond the process itself, None for most of what is free.
        scratch: Folder for feature maps that do not fit in memory, None for the system's.
        scratch_type: What numbers in scratch files are stored as. float16 halves the disk space;
            the result then differs by some thousandths of its range.
        precision: Of the arithmetic on a GPU, statistics always being float32; a CPU computes in
            fp32. `auto` is fp32.
    """

    tile: Literal["auto", "off"] | int = "auto"
    memory: int | None = None
    scratch: Path | None = None
    scratch_type: ScratchType = "float32"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.tile, int) and self.tile < SMALLEST_TILE:
            raise UsageError(
                f"tiles of {self.tile} pixels are too small: give {SMALLEST_TILE} or more"
            )
        if isinstance(self.tile, int) and self.tile > MOST_PIXELS:
            raise UsageError(f"tiles of so many pixels do not exist: give {MOST_PIXELS} at most")
        if self.precision not in get_args(Precision):
            raise UsageError(
                f"no precision is called '{self.precision}': "
                f"choose one of {', '.join(get_args(Precision))}"
            )
        if self.memory is not None and self.memory <= 0:
            raise UsageError(f"the memory must be positive, and {self.memory} bytes were given")
        if self.memory is not None and self.memory > MOST_MEMORY:
            raise UsageError(f"the memory must be less than {MOST_MEMORY} bytes")
