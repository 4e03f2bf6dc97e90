"""What carries a batch out: the interface, and what it is given to do.

`local.py` uses threads of this process, `ray_engine.py` workers on any number of machines.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Protocol

from lkcfuse.batch.journal import JournalWriter, State
from lkcfuse.batch.plan import Plan, PlannedPair
from lkcfuse.batch.records import PairRecord
from lkcfuse.batch.settings import Settings
from lkcfuse.batch.stages import Stages, relative_output
from lkcfuse.fusion.fuser import Fuser, Progress
from lkcfuse.pairs import PairOptions


@dataclass(frozen=True)
class Finished:
    """A pair that was dealt with.

    Attributes:
        pair: The pair.
        record: The journal's record of it; None where it failed.
        error: Why it failed.
        fused: Whether it was fused now, not found done.
    """

    pair: PlannedPair
    record: PairRecord | None = None
    error: Exception | None = None
    fused: bool = False


@dataclass(frozen=True)
class Work:
    """What an engine is to do.

    Attributes:
        plan: The pairs.
        fuser: With what; it knows its weights.
        settings: Of this run.
        state: What the journal said at the start.
        journal: Gets a line for each pair, before its output gets its name.
        options: What is done to a pair before and after the network.
        overwrite: Whether an output is replaced that the journal does not know.
        progress: Called with (pairs done, pairs in all); a part of a pair counts too.
    """

    plan: Plan
    fuser: Fuser
    settings: Settings
    state: State
    journal: JournalWriter
    options: PairOptions = field(default_factory=PairOptions)
    overwrite: bool = False
    progress: Callable[[float, float], None] | None = None

    def stages(self) -> Stages:
        """Return what is done to each pair besides the network."""
        return Stages.of(self.plan, self.settings.key, self.options)

    def replaces(self, pair: PlannedPair) -> bool:
        """Whether a pair's output may be replaced, if there is one."""
        return self.overwrite or relative_output(self.plan.folder, pair) in self.state.outputs

    def report(self, done: float) -> None:
        """Say how many pairs are done."""
        if self.progress is not None:
            self.progress(done, len(self.plan.pairs))


class Engine(Protocol):
    """Carries a batch out; a context manager, which at its end lets go of what it took."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *_error: object) -> None: ...

    def prepare(self, fuser: Fuser, *, progress: Progress | None = None) -> None:
        """Get ready whatever takes time or can fail; `run` does it if this did not.

        Args:
            fuser: What will fuse.
            progress: Called with (done, total) bytes while weights are fetched.

        Raises:
            LkcfuseError: The weights, the device or the machines are not to be had.
        """

    def describe(self, fuser: Fuser) -> str:
        """Return the weights and what computes, for people."""

    def about(self, fuser: Fuser) -> dict[str, object]:
        """Return what the journal should say of what computes."""

    def run(self, work: Work) -> Generator[Finished, None, None]:
        """Yield each pair when it is done or has failed.

        Raises:
            DiskError: Nothing more can be written; what was done before is done.
            LkcfuseError: Nothing more can be computed.
        """
