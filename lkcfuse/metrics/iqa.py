"""Metrics of pyiqa by name, `iqa:lpips`: LPIPS, DISTS, NIQE, BRISQUE, MUSIQ and many more.

pyiqa fetches and keeps their networks itself, and is not part of lkcfuse: its licence allows
noncommercial use alone.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.errors import LkcfuseError, ResourceError, UsageError
from lkcfuse.metrics.plane import Plane, planes
from lkcfuse.metrics.registry import Metric, Needs

PREFIX = "iqa:"


@lru_cache
def iqa_metric(name: str) -> Metric:
    """Return a metric of pyiqa.

    One that compares with a reference is the mean over the two sources; one that needs none looks
    at the fused image alone. Both see the luma, as three equal channels in 0..1, on the CPU.

    Args:
        name: Its name with the prefix: `iqa:lpips`.

    Raises:
        ResourceError: pyiqa is not installed, or cannot be loaded.
        UsageError: It has no such metric.
    """
    known = name.removeprefix(PREFIX)
    configs = _import("pyiqa.default_model_configs").DEFAULT_CONFIGS
    config = configs.get(known)
    if config is None or config.get("metric_mode") not in ("FR", "NR"):
        raise UsageError(f"pyiqa has no metric '{known}': see python -m pyiqa -ls")

    def compared(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
        f, a, b = planes(fused, a, b)
        return sum(_score(known, f, source) for source in (a, b)) / 2

    def alone(fused: ArrayLike | Plane) -> float:
        (f,) = planes(fused)
        return _score(known, f)

    with_sources = config["metric_mode"] == "FR"
    function = compared if with_sources else alone
    sources = "of the fused image with each source, the mean of both" if with_sources else ""
    function.__doc__ = (
        f"{known} as pyiqa computes it{', ' * bool(sources)}{sources}.\n\n"
        f"Luma as three equal channels in 0..1.\n\nReturns:\n    See pyiqa\n\n"
        "Source:\n    https://github.com/chaofengc/IQA-PyTorch"
    )
    return Metric(
        PREFIX + known,
        function,
        Needs.SOURCES if with_sources else Needs.NOTHING,
        higher_is_better=not config.get("lower_better", False),
        on_request=True,
    )


def _score(name: str, *images: Plane) -> float:
    torch = _import("torch")
    tensors = [
        torch.from_numpy(np.repeat(image.pixels[None, None] / 255, 3, axis=1)).float().clamp(0, 1)
        for image in images
    ]
    return float(_model(name)(*tensors))


@lru_cache
def _model(name: str) -> Any:
    """Return the loaded metric; pyiqa fetches what it needs."""
    try:
        return _import("pyiqa").create_metric(name, device="cpu")
    except LkcfuseError:
        raise
    except Exception as error:
        raise ResourceError(
            f"pyiqa cannot load its metric {name} ({type(error).__name__}: {error}): "
            "it fetches weights when a metric is first used, so check the network"
        ) from error


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyiqa":
            raise _broken(error) from error
        raise ResourceError(
            "metrics that begin with iqa: need pyiqa: pip install 'lkcfuse[iqa]' (its licence "
            "allows noncommercial use alone)"
        ) from None
    except Exception as error:
        # A torchvision that does not fit torch raises what it likes.
        raise _broken(error) from error


def _broken(error: Exception) -> ResourceError:
    return ResourceError(
        f"pyiqa is installed but cannot be imported ({type(error).__name__}: {error}): install the "
        "torchvision that belongs to this torch, and what pyiqa needs"
    )
