"""The former home of `load_network`: it is `lkcfuse.models.load_network` now."""

from __future__ import annotations

import warnings


def __getattr__(name: str) -> object:
    if name != "load_network":
        raise AttributeError(f"module 'lkcfuse.network' has no attribute '{name}'")
    from lkcfuse.models import load_network

    warnings.warn(
        "lkcfuse.network.load_network is now lkcfuse.models.load_network",
        DeprecationWarning,
        stacklevel=2,
    )
    return load_network
