"""Run a network on one pair, whole or in regions, on any device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lkcfuse.errors import ResourceError
from lkcfuse.inference.layers import SpectrumCache
from lkcfuse.inference.memory import available_memory
from lkcfuse.inference.options import SMALLEST_TILE, InferenceOptions, Precision
from lkcfuse.inference.plan import SHARE, Plan, make_plan
from lkcfuse.inference.storage import FeatureMap, MemoryMap, MemoryPool, Scratch
from lkcfuse.inference.streaming import StreamingRun
from lkcfuse.network.config import NetworkConfig
from lkcfuse.network.lkcfunet import LKCFUNet, pad_to_multiple
from lkcfuse.network.products import single_threaded

Progress = Callable[[float, float], None]
"""Called with (done, total), in any unit, as work goes on."""


class _Kept:
    """What is kept from image to image for a network."""

    def __init__(self) -> None:
        self.spectra = SpectrumCache(0)
        self.pool = MemoryPool()
        self.failed_pixels = float("inf")


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
        network: In evaluation mode.
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
    with torch.inference_mode():
        if device.type == "cpu":
            if any(parameter.device != device for parameter in network.parameters()):
                network = network.to(device)
            result = _run_on_cpu(network, tensor, options, kept, progress)
        else:
            result = _run_on_gpu(network, tensor, device, options, kept, progress)
    return result.numpy()


def plan_run(config: NetworkConfig, height: int, width: int, options: InferenceOptions) -> Plan:
    """Plan what `infer` does on the CPU for an image of that size.

    Raises:
        ResourceError: Memory or scratch do not suffice.
    """
    available = available_memory()
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
) -> Tensor:
    height, width = pair.shape[1:]
    plan = plan_run(network.config, height, width, options)
    kept.spectra.budget = plan.spectra
    with single_threaded():
        return _stream(network, pair, plan, options, kept, progress)


def _stream(
    network: LKCFUNet,
    pair: Tensor,
    plan: Plan,
    options: InferenceOptions,
    kept: _Kept,
    progress: Progress | None,
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

        run = StreamingRun(network, kept.spectra, new_map, tile=plan.tile, advance=advance)
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
    """Run whole in the device's memory where that fits, else in ever smaller regions."""
    network = network.to(device)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    pair = pair.to(device)
    pixels = pair.shape[1] * pair.shape[2]
    with _precision(options.precision, device):
        fits = pixels < kept.failed_pixels and (
            options.tile == "off" or _fits(network.config, pixels, device)
        )
        if not isinstance(options.tile, int) and fits:
            try:
                batch = pair[None].contiguous(memory_format=torch.channels_last)
                result: Tensor = network(batch)
                return result[0, 0].float().cpu()
            except RuntimeError as error:
                _reraise_unless_out_of_memory(error)
                kept.failed_pixels = min(kept.failed_pixels, pixels)
                _empty_cache(device)
                if options.tile == "off":
                    raise ResourceError(
                        f"{device} ran out of memory; let it tile with --tile auto"
                    ) from error
        tile = options.tile if isinstance(options.tile, int) else 1024
        while tile >= SMALLEST_TILE:
            tiled = _tile_on_gpu(network, pair, device, tile, options, kept, progress)
            if tiled is not None:
                return tiled
            tile //= 2
    raise ResourceError(f"{device} ran out of memory even with small tiles; use --device cpu")


def _tile_on_gpu(
    network: LKCFUNet,
    pair: Tensor,
    device: torch.device,
    tile: int,
    options: InferenceOptions,
    kept: _Kept,
    progress: Progress | None,
) -> Tensor | None:
    """Run in regions of a size; None where the device's memory does not suffice."""
    height, width = pair.shape[1:]
    plan = replace(plan_run(network.config, height, width, options), tile=tile)
    try:
        with torch.device(device), torch.autocast(device.type, enabled=False):
            return _stream(network, pair, plan, options, kept, progress).cpu()
    except RuntimeError as error:
        _reraise_unless_out_of_memory(error)
        _empty_cache(device)
        return None


def _fits(config: NetworkConfig, pixels: int, device: torch.device) -> bool:
    """Whether the whole image should fit in the device's memory."""
    if device.type != "cuda":
        return True  # no way to know beforehand: try
    free, _ = torch.cuda.mem_get_info(device)
    # The module forward holds the skip, the decoder's map, the doubled fusion map, its
    # normalised copy and a convolution's result at full resolution at the worst moment.
    return 4 * 8 * config.channels * pixels < free


@contextmanager
def _precision(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute in a precision; normalisations stay in float32 under autocast."""
    half: AbstractContextManager[None] = nullcontext()
    if precision in ("bf16", "fp16"):
        dtype = torch.bfloat16 if precision == "bf16" else torch.float16
        half = torch.autocast(device.type, dtype=dtype)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        with half:
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _reraise_unless_out_of_memory(error: RuntimeError) -> None:
    # CUDA has a class of its own for it; MPS says it in the message alone.
    if not isinstance(error, torch.OutOfMemoryError) and "out of memory" not in str(error):
        raise error


def _empty_cache(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
