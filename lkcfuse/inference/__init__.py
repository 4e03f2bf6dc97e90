"""Running a network on an image of any size: devices, memory, exact tiling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lkcfuse.inference.options import InferenceOptions

if TYPE_CHECKING:
    from lkcfuse.inference.devices import describe, select_device, thread_count, use_threads
    from lkcfuse.inference.plan import Plan
    from lkcfuse.inference.session import InferenceSession, infer, plan_run

__all__ = [
    "InferenceOptions",
    "InferenceSession",
    "Plan",
    "describe",
    "infer",
    "plan_run",
    "select_device",
    "thread_count",
    "use_threads",
]

_HOME = {
    "Plan": "plan",
    "describe": "devices",
    "InferenceSession": "session",
    "infer": "session",
    "plan_run": "session",
    "select_device": "devices",
    "thread_count": "devices",
    "use_threads": "devices",
}


def __getattr__(name: str) -> object:
    """Import what needs torch when it is first asked for: options are checked without it."""
    if name not in _HOME:
        raise AttributeError(f"module 'lkcfuse.inference' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(f"lkcfuse.inference.{_HOME[name]}"), name)
    globals()[name] = value
    return value
