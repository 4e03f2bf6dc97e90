"""Fuse many pairs: plan them, work through them, keep a journal that makes a run resumable.

A batch in three steps::

    plan = plan_folders(Path("ir"), Path("vis"), Path("fused"))
    with open_batch(plan) as batch:
        for outcome in batch.run(Fuser()):
            print(outcome.pair.output, outcome.status)

Nothing here imports torch before the network is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lkcfuse.batch.journal import read_pairs
    from lkcfuse.batch.plan import Listed, Plan, PlannedPair, plan_folders, plan_list
    from lkcfuse.batch.ray_engine import RayEngine
    from lkcfuse.batch.run import Batch, Outcome, open_batch

__all__ = [
    "Batch",
    "Listed",
    "Outcome",
    "Plan",
    "PlannedPair",
    "RayEngine",
    "open_batch",
    "plan_folders",
    "plan_list",
    "read_pairs",
]

_HOME = {
    "Batch": "run",
    "Listed": "plan",
    "Outcome": "run",
    "Plan": "plan",
    "PlannedPair": "plan",
    "RayEngine": "ray_engine",
    "open_batch": "run",
    "plan_folders": "plan",
    "plan_list": "plan",
    "read_pairs": "journal",
}


def __getattr__(name: str) -> object:
    """Import a name's module when it is first asked for.

    A worker on another machine imports this package before numpy is loaded: see `ray_actor.py`.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'lkcfuse.batch' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(f"lkcfuse.batch.{_HOME[name]}"), name)
    globals()[name] = value
    return value
