"""What is done to two sources before they are fused, as options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lkcfuse.images.options import ReadOptions

SOURCE = ReadOptions(value_range="auto")
"""How a source is read: raw counts are stretched, which nobody wants of a result."""


@dataclass(frozen=True)
class PairOptions:
    """How to read two sources and bring them together.

    Attributes:
        first: How to read the first source.
        second: How to read the second.
        resize: `first` or `second`: scale the other source to this one's grid; None does not.
        grid: Whose grid a transformed pair is brought to: `first` or `second`.
        transform: A known transform from the second picture's pixels to the first's: nine numbers
            of a 3x3 matrix, row by row; None where none was given.
        invert_first: The first image is black-hot: invert it before fusing.
        strength: How much of the fusion there is in the result's luma: 0 is the second source, 1
            the fusion.
        refuse_warnings: A pair that there is something to warn of is not fused.
        metadata: A fused image's file keeps what the source's says about the picture (EXIF, GPS,
            resolution), and names task and weights.
    """

    first: ReadOptions = SOURCE
    second: ReadOptions = SOURCE
    resize: str | None = None
    grid: str = "first"
    transform: tuple[float, ...] | None = None
    invert_first: bool = False
    strength: float = 1.0
    refuse_warnings: bool = False
    metadata: bool = True

    def to_record(self) -> dict[str, Any]:
        """Return what differs from the defaults, as JSON has it: they decide an output's bytes."""
        # A refusal decides whether there are any bytes, not which.
        decisive = replace(self, refuse_warnings=False)
        return _difference(asdict(decisive), asdict(PairOptions()))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PairOptions:
        """Make options of their record.

        Raises:
            TypeError, ValueError: It is not such a record.
        """
        fields = dict(record)
        for side in ("first", "second"):
            fields[side] = replace(SOURCE, **fields.get(side, {}))
        if fields.get("transform") is not None:
            fields["transform"] = tuple(float(number) for number in fields["transform"])
        return cls(**fields)


def _difference(record: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            inner = _difference(value, default[name])
            if inner:
                found[name] = inner
        elif value != default[name]:
            found[name] = value
    return found
