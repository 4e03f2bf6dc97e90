"""Run a network on pair after pair, whole or in regions, on any device."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from threading import RLock
from types import TracebackType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lkcfuse.architectures.base import StreamingContext
from lkcfuse.architectures.registry import architecture_of
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.inference.devices import use_threads
from lkcfuse.inference.gpu import (
    HALVES,
    fits,
    none_when_out_of_memory,
    on_host,
    run_whole,
    tensor_cores,
)
from lkcfuse.inference.memory import available_memory
from lkcfuse.inference.options import SMALLEST_TILE, InferenceOptions
from lkcfuse.inference.plan import SHARE, Plan, make_plan, plan_whole
from lkcfuse.inference.storage import MemoryMap, MemoryPool, Scratch
from lkcfuse.inference.tiles import check_tileable, run_in_tiles
from lkcfuse.ops.products import single_threaded
from lkcfuse.ops.streaming.feature_map import FeatureMap
from lkcfuse.ops.streaming.layers import SpectrumCache
from lkcfuse.ops.streaming.offload import GpuOffload
from lkcfuse.ops.workspace import Workspace, use_workspace

Progress = Callable[[float, float], None]
"""Called with (done, total), in any unit, as work goes on."""


# The process that computed first. torch's threads do not survive a fork, and who waits for them in
# the child waits for ever.
_process: int | None = None


def _check_process() -> None:
    """Check that this process was not forked from one that had a session.

    Raises:
        UsageError: It was.
    """
    global _process
    if _process is None:
        _process = os.getpid()
    if _process != os.getpid():
        raise UsageError(
            "this process was forked from one that had loaded a network, and torch would wait for "
            "ever in it: start it with multiprocessing.get_context('spawn')"
        )


class InferenceSession:
    """Runs one network, and owns what is kept from image to image.

    A context manager; after its end, or `close`, everything it kept is given back. One image goes
    through at a time, others wait.

    Args:
        network: In evaluation mode, of a registered architecture. Its weights may change between
            runs, in place too, but not by way of `parameter.data`, which torch does not count. One
            that is on a GPU stays there when the CPU computes.
        device: Where to compute; the CPU by default.
        options: How to run.
        threads: Threads that the CPU computes with; None for torch's present number.

    Raises:
        TypeError: The network is not of a registered architecture.
        UsageError: This process was forked from one that had a session.

    Example:
        >>> import numpy as np
        >>> from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
        >>> network = LKCFUNet(NetworkConfig(inner=2)).eval()
        >>> with InferenceSession(network) as session:
        ...     session.run(np.zeros((2, 16, 24), np.float32)).shape
        (16, 24)
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: torch.device | None = None,
        options: InferenceOptions | None = None,
        threads: int | None = None,
    ) -> None:
        _check_process()
        self.network = network
        self.architecture = architecture_of(network)
        self.device = device or torch.device("cpu")
        self.options = options or InferenceOptions()
        self.threads = threads
        self._running = RLock()
        self._plan: Plan | None = None
        self._spectra = SpectrumCache(0)
        self._pool = MemoryPool()
        self._workspace = Workspace()
        # For a GPU, the smallest image that it had no room for as a whole.
        self._failed_pixels = float("inf")

    def __enter__(self) -> InferenceSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back all memory; a session that is used again begins anew."""
        with self._running:
            self._clear()
            self._workspace.clear()
            self._plan = None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the next image need not ask the system for."""
        return self._spectra.nbytes + self._pool.nbytes + self._workspace.nbytes

    def run(
        self, pair: npt.NDArray[np.float32], *, progress: Progress | None = None
    ) -> npt.NDArray[np.float32]:
        """Run the network on one pair.

        Args:
            pair: `(2, H, W)` float32, in the network's order of channels and range of values.
            progress: Called with (done, total) as the run goes on.

        Returns:
            `(H, W)` float32, not clipped.

        Raises:
            ResourceError: Memory or scratch do not suffice.
            UsageError: This process was forked from the session's.
        """
        _check_process()
        if pair.ndim != 3 or pair.shape[0] != 2 or 0 in pair.shape:
            raise ValueError(f"a pair is (2, H, W), not {pair.shape}")
        tensor = torch.from_numpy(np.ascontiguousarray(pair, dtype=np.float32))
        threads = nullcontext() if self.threads is None else use_threads(self.threads)
        with self._running, threads, use_workspace(self._workspace), torch.inference_mode():
            if self.device.type == "cpu":
                host = on_host(self.network)
                return self._run_on_cpu(host, tensor, self.options, progress).numpy()
            return self._run_on_gpu(tensor, progress).numpy()

    def check(self, height: int, width: int) -> None:
        """Check that an image of that size can be fused on the CPU.

        Raises:
            ResourceError: Memory or scratch do not suffice.
        """
        with self._running:
            self.plan(height, width)

    def plan(self, height: int, width: int) -> Plan:
        """Plan what `run` does on the CPU for an image of that size.

        Raises:
            ResourceError: Memory or scratch do not suffice.
        """
        return plan_run(self.network, height, width, self.options, kept=self.nbytes)

    def _clear(self) -> None:
        self._spectra.clear()
        self._pool.clear()

    def _run_on_cpu(
        self,
        network: nn.Module,
        pair: Tensor,
        options: InferenceOptions,
        progress: Progress | None,
        offload: GpuOffload | None = None,
    ) -> Tensor:
        height, width = pair.shape[1:]
        kept = self.nbytes
        plan = plan_run(network, height, width, options, kept=kept)
        if self.architecture.streaming is None:
            cpu = torch.device("cpu")
            return run_in_tiles(network, self.architecture, pair, plan.tile, cpu, "fp32", progress)
        limit = options.memory or available_memory() + kept
        left = self._spectra.nbytes + self._pool.nbytes
        if self._plan is not None and self._plan != plan and plan.memory + left > limit:
            # Buffers of other sizes would stay beside those that this image needs.
            self._clear()
        self._plan = plan
        self._spectra.budget = plan.spectra
        with single_threaded():
            return self._stream(network, pair, plan, options, progress, offload)

    def _stream(
        self,
        network: nn.Module,
        pair: Tensor,
        plan: Plan,
        options: InferenceOptions,
        progress: Progress | None,
        offload: GpuOffload | None,
    ) -> Tensor:
        """Run layer by layer, feature maps where the plan puts them."""
        streaming = self.architecture.streaming
        assert streaming is not None
        self._pool.slack = plan.slack
        # By default Linux begins to write at a tenth of the available memory, and what is little
        # may never have to go to the disk.
        with Scratch(
            options.scratch,
            getattr(torch, options.scratch_type),
            write_out=plan.scratch > available_memory() / 10,
        ) as scratch:

            def new_map(
                level: int, shape: tuple[int, int, int], name: str, room: int
            ) -> FeatureMap:
                if plan.scratch_levels[level]:
                    return scratch.new_map(*shape, name)
                return MemoryMap(*shape, self._pool, room)

            total = streaming.multiplications(network, *pair.shape[1:])
            done = 0.0

            def advance(count: float) -> None:
                nonlocal done
                done += count
                if progress is not None:
                    progress(min(done, total), total)

            context = StreamingContext(self._spectra, new_map, plan.tile, advance, offload)
            result = streaming.run(network, pair, context)
            if progress is not None:
                progress(total, total)
        return result

    def _run_on_gpu(self, pair: Tensor, progress: Progress | None) -> Tensor:
        """Run whole in the device's memory where that fits, else in parts.

        With `tile` off it is whole or an error, with a number always in parts.
        """
        options, device = self.options, self.device
        pixels = pair.shape[1] * pair.shape[2]
        whole, any_size = options.tile == "off", options.tile == "auto"
        floats = self.architecture.floats_per_pixel(self.network.config)
        if whole or (any_size and pixels < self._failed_pixels and fits(floats, pixels, device)):
            run = partial(run_whole, self.network, pair, device, options.precision)
            result = none_when_out_of_memory(run, device)
            if result is not None:
                return result
            self._failed_pixels = min(self._failed_pixels, pixels)
        if whole:
            raise ResourceError(f"{device} ran out of memory; let it tile with --tile auto")
        result = (
            self._tile_on_gpu(pair, progress)
            if self.architecture.streaming is None
            else self._offload(pair, progress)
        )
        if result is None:
            raise ResourceError(
                f"{device} ran out of memory even with small tiles; use --device cpu"
            )
        return result

    def _offload(self, pair: Tensor, progress: Progress | None) -> Tensor | None:
        """Run on the host, with the GPU for the convolutions."""
        options, device = self.options, self.device
        host = on_host(self.network)
        offload = GpuOffload(device, HALVES.get(options.precision, torch.float32))
        for tile in (options.tile, *_smaller(options.tile, (128, 64, SMALLEST_TILE))):
            bounded = replace(options, tile=tile)
            run = partial(self._run_on_cpu, host, pair, bounded, progress, offload)
            with tensor_cores(options.precision):
                result = none_when_out_of_memory(run, device)
            if result is not None:
                return result
        return None

    def _tile_on_gpu(self, pair: Tensor, progress: Progress | None) -> Tensor | None:
        """Run tile by tile on the GPU."""
        options = self.options
        check_tileable(self.network, self.architecture)
        tiles = [options.tile] if isinstance(options.tile, int) else []
        for tile in (*tiles, *_smaller(options.tile, (2048, 1024, 512, 256, 128, 64))):
            run = partial(
                run_in_tiles,
                self.network,
                self.architecture,
                pair,
                tile,
                self.device,
                options.precision,
                progress,
            )
            result = none_when_out_of_memory(run, self.device)
            if result is not None:
                return result
        return None


