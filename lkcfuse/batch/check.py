"""Where a batch would write, and what is there that is not its own: looked at before it starts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lkcfuse.batch.claim import check_folder
from lkcfuse.batch.files import exists, file_sha256
from lkcfuse.batch.journal import State, read_state
from lkcfuse.batch.plan import Plan
from lkcfuse.batch.settings import Settings
from lkcfuse.batch.stages import relative_output
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.remote import Location, RemotePath


def check(plan: Plan, *, overwrite: bool = False) -> State:
    """Check that a plan has a folder, and overwrites nothing that is not its own batch's.

    Returns:
        What the folder's journal says.

    Raises:
        UsageError: It has none, or would overwrite something; see `open_batch`.
        ResourceError: The folder or its journal cannot be read.
    """
    if isinstance(plan.folder, Path):
        check_folder(plan.folder)
    if overwrite:
        return read_state(plan.folder)
    is_there: Callable[[Location], bool] = exists
    if isinstance(plan.folder, RemotePath):
        is_there = _listed(plan.folder).__contains__
    # Looked for before the journal is read: a run at work beside this one writes a line before its
    # file, which would else be taken for somebody's who has no line.
    there = {pair.name for pair in plan.pairs if is_there(pair.output)}
    state = read_state(plan.folder)
    for pair in plan.pairs:
        known = state.pairs.get(pair.name)
        if relative_output(plan.folder, pair) not in state.outputs:
            if pair.name in there:
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
                        f"{pair.output} was made from {source.path}, not from {path}: choose "
                        "another folder with -o, or --force to replace it"
                    )
    return state


def check_settings(
    plan: Plan, settings: Settings, state: State, *, overwrite: bool = False
) -> None:
    """Check that a folder holds no outputs of other settings, unless they may be overwritten.

    Args:
        plan: Whose folder.
        settings: What the outputs to come are made with.
        state: What the folder's journal says.
        overwrite: Whether those that are there are replaced.

    Raises:
        UsageError: It holds some.
    """
    latest = state.settings
    if overwrite or latest is None or latest.key == settings.key:
        return
    # The latest run may have ended before its first pair: what is there is what counts.
    others = {record.settings for record in state.pairs.values()} - {settings.key}
    if not others:
        return
    before = latest if latest.key in others else state.runs.get(min(others), latest)
    raise UsageError(
        f"{plan.folder} holds a batch made with {', '.join(before.differences(settings))}, and "
        f"this one has {', '.join(settings.differences(before))}: choose another folder with -o, "
        "or --force to make it anew"
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
