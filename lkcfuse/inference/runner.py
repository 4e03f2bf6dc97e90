"""Run a network on one pair, whole or in regions, on any device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import RLock
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lkcfuse.errors import ResourceError
from lkcfuse.inference.card import Card
from lkcfuse.inference.gpu import (
    HALVES,
    fits,
    none_when_out_of_memory,
    on_host,
    run_whole,
    tensor_cores,
)
from lkcfuse.inference.layers import SpectrumCache
from lkcfuse.inference.memory import available_memory
from lkcfuse.inference.options import SMALLEST_TILE, InferenceOptions
from lkcfuse.inference.plan import SHARE, Plan, make_plan
from lkcfuse.inference.storage import FeatureMap, MemoryMap, MemoryPool, Scratch
from lkcfuse.inference.streaming import StreamingRun
from lkcfuse.network.config import NetworkConfig
from lkcfuse.network.lkcfunet import LKCFUNet, pad_to_multiple
from lkcfuse.network.products import single_threaded
from lkcfuse.network.workspace import workspace

Progress = Callable[[float, float], None]
"""Called with (done, total), in any unit, as work goes on."""


class _Kept:
    """What is kept from image to image for a network.

    Attributes:
        running: Held while an image is fused: what is kept serves one at a time.
        plan: That of the latest image.
        failed_pixels: For a GPU, the smallest image that it had no room for as a whole.
    """

    def __init__(self) -> None:
        self.running = RLock()
        self.plan: Plan | None = None
        self.spectra = SpectrumCache(0)
        self.pool = MemoryPool()
        self.failed_pixels: dict[torch.device, float] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the next image need not ask the system for."""
        return self.spectra.nbytes + self.pool.nbytes + workspace.nbytes

    def clear(self) -> None:
        """Give back to the system what an image of another size would have no use for."""
        self.spectra.clear()
        self.pool.clear()


_KEPT: WeakKeyDictionary[LKCFUNet, _Kept] = WeakKeyDictionary()


