"""What a run will take, worked out before it starts: regions, memory, scratch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from lkcfuse.architectures.base import Architecture, MapMemory
from lkcfuse.errors import ResourceError
from lkcfuse.inference.options import SMALLEST_TILE

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
        slack: How many times larger than a map its buffer may be. More than 1 where there is
            memory for it, since buffers then need not be made anew.
    """

    height: int
    width: int
    tile: int | None
    scratch_levels: tuple[bool, ...]
    memory: int
    scratch: int
    spectra: int
    slack: float

    @property
    def tiled(self) -> bool:
        """Whether anything is done to save memory."""
        return self.tile is not None or any(self.scratch_levels)


def make_plan(
    maps: MapMemory,
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
        maps: What the network's feature maps take.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        limit: Bytes of memory the run may take, beyond what the process has now.
        tile: Bound on the sides of a region, in pixels; None lets the plan choose.
        whole: Keep everything in memory, in the fastest regions, or fail.
        scratch_itemsize: Bytes of a number in a scratch file.

    Raises:
        ResourceError: The memory does not suffice; the message says what would help.
    """
    height += -height % maps.size_multiple
    width += -width % maps.size_multiple
    in_memory = (False,) * maps.levels
    plan = _plan(maps, height, width, tile, in_memory, scratch_itemsize, limit)
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
        for count in range(maps.levels + 1):
            levels = tuple(level < count for level in range(maps.levels))
            plan = _plan(maps, height, width, size, levels, scratch_itemsize, limit)
            if plan.memory <= limit:
                return plan
    raise ResourceError(
        f"{_gigabytes(plan.memory)} of memory are needed to fuse {width} x {height} pixels, even "
        f"with feature maps on disk, and {_gigabytes(limit)} may be used; free some, raise "
        "--memory, or use weights of a smaller width"
    )


def plan_whole(
    architecture: Architecture,
    network: nn.Module,
    height: int,
    width: int,
    *,
    limit: int,
    tile: int | None = None,
    whole: bool = False,
) -> Plan:
    """Plan a run of a network that is not streamed: in one piece, or in tiles with a halo.

    Args:
        architecture: Of the network.
        network: The network.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        limit: Bytes of memory the run may take, beyond what the process has now.
        tile: Bound on the sides of a tile, in pixels; None lets the plan choose.
        whole: In one piece, or fail.

    Raises:
        ResourceError: The memory does not suffice, or the network cannot be run in tiles.
    """
    halo = None if whole else architecture.halo(network)
    sides: list[int | None] = [tile]
    if tile is None and halo is not None:
        preferred = architecture.preferred_tile
        if preferred is not None and max(height, width) > preferred:
            sides = [preferred]
        smaller = preferred or 1 << 62
        sides += [side for side in (2048, 1024, 512, 256, 128, 64) if side < smaller]
    if tile is not None and halo is None:
        raise ResourceError(
            f"{architecture.title} computes statistics of the whole image and cannot run in "
            "tiles: leave out --tile"
        )
    for side in sides:
        down, across = (
            length if side is None else min(length, side + 2 * (halo or 0))
            for length in (height, width)
        )
        # The pair and the result, and what a tile takes.
        floats = 4 * height * width + architecture.floats_per_pixel(network.config) * down * across
        memory = int(4 * floats)
        if memory <= limit:
            return Plan(height, width, side, (), memory, scratch=0, spectra=0, slack=1.0)
    raise ResourceError(
        f"{_gigabytes(memory)} of memory are needed to fuse {width} x {height} pixels with "
        f"{architecture.title} and {_gigabytes(limit)} may be used; "
        + ("let it tile with --tile auto" if whole else "free some, or raise --memory")
    )


def _plan(
    maps: MapMemory,
    height: int,
    width: int,
    tile: int | None,
    scratch_levels: tuple[bool, ...],
    itemsize: int,
    limit: int,
) -> Plan:
    pixels = height * width
    levels = range(maps.levels)
    sizes = [maps.channels * pixels / 4**level for level in levels]
    scratch = itemsize * max(
        sum(stage[level] * sizes[level] for level in levels if scratch_levels[level])
        for stage in maps.live
    )
    # In memory a level keeps its buffers until the end, for the next image to have.
    most = [max(stage[level] for stage in maps.live) for level in levels]
    in_memory = [level for level in levels if not scratch_levels[level]]
    memory = 4 * sum(most[level] * sizes[level] for level in in_memory)
    # Where any map may get the buffer of a hidden one, each counts as such.
    handed_on = 4 * sum(maps.widest * int(most[level]) * sizes[level] for level in in_memory)
    extra = handed_on - memory
    # The pair, padded, and the result.
    memory += 4 * 4 * pixels
    memory += 4 * maps.buffers(height, width, tile)
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
        slack=maps.widest if roomy else 1.0,
    )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB"
