"""What distinguishes one weight-map network from another. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass

MOST_LEVELS = 8


@dataclass(frozen=True)
class WeightMapConfig:
    """Configuration of a weight-map network; all of it is read off the tensors.

    Attributes:
        widths: Channels at each resolution: full, half, quarter and so on.

    Raises:
        ValueError: There are fewer than two resolutions or more than eight, or one without
            channels.
    """

    widths: tuple[int, ...] = (8, 16, 32, 48, 64)

    def __post_init__(self) -> None:
        if not 2 <= len(self.widths) <= MOST_LEVELS:
            raise ValueError(f"widths has {len(self.widths)} entries: give 2 to {MOST_LEVELS}")
        if min(self.widths) < 1:
            raise ValueError(f"widths has {min(self.widths)}: give 1 or more channels")
