"""The process that Ray starts for a worker, before anything heavy is loaded in it.

Ray unpickles this class by its name, so importing this module must load neither numpy nor torch:
what they read from the environment is set first.
"""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

from lkcfuse.environment import apply_library_settings

if TYPE_CHECKING:
    from lkcfuse.batch.plan import PlannedPair
    from lkcfuse.batch.records import PairRecord
    from lkcfuse.batch.worker import Ready, Reply


class Actor:
    """A `Worker` as Ray holds it.

    Args:
        orders: Pickled `Orders`: unpickling them loads numpy.
        cpus: CPUs that are this process's own.
    """

    def __init__(self, orders: bytes, cpus: int) -> None:
        apply_library_settings()
        # torch takes its number of threads from here, where the fuser was not told one.
        os.environ["OMP_NUM_THREADS"] = str(cpus)
        from lkcfuse.batch.worker import Worker

        self._worker = Worker(pickle.loads(orders))

    def hello(self) -> Ready | Reply:
        """Load the network: see `Worker.hello`."""
        return self._worker.hello()

    def fuse(
        self, pair: PlannedPair, known: PairRecord | None, overwrite: bool
    ) -> tuple[Reply, bytes | None]:
        """Fuse a pair: see `Worker.fuse`."""
        return self._worker.fuse(pair, known, overwrite)

    def publish(
        self, pair: PlannedPair, record: PairRecord, data: bytes, overwrite: bool
    ) -> Exception | None:
        """Write an output: see `Worker.publish`."""
        return self._worker.publish(pair, record, data, overwrite)
