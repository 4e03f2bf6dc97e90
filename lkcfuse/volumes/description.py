"""What a fused scan says about itself in its file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Description:
    """Where a fused scan is from.

    Attributes:
        series: What a list of series shows, in up to 64 characters: `MRI + CT fused`.
        short: As much as NIfTI has room for: 79 characters of ASCII.
        derivation: How it was made: program, version, task, weights, windows, and what it is not
            for.
    """

    series: str = "fused"
    short: str = ""
    derivation: str = ""