def infer(
    network: LKCFUNet,
    pair: npt.NDArray[np.float32],
    *,
    device: torch.device | None = None,
    options: InferenceOptions | None = None,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Run a network on one pair.

    Args:
        network: In evaluation mode. Its weights may change between calls, in place too, but not
            by way of `parameter.data`, which torch does not count. One that is on a GPU stays there
            when the CPU computes.
        pair: `(2, H, W)` float32, in the network's order of channels and range of values.
        device: Where to compute; the CPU by default.
        options: How to run.
        progress: Called with (done, total) as the run goes on.

    Returns:
        `(H, W)` float32, not clipped.

    Raises:
        ResourceError: Memory or scratch do not suffice.
    """
    device = device or torch.device("cpu")
    options = options or InferenceOptions()
    if pair.ndim != 3 or pair.shape[0] != 2 or 0 in pair.shape:
        raise ValueError(f"a pair is (2, H, W), not {pair.shape}")
    tensor = torch.from_numpy(np.ascontiguousarray(pair, dtype=np.float32))
    kept = _KEPT.setdefault(network, _Kept())
    with kept.running, torch.inference_mode():
        if device.type == "cpu":
            host = on_host(network)
            if host is not network:
                kept = _Kept()  # for a copy that this call alone uses
            result = _run_on_cpu(host, tensor, options, kept, progress)
        else:
            result = _run_on_gpu(network, tensor, device, options, kept, progress)
    return result.numpy()


def check_run(network: LKCFUNet, height: int, width: int, options: InferenceOptions) -> None:
    """Check that `infer` can fuse an image of that size on the CPU.

    Raises:
        ResourceError: Memory or scratch do not suffice.
    """
    kept = _KEPT.setdefault(network, _Kept())
    with kept.running:
        plan_run(network.config, height, width, options, kept=kept.nbytes)


def plan_run(
    config: NetworkConfig, height: int, width: int, options: InferenceOptions, *, kept: int = 0
) -> Plan:
    """Plan what `infer` does on the CPU for an image of that size.

    Args:
        config: Of the network.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        options: How to run.
        kept: Bytes that earlier images have left for this one.

    Raises:
        ResourceError: Memory or scratch do not suffice.
    """
    available = available_memory() + kept
    limit = int(available * SHARE)
    if options.memory is not None:
        if options.memory > available:
            raise ResourceError(
                f"{options.memory / 1e9:.2f} GB of memory were granted and "
                f"{available / 1e9:.2f} GB are free; lower --memory, or free some"
            )
        limit = options.memory
    plan = make_plan(
        config,
        height,
        width,
        limit=limit,
        tile=options.tile if isinstance(options.tile, int) else None,
        whole=options.tile == "off",
        scratch_itemsize=getattr(torch, options.scratch_type).itemsize,
    )
    if plan.scratch:
        Scratch(options.scratch).check(plan.scratch)
    return plan


def _run_on_cpu(
    network: LKCFUNet,
    pair: Tensor,
    options: InferenceOptions,
    kept: _Kept,
    progress: Progress | None,
    card: Card | None = None,
) -> Tensor:
    height, width = pair.shape[1:]
    plan = plan_run(network.config, height, width, options, kept=kept.nbytes)
    limit = options.memory or available_memory() + kept.nbytes
    left = kept.spectra.nbytes + kept.pool.nbytes
    if kept.plan is not None and kept.plan != plan and plan.memory + left > limit:
        # Buffers of other sizes would stay beside those that this image needs.
        kept.clear()
    kept.plan = plan
    kept.spectra.budget = plan.spectra
    with single_threaded():
        return _stream(network, pair, plan, options, kept, progress, card)


def _stream(
    network: LKCFUNet,
    pair: Tensor,
    plan: Plan,
    options: InferenceOptions,
    kept: _Kept,
    progress: Progress | None,
    card: Card | None,
) -> Tensor:
    """Run region by region, feature maps where the plan puts them."""
    height, width = pair.shape[1:]
    kept.pool.roomy = plan.roomy
    # By default Linux begins to write at a tenth of the available memory, and what is little may
    # never have to go to the disk.
    with Scratch(
        options.scratch,
        getattr(torch, options.scratch_type),
        write_out=plan.scratch > available_memory() / 10,
    ) as scratch:

        def new_map(level: int, shape: tuple[int, int, int], name: str, room: int) -> FeatureMap:
            if plan.scratch_levels[level]:
                return scratch.new_map(*shape, name)
            return MemoryMap(*shape, kept.pool, room)

        total = multiplications(network, plan.height, plan.width)
        done = 0.0

        def advance(count: float) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(min(done, total), total)

        run = StreamingRun(
            network, kept.spectra, new_map, tile=plan.tile, advance=advance, card=card
        )
        result = run.run(pad_to_multiple(pair[None])[0])[:height, :width]
        if progress is not None:
            progress(total, total)
    if network.config.base == "max":
        for line, first, second in zip(result, pair[0], pair[1], strict=True):
            line.add_(torch.maximum(first, second))
    return result.contiguous()


def multiplications(network: LKCFUNet, height: int, width: int) -> float:
    """Multiplications that direct convolution would take, as `StreamingRun` counts them."""
    total = 0.0
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size[0] > 1 and name != "stem.conv":
            total += module.weight.numel() * height * width / 4 ** _level(name)
    return total


def _level(name: str) -> int:
    """The level whose resolution a layer's result has, from the layer's name."""
    part, _, rest = name.partition(".")
    number = int(rest[0]) if rest[:1].isdigit() else 0
    return {"encoder": number, "decoder": number, "downsample": number + 1, "middle": 2}.get(
        part, 0 if part != "upsample" else number
    )


def _run_on_gpu(
    network: LKCFUNet,
    pair: Tensor,
    device: torch.device,
    options: InferenceOptions,
    kept: _Kept,
    progress: Progress | None,
) -> Tensor:
    """Run whole in the device's memory where that fits, else in regions with the maps on the host.

    With `tile` off it is whole or an error, with a number always regions.
    """
    pixels = pair.shape[1] * pair.shape[2]
    whole, any_size = options.tile == "off", options.tile == "auto"
    failed = kept.failed_pixels.get(device, float("inf"))
    if whole or (any_size and pixels < failed and fits(network.config, pixels, device)):
        run = partial(run_whole, network, pair, device, options.precision)
        result = none_when_out_of_memory(run, device)
        if result is not None:
            return result
        kept.failed_pixels[device] = min(failed, pixels)
    if whole:
        raise ResourceError(f"{device} ran out of memory; let it tile with --tile auto")
    host = on_host(network)
    card = Card(device, HALVES.get(options.precision, torch.float32))
    most = options.tile if isinstance(options.tile, int) else float("inf")
    for tile in (options.tile, *(side for side in (128, 64, SMALLEST_TILE) if side < most)):
        bounded = replace(options, tile=tile)
        run = partial(_run_on_cpu, host, pair, bounded, kept, progress, card)
        with tensor_cores(options.precision):
            result = none_when_out_of_memory(run, device)
        if result is not None:
            return result
    raise ResourceError(f"{device} ran out of memory even with small tiles; use --device cpu")
