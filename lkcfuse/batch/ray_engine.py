"""The engine on many machines: Ray holds the workers, and this process hands pairs out.

`ray_cluster.py` finds or starts Ray, `ray_run.py` is a run, `ray_pool.py` its workers as the
driver sees them, and `ray_actor.py` what Ray starts on their machines.
"""

from __future__ import annotations

from collections.abc import Generator

from lkcfuse.batch import ray_run
from lkcfuse.batch.engine import Finished, Work
from lkcfuse.batch.ray_cluster import Cluster, require_ray
from lkcfuse.errors import UsageError
from lkcfuse.fusion.fuser import Fuser, Progress


class RayEngine:
    """Works through the pairs on workers of a Ray cluster, and yields them as they are done.

    Used as a context manager, it leaves the cluster at the end, and ends one that it started.

    Args:
        address: `HOST:PORT` of the cluster's head, `auto` for the one this machine is part of;
            None takes the one that `RAY_ADDRESS` names, or starts one of this machine alone.
        workers: Processes that fuse; None for as many as the cluster holds.
        cpus_per_worker: CPUs, and threads, of each.
        gpus_per_worker: GPUs of each; 0.25 lets four share one.

    Raises:
        ResourceError: Ray is not installed.
        UsageError: A number is out of range.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int | None = None,
        cpus_per_worker: int = 1,
        gpus_per_worker: float = 0.0,
    ) -> None:
        require_ray()
        if (workers is not None and workers < 1) or cpus_per_worker < 1:
            raise UsageError("--workers and --cpus-per-worker must be 1 or more")
        if gpus_per_worker < 0 or (gpus_per_worker > 1 and gpus_per_worker % 1):
            raise UsageError(
                f"--gpus-per-worker {gpus_per_worker:g}: give a share below 1, or a whole number"
            )
        self._address = address
        self._asked_workers = workers
        self._cpus = cpus_per_worker
        self._gpus = gpus_per_worker
        self._cluster: Cluster | None = None

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def prepare(self, fuser: Fuser, *, progress: Progress | None = None) -> None:
        """Find the weights and the cluster; workers load the network themselves."""
        fuser.resolve(progress=progress)
        self._connected()

    def describe(self, fuser: Fuser) -> str:
        """Return the weights and the workers, for people."""
        cluster = self._connected()
        noun = "worker" if cluster.workers == 1 else "workers"
        return f"{fuser.weights.name} on {cluster.workers} {noun} of Ray ({cluster.share()} each)"

    def about(self, fuser: Fuser) -> dict[str, object]:  # noqa: ARG002 - an engine's interface
        """Return what the journal should say of what computes."""
        cluster = self._connected()
        return {
            "engine": "ray",
            "workers": cluster.workers,
            "cpus_per_worker": cluster.cpus,
            "gpus_per_worker": cluster.gpus,
        }

    def run(self, work: Work) -> Generator[Finished, None, None]:
        """Yield each pair when it is done or has failed."""
        return ray_run.run(self._connected(), work)

    def _connected(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self._address, self._asked_workers, self._cpus, self._gpus)
        return self._cluster
