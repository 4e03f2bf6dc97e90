"""Which numbers a setting may have, said in one line where it has another."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lkcfuse.errors import UsageError


@dataclass(frozen=True)
class Range:
    """The numbers that are allowed.

    Attributes:
        lowest: The smallest.
        highest: The largest.
        whole: Whether it must be an integer.
        positive: Whether any number above 0 is allowed, and no other.
    """

    lowest: float = 0
    highest: float = math.inf
    whole: bool = False
    positive: bool = False

    def check(self, name: str, value: object) -> None:
        """Check a value that may have come from a file: of any type.

        Raises:
            UsageError: It is not such a number.
        """
        kind = int if self.whole else (int, float)
        if (
            isinstance(value, kind)
            and not isinstance(value, bool)
            and self.lowest <= value <= self.highest
            and math.isfinite(value)
            and not (self.positive and value == 0)
        ):
            return
        raise UsageError(f"{name} is {value!r}: give a {self}")

    def __str__(self) -> str:
        number = "whole number" if self.whole else "number"
        if self.positive:
            return f"{number} above 0"
        if self.highest == math.inf:
            return f"{number}, {self.lowest:g} or more"
        return f"{number} from {self.lowest:g} to {self.highest:g}"


SHARE = Range(0, 1)
COUNT = Range(1, whole=True)
POSITIVE = Range(positive=True)
NOT_NEGATIVE = Range()
