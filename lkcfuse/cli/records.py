"""What the records of `--json` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lkcfuse.fusion.fuser import Fuser


def made_with(fuser: Fuser) -> dict[str, object]:
    """Return with what a result was made: task, weights, device and threads."""
    return {
        "task": fuser.task.name,
        "weights": fuser.weights.name,
        "weights_sha256": fuser.weights.sha256,
        "device": str(fuser.device),
        "threads": fuser.threads,
    }
