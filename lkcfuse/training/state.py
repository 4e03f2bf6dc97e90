"""What a run needs to go on where it was: one file, replaced whole, never left half written."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lkcfuse.errors import InputError, ResourceError, UsageError
from lkcfuse.models.archive import load_archive
from lkcfuse.training.optimizer import Optimizer

VERSION = 3


@dataclass
class Counters:
    """The numbers a run carries along.

    Attributes:
        step: Steps done.
        updates: Steps that changed the weights; the rest were skipped as not finite.
        skipped_in_a_row: Steps skipped since the last update.
        seconds: Time spent in training so far, validation included.
        best_score: The best validation score, or minus infinity.
        best_step: The step it was reached at.
        log_bytes: Length of the log at this step; a longer log belongs to steps to be repeated.
    """

    step: int = 0
    updates: int = 0
    skipped_in_a_row: int = 0
    seconds: float = 0.0
    best_score: float = -float("inf")
    best_step: int = 0
    log_bytes: int = 0


@dataclass(frozen=True)
class Learner:
    """What learns.

    Attributes:
        network: The network that is trained.
        average: The moving average of its weights, in evaluation mode.
        optimizer: Of the network's parameters.
    """

    network: nn.Module
    average: nn.Module
    optimizer: Optimizer


def state_path(output: Path) -> Path:
    """Return where the state of the run that makes `output` is kept."""
    return output.with_suffix(".state.pt")


def save_state(
    path: Path,
    *,
    identity: dict[str, Any],
    counters: Counters,
    learner: Learner,
) -> None:
    """Write the state beside its place and rename it there.

    Raises:
        ResourceError: It cannot be written.
    """
    content = {
        "version": VERSION,
        "identity": identity,
        "counters": vars(counters),
        "network": learner.network.state_dict(),
        "average": learner.average.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
    }
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
        raise ResourceError(f"{path}: the training state cannot be written: {error}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def load_state(
    path: Path,
    *,
    identity: dict[str, Any],
    learner: Learner,
) -> Counters:
    """Bring a run back to where `save_state` left it.

    Raises:
        InputError: The file cannot be read.
        UsageError: It belongs to a run with other settings or other data.
    """
    try:
        content = load_archive(path)
        version, saved = content["version"], content["identity"]
        counters = Counters(**content["counters"])
        saved = dict(saved)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise _unreadable(path, error) from None
    if version != VERSION:
        raise InputError(f"{path}: written by another version: start again without --resume")
    differing = sorted(key for key in identity if saved.get(key) != identity[key])
    if differing:
        raise UsageError(
            f"{path} belongs to a run with other {', '.join(differing)}: "
            "give the same options as before, or start again without --resume"
        )
    try:
        learner.network.load_state_dict(content["network"])
        learner.average.load_state_dict(content["average"])
        learner.optimizer.load_state_dict(content["optimizer"])
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from None
    return counters


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: the training state cannot be read ({type(error).__name__}): "
        "start again without --resume"
    )
