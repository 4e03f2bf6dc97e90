"""Running a network on an image of any size: devices, memory, exact tiling."""

from lkcfuse.inference.devices import (
    available_cpus,
    describe,
    select_device,
    thread_count,
    use_threads,
)
from lkcfuse.inference.plan import Plan
from lkcfuse.inference.runner import InferenceOptions, infer, plan_run

__all__ = [
    "InferenceOptions",
    "Plan",
    "available_cpus",
    "describe",
    "infer",
    "plan_run",
    "select_device",
    "thread_count",
    "use_threads",
]
