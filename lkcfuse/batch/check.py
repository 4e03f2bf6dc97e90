"""What a batch would overwrite that is not its own: looked for before anything starts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lkcfuse.batch.files import exists, file_sha256
from lkcfuse.batch.journal import State
from lkcfuse.batch.plan import Plan
from lkcfuse.batch.stages import relative_output
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.remote import Location, RemotePath


def check(plan: Plan, state: State, *, overwrite: bool = False) -> None:
    """Check that a plan overwrites nothing that is not the folder's own batch's.

    Raises:
        UsageError: It would; see `open_batch`.
    """
    if overwrite:
        return
    is_there: Callable[[Location], bool] = exists
    if isinstance(plan.folder, RemotePath):
        is_there = _listed(plan.folder).__contains__
    for pair in plan.pairs:
        known = state.pairs.get(pair.name)
        if relative_output(plan.folder, pair) not in state.outputs:
            if is_there(pair.output):
                damage = f" ({state.damaged} lines of it are damaged)" if state.damaged else ""
                raise UsageError(
                    f"{pair.output} exists and is not in the journal of {plan.folder}{damage}: "
                    "choose another folder with -o, or --force to replace it"
                )
        elif known is not None:
            for source, path in ((known.first, pair.first), (known.second, pair.second)):
                if str(path.absolute()) == source.path:
                    continue
                if isinstance(path, Path) and _is_same(path, Path(source.path)):
                    continue
                if file_sha256(path) != source.sha256:
                    raise UsageError(
                        f"{pair.output} was made of {source.path}, not of {path}: choose another "
                        "folder with -o, or --force to replace it"
                    )


def _listed(folder: RemotePath) -> set[Location]:
    """Return what is in a folder at a URL: one question to the store, and not one a pair."""
    try:
        return set(folder.find())
    except OSError as error:
        raise ResourceError(f"{folder} cannot be used: {error}") from None


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one place, links followed."""
    return os.path.realpath(one) == os.path.realpath(other)
