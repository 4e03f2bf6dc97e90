"""What is done to the sources before a network and to its output after it. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass

SECOND_FIRST = ("second", "first")
"""The second source (visible, CT, PET, SPECT) is channel 0, the first (infrared, MRI) channel 1."""

FIRST_SECOND = ("first", "second")


@dataclass(frozen=True)
class Processing:
    """How a network is fed, and what its output needs.

    Attributes:
        input_range: Values that stand for black and white in the network's input.
        output_range: Values that stand for black and white in its output.
        channel_order: Which source is channel 0 and which is channel 1.
        stretch: Whether a finished image, its chroma included, is stretched so that its darkest
            sample becomes black and its brightest white.
    """

    input_range: tuple[float, float] = (0.0, 1.0)
    output_range: tuple[float, float] = (0.0, 1.0)
    channel_order: tuple[str, ...] = SECOND_FIRST
    stretch: bool = False
