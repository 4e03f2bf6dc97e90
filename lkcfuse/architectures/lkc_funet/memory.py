"""What a streamed run of LKC-FUNet takes: maps that are alive, and buffers of regions."""

from __future__ import annotations

from functools import partial

from lkcfuse.architectures.base import MapMemory
from lkcfuse.architectures.lkc_funet.blocks import LARGE_KERNEL_EXPANSION
from lkcfuse.architectures.lkc_funet.config import SIZE_MULTIPLE, NetworkConfig
from lkcfuse.ops.column_steps import BLOCK_COLUMNS
from lkcfuse.ops.overlap_save import spectrum_floats
from lkcfuse.ops.parallel import worker_count
from lkcfuse.ops.streaming.layers import NATIVE_FLOATS, largest_region
from lkcfuse.ops.tiles import plan_tiles

_BLOCK = 1 + LARGE_KERNEL_EXPANSION  # a large-kernel block: its map, and the hidden one
LIVE_MAPS = (
    (_BLOCK, 0, 0),
    (1, _BLOCK, 0),
    (1, 1, 1 + _BLOCK),  # the first block in the middle writes to a map of its own
    (1, 2, 1),  # the coarser features are doubled beside the skip connection
    (2, 1, 0),
)
"""Maps of C channels that are alive at full, half and quarter resolution, as a run goes on."""

WHOLE_MAPS = 8
"""Maps of C channels, at full resolution, that the module's forward holds at the worst moment: the
skip, the decoder's map, the doubled fusion map, its normalised copy and a convolution's result."""


def map_memory(config: NetworkConfig) -> MapMemory:
    """Return what the feature maps of a network take."""
    return MapMemory(
        channels=config.channels,
        live=LIVE_MAPS,
        widest=LARGE_KERNEL_EXPANSION,
        size_multiple=SIZE_MULTIPLE,
        buffers=partial(_buffer_floats, config),
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
