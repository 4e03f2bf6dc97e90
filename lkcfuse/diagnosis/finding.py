"""What a check comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lkcfuse.errors import ResourceError

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What a check comes to.

    Attributes:
        name: What was checked, in a word.
        text: What was found, in one line.
        status: `ok`; `warning` where something works less well than it could; `failed` where
            something will not work.
        cure: What to do about it, in one line; empty where there is nothing to do.
        details: The same for programs.
        exit_code: For a check that failed: what the program ends with.
    """

    name: str
    text: str
    status: Status = "ok"
    cure: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    exit_code: int = ResourceError.exit_code

    def to_record(self) -> dict[str, object]:
        """Return the finding for programs."""
        shown = {"check": self.name, "status": self.status, "text": self.text}
        return {**shown, "cure": self.cure or None, **self.details}
