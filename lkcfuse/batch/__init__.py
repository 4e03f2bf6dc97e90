"""Fuse many pairs: plan them, work through them, keep a journal that makes a run resumable.

A batch in three steps::

    plan = plan_folders(Path("ir"), Path("vis"), Path("fused"))
    with open_batch(plan) as batch:
        for outcome in batch.run(Fuser()):
            print(outcome.pair.output, outcome.status)

Nothing here imports torch before the network is needed.
"""

from __future__ import annotations

from lkcfuse.batch.journal import read_pairs
from lkcfuse.batch.plan import Listed, Plan, PlannedPair, plan_folders, plan_list
from lkcfuse.batch.run import Batch, Outcome, open_batch

__all__ = [
    "Batch",
    "Listed",
    "Outcome",
    "Plan",
    "PlannedPair",
    "open_batch",
    "plan_folders",
    "plan_list",
    "read_pairs",
]
