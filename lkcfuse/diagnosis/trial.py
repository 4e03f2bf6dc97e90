"""A trial run of the network on a device, against plain convolution in double precision."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from copy import deepcopy

import numpy as np

from lkcfuse.diagnosis.finding import Finding
from lkcfuse.errors import ResourceError

SMALL, USUAL = (64, 96), (480, 640)
"""(height, width) of the image that is compared, and of the one that is timed."""

TOLERANCE = 0.25
"""Grey levels of 255 that a device may be off. float32 rounds to less than a hundredth of it."""


def try_device(name: str, threads: int | None = None) -> Iterator[Finding]:
    """Fuse noise with the packaged infrared-visible network on a device, and judge the result.

    The reference has nothing in common with what is tried but the weights: torch's own
    convolution, in double precision, on the CPU.

    Args:
        name: The device, as `--device` takes it.
        threads: Threads on the CPU; None for the usual number.

    Raises:
        ResourceError: The device is absent.
        LkcfuseError: The network cannot be loaded or run.
    """
    import torch

    from lkcfuse.inference import (
        InferenceSession,
        describe,
        select_device,
        thread_count,
        use_threads,
    )
    from lkcfuse.models import resolve
    from lkcfuse.models.checkpoint import load_network
    from lkcfuse.models.manifest import Manifest, built_in_path, read_manifest

    device, threads = select_device(name), thread_count(threads)
    packaged = Manifest(read_manifest(built_in_path(), built_in=True))
    weights = resolve(None, "ir-vis", offline=True, manifest=packaged)
    network = load_network(weights.path)
    generator, (black, white) = np.random.default_rng(0), weights.processing.input_range
    small, usual = (
        generator.uniform(black, white, (2, *size)).astype(np.float32) for size in (SMALL, USUAL)
    )
    darkest, brightest = weights.processing.output_range
    levels = 255 / (brightest - darkest)
    session = InferenceSession(network, device=device)
    with session, use_threads(threads), torch.inference_mode():
        exact = deepcopy(network).double()(torch.from_numpy(small).double()[None])[0, 0].numpy()
        difference = levels * float(abs(session.run(small) - exact).max())
        session.run(usual)
        started = time.perf_counter()
        session.run(usual)
        seconds = time.perf_counter() - started
    where = describe(device, threads=threads)
    details = {
        "device": str(device),
        "threads": threads if device.type == "cpu" else None,
        # JSON has no other numbers.
        "difference_levels": difference if math.isfinite(difference) else None,
        "seconds": round(seconds, 4),
    }
    text = (
        f"on {where}: {USUAL[1]}x{USUAL[0]} pixels in {seconds:.2f} s, "
        f"at most {difference:.2g} grey levels off"
    )
    # Written this way round so that NaN fails.
    if not difference <= TOLERANCE:
        yield Finding(
            "network",
            text,
            "failed",
            f"do not use {device} with torch {torch.__version__}; report it to lkcfuse",
            details,
            ResourceError.exit_code,
        )
        return
    yield Finding("network", text, details=details)
