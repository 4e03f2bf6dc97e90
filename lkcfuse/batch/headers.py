"""The files of a plan, looked at before work begins, and what is wrong with many told once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lkcfuse.batch.plan import Plan, PlannedPair
from lkcfuse.errors import InputError, UsageError
from lkcfuse.images.writing import check_output
from lkcfuse.pairs.headers import check_headers
from lkcfuse.pairs.options import PairOptions

# Headers are small, so that their time is spent waiting for a disk or a store.
_THREADS = 16
_AT_A_TIME = 1024


@dataclass(frozen=True)
class Trouble:
    """A pair that a run would refuse.

    Attributes:
        pair: The pair.
        message: Why, in one line that names its files.
    """

    pair: PlannedPair
    message: str

    def kind(self) -> str:
        """Return the message without what is the pair's own: its files and numbers."""
        text = self.message
        for path in (self.pair.first, self.pair.second, self.pair.output):
            text = text.replace(str(path), "")
        return re.sub(r"[0-9]+", "", text)


def check_files(
    plan: Plan, options: PairOptions, *, progress: Callable[[float, float], None] | None = None
) -> list[Trouble]:
    """Open every file of a plan as far as its header, and return the pairs that a run would refuse.

    Damage behind a header is not found.

    Args:
        plan: The plan.
        options: How pairs would be read and brought together.
        progress: Is told how many of how many pairs were looked at.

    Returns:
        What is wrong, in the order of the plan.
    """

    def look(pair: PlannedPair) -> Trouble | None:
        try:
            size = check_headers(pair.first, pair.second, options)
            check_output(None, format=plan.format.name, size=size)
        except (InputError, UsageError) as error:
            return Trouble(pair, str(error))
        return None

    found: list[Trouble] = []
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(plan.pairs), _AT_A_TIME):
            some = plan.pairs[start : start + _AT_A_TIME]
            found += filter(None, threads.map(look, some))
            if progress is not None:
                progress(start + len(some), len(plan.pairs))
    return found


def alike(troubles: Iterable[Trouble]) -> Iterator[Sequence[Trouble]]:
    """Group what is wrong by its kind, in the order of what was found first."""
    groups: dict[str, list[Trouble]] = {}
    for trouble in troubles:
        groups.setdefault(trouble.kind(), []).append(trouble)
    yield from groups.values()
