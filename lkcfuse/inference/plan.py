"""What a run will take, worked out before it starts: regions, memory, scratch."""

from __future__ import annotations

from dataclasses import dataclass

from lkcfuse.errors import ResourceError
from lkcfuse.inference.layers import NATIVE_FLOATS, largest_region
from lkcfuse.inference.options import SMALLEST_TILE
from lkcfuse.network.blocks import LARGE_KERNEL_EXPANSION
from lkcfuse.network.column_steps import BLOCK_COLUMNS
from lkcfuse.network.config import LEVELS, SIZE_MULTIPLE, NetworkConfig
from lkcfuse.network.overlap_save import spectrum_floats
from lkcfuse.network.parallel import worker_count
from lkcfuse.network.tiles import plan_tiles

_BLOCK = 1 + LARGE_KERNEL_EXPANSION  # a large-kernel block: its map, and the hidden one
LIVE_MAPS = (
    (_BLOCK, 0, 0),
    (1, _BLOCK, 0),
    (1, 1, 1 + _BLOCK),  # the first block in the middle writes to a map of its own
    (1, 2, 1),  # the coarser features are doubled beside the skip connection
    (2, 1, 0),
)
"""Maps of C channels that are alive at full, half and quarter resolution, as a run goes on."""

SHARE = 0.8
"""Part of the available memory that a run plans to use when it is told no limit."""


@dataclass(frozen=True)
class Plan:
    """How a run goes.

    Attributes:
        height, width: Of the image, padded to what the network takes.
        tile: Bound on the sides of a region, None for the fastest.
        scratch_levels: For every level, whether its maps are in scratch files.
        memory: Bytes the run takes at its peak, beyond what the process has now.
        scratch: Bytes of scratch at its peak.
        spectra: Bytes of memory left for keeping transformed kernels.
        roomy: Whether there is memory for maps to be in buffers larger than they are, which then
            need not be made anew.
    """

    height: int
    width: int
    tile: int | None
    scratch_levels: tuple[bool, ...]
    memory: int
    scratch: int
    spectra: int
    roomy: bool

    @property
    def tiled(self) -> bool:
        """Whether anything is done to save memory."""
        return self.tile is not None or any(self.scratch_levels)


def make_plan(
    config: NetworkConfig,
    height: int,
    width: int,
    *,
    limit: int,
    tile: int | None = None,
    whole: bool = False,
    scratch_itemsize: int = 4,
) -> Plan:
    """Plan a run on the CPU.

    Args:
        config: Of the network.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        limit: Bytes of memory the run may take, beyond what the process has now.
        tile: Bound on the sides of a region, in pixels; None lets the plan choose.
        whole: Keep everything in memory, in the fastest regions, or fail.
        scratch_itemsize: Bytes of a number in a scratch file.

    Raises:
        ResourceError: The memory does not suffice; the message says what would help.
    """
    height += -height % SIZE_MULTIPLE
    width += -width % SIZE_MULTIPLE
    plan = _plan(config, height, width, tile, (False,) * LEVELS, scratch_itemsize, limit)
    if plan.memory <= limit:
        return plan
    if whole:
        raise ResourceError(
            f"{_gigabytes(plan.memory)} of memory are needed to fuse {width} x {height} pixels "
            f"whole and {_gigabytes(limit)} may be used; let it tile with --tile auto"
        )
    # The finest levels go to disk first: they take the most, and the fewer maps are on disk the
    # faster it is. Only then are regions made smaller.
    tiles = [tile] if tile is not None else [None, 512, 256, 128, 64, SMALLEST_TILE]
    for size in tiles:
        for count in range(LEVELS + 1):
            levels = tuple(level < count for level in range(LEVELS))
            plan = _plan(config, height, width, size, levels, scratch_itemsize, limit)
            if plan.memory <= limit:
                return plan
    raise ResourceError(
        f"{_gigabytes(plan.memory)} of memory are needed to fuse {width} x {height} pixels, even "
        f"with feature maps on disk, and {_gigabytes(limit)} may be used; free some, raise "
        "--memory, or use weights of a smaller width"
    )


def _plan(
    config: NetworkConfig,
    height: int,
    width: int,
    tile: int | None,
    scratch_levels: tuple[bool, ...],
    itemsize: int,
    limit: int,
) -> Plan:
    pixels = height * width
    sizes = [config.channels * pixels / 4**level for level in range(LEVELS)]
    scratch = itemsize * max(
        sum(maps[level] * sizes[level] for level in range(LEVELS) if scratch_levels[level])
        for maps in LIVE_MAPS
    )
    # In memory a level keeps its buffers until the end, for the next image to have.
    most = [max(maps[level] for maps in LIVE_MAPS) for level in range(LEVELS)]
    in_memory = [level for level in range(LEVELS) if not scratch_levels[level]]
    memory = 4 * sum(most[level] * sizes[level] for level in in_memory)
    # Where any map may get the buffer of a hidden one, each counts as such.
    handed_on = 4 * sum(
        LARGE_KERNEL_EXPANSION * int(most[level]) * sizes[level] for level in in_memory
    )
    extra = handed_on - memory
    # The pair, padded, and the result.
    memory += 4 * 4 * pixels
    memory += 4 * _buffer_floats(config, height, width, tile)
    roomy = memory + extra <= limit
    if roomy:
        memory += extra
    return Plan(
        height=height,
        width=width,
        tile=tile,
        scratch_levels=scratch_levels,
        memory=int(memory),
        scratch=int(scratch),
        spectra=max(0, int((limit - memory) / 2)),
        roomy=roomy,
    )


def _buffer_floats(config: NetworkConfig, height: int, width: int, tile: int | None) -> float:
    """Floats of the buffers a region goes through; every kind is as large as the largest needs."""
    channels, inner = config.channels, config.inner
    convolutions = [
        (0, config.kernels[0], inner, channels),
        (0, config.kernels[0], channels + inner, channels),
    ]
    for level, kernel in enumerate(config.kernels):
        convolutions += [
            (level, kernel, channels, channels),
            (level, kernel, 2 * channels, channels),
        ]
    transforms = spectrum = 0.0
    for level, kernel, inputs, outputs in convolutions:
        rows, columns = height >> level, width >> level
        plan = plan_tiles(rows, columns, kernel, inputs, outputs)
        if plan is None:
            continue
        part = largest_region(plan, inputs, outputs, tile)
        transforms = max(
            transforms,
            2.0 * part.frequencies_y * part.rows * part.padded_width * max(inputs, outputs)
            + 5.0 * worker_count() * part.size_x * part.rows * part.columns * (inputs + outputs)
            # Blocks of columns before and after they are folded.
            + 2.5 * worker_count() * part.size_y * BLOCK_COLUMNS,
        )
        spectrum = max(spectrum, spectrum_floats(part, inputs, outputs))
    hidden = int(LARGE_KERNEL_EXPANSION * channels)
    native = float(NATIVE_FLOATS)
    if tile is not None:
        native = min(native, float(hidden * (tile + config.kernels[0] - 1) ** 2))
    # A native convolution has its input, its result, and copies of both in its own layout.
    return transforms + 4 * native + spectrum


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB"