def infer(
    network: nn.Module,
    pair: npt.NDArray[np.float32],
    *,
    device: torch.device | None = None,
    options: InferenceOptions | None = None,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Run a network on one pair, once; an `InferenceSession` is faster for several.

    See `InferenceSession` and its `run` for the arguments, the result and what is raised.
    """
    with InferenceSession(network, device=device, options=options) as session:
        return session.run(pair, progress=progress)


def plan_run(
    network: nn.Module, height: int, width: int, options: InferenceOptions, *, kept: int = 0
) -> Plan:
    """Plan what a session does on the CPU for an image of that size.

    Args:
        network: The network.
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
    architecture = architecture_of(network)
    tile = options.tile if isinstance(options.tile, int) else None
    whole = options.tile == "off"
    if architecture.streaming is None:
        return plan_whole(architecture, network, height, width, limit=limit, tile=tile, whole=whole)
    plan = make_plan(
        architecture.streaming.memory(network.config),
        height,
        width,
        limit=limit,
        tile=tile,
        whole=whole,
        scratch_itemsize=getattr(torch, options.scratch_type).itemsize,
    )
    if plan.scratch:
        Scratch(options.scratch).check(plan.scratch)
    return plan


def _smaller(tile: int | str, sides: tuple[int, ...]) -> list[int]:
    """The sides to try after a tile that did not fit."""
    most = tile if isinstance(tile, int) else float("inf")
    return [side for side in sides if side < most]
