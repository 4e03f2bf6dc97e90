"""What is done to the sources before a network and to its output after it. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

SECOND_FIRST = ("second", "first")
"""The second source (visible, CT, PET, SPECT) is channel 0, the first (infrared, MRI) channel 1."""

FIRST_SECOND = ("first", "second")

Values = TypeVar("Values", bound=Any)
"""A NumPy array or a tensor of floats."""


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

    def ordered(self, first: Values, second: Values) -> tuple[Values, Values]:
        """Return the two sources in the order of the network's channels."""
        return (first, second) if self.channel_order == FIRST_SECOND else (second, first)

    def scaled(self, unit: Values) -> Values:
        """Return values in [0, 1] in the network's range of input."""
        black, white = self.input_range
        scaled: Values = unit * (white - black) + black
        return scaled

    def scale_in_place(self, unit: Values) -> None:
        """Bring values in [0, 1] to the network's range of input where they are."""
        black, white = self.input_range
        unit *= white - black
        unit += black

    def unit(self, output: Values) -> Values:
        """Return a network's output with 0 for black and 1 for white; it is not clipped."""
        black, white = self.output_range
        unit: Values = (output - black) / (white - black)
        return unit

    def unit_in_place(self, output: Values) -> None:
        """Bring a network's output to 0 for black and 1 for white where it is."""
        black, white = self.output_range
        output -= black
        output /= white - black
