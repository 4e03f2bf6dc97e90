"""Convolution by overlap-save, laid out so that every step is a matrix product.

An image is cut into overlapping tiles of Ny x Nx pixels, each giving (Ny-K+1) x (Nx-K+1) pixels of
the result, K being the side of the kernel. Per tile and channel:

    spectrum = DFT2(tile);   product = sum over inputs of spectrum * conj(DFT2(kernel));
    result = the pixels of IDFT2(product) that no wrapped-around pixel reaches.

Images are `(H, W, channels)`, channels last. Then each of the five steps is a real matrix product
on memory as it lies, and nothing is ever permuted or copied in between:

    1. DFT down the columns:     (Fy, Fy) @ (Fy, W * inputs), twice  once a row of tiles
    2. DFT along the rows:       (Nx, Nx) @ (Nx, inputs), twice      once a tile and frequency down
    3. product with the kernel:  (tiles, inputs) @ (inputs, outputs) once a frequency, 3 or 4 times
    4. inverse along the rows:   (step, Nx) @ (Nx, outputs), twice   once a tile and frequency down
    5. inverse up the columns:   (step / 2, Fy) @ (Fy, W * outputs), twice, once a row of tiles

A transform as a product costs more operations than a fast one, but runs at the speed of a matrix
product, takes any even tile size (so tiles fit the image), and computes only the pixels that are
kept. Steps 2 to 4 go through one frequency down at a time, so that their operands stay in cache.

The frequencies are odd multiples of half a cycle a tile, (k + 1/2) / N (a DFT of a sequence whose
wrap-around changes sign, which overlap-save never sees). None of them is its own opposite, so

  - down the columns, where the data are real, Fy = Ny / 2 frequencies are exactly enough;
  - along the rows, a frequency and its opposite share their products: with the sums
    C = cos @ x and S = sin @ x for half the frequencies, the spectrum of a + ib is
    (Ca + Sb) + i (Cb - Sa) at a frequency and (Ca - Sb) + i (Cb + Sa) at its opposite. That halves
    step 2, and the same backwards halves step 4.

Along the rows the opposites come after the frequencies, in the same order.

Places are counted from the middle of a tile, of what it gives, and of the kernel, which moves none
of them against the others. There the cosine is even and the sine odd, so down the columns, where
rows are long, the real part is made of the sums of a tile's rows and their mirror images, and the
imaginary part of the differences: that halves step 1, and the same backwards halves step 5.

A complex product takes three real ones: with the kernel's spectrum c + id kept as c, d - c and
-(d + c), that of a + ib is (a + b) c - b (d + c) and (a + b) c + a (d - c). Where channels are few
and products can add to what is there, the plain four are faster: see `row_steps.spectrum_parts`.

A padded row is exactly `columns * step` pixels long: tile and row index then advance by one common
stride, and one batched product covers all tiles. Real and imaginary part of a frequency down follow
each other, so that the product covers both as well. The last tile of a row reads on into the next
row; only pixels beyond the image's edge depend on what it finds there.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor

from lkcfuse.network.dft import cosines_and_sines, forward_down, inverse_along, inverse_up
from lkcfuse.network.parallel import for_each
from lkcfuse.network.products import Array, matmul, matmul_wide
from lkcfuse.network.regions import Region
from lkcfuse.network.row_steps import AS_TORCH_DOES, Folding, RowSteps, RowTransform, spectrum_parts
from lkcfuse.network.tiles import TilePlan
from lkcfuse.network.workspace import new_tensor, workspace

BLOCK_COLUMNS = 16384
"""Columns that a transform down goes through at a time, pixels times channels: a core's cache."""

PIECE_FLOATS = 512 * 1024
"""Floats of a piece of the result: a core's cache."""

GROUP_FLOATS = 256 * 1024
"""Floats of a group of tiles in steps 2 to 4, of which some ten buffers are in use."""

SMALLEST_GROUP = 24
"""Tiles of a group at least: below it the products with the kernels are slow."""

Lines = list[tuple[int, int]]
"""Rows of tiles: the image of each, and its place there."""

Fill = Callable[[int, Region, Tensor], None]
"""Writes a part of a padded image: image, part, and where to, `(rows, columns, inputs)`.

The image starts at row and column K // 2 of the padded one; around it are zeros, or the pixels that
adjoin it. Called in any thread and in any order.
"""

Emit = Callable[[int, int, int, Tensor], None]
"""Takes a piece of a result: image, first row, first column, values `(rows, columns, outputs)`.

Called in any thread and in any order. The values may be changed, and last until it returns.
"""


def convolve(fill: Fill, spectrum: Tensor, plan: TilePlan, emit: Emit, *, images: int = 1) -> None:
    """Convolve images with kernels given by their spectrum.

    Args:
        fill: Gives the images, tile rows by tile rows as they are needed.
        spectrum: What `kernel_spectrum` returned for a plan of the same steps and kernel.
        plan: The tiles.
        emit: Takes the result, in pieces that cover it once.
        images: How many.
    """
    inputs, outputs = spectrum.shape[3:]
    lines = [(image, row) for image in range(images) for row in range(plan.rows)]
    size = plan.lines_at_once(inputs, outputs, len(lines))
    for start in range(0, len(lines), size):
        groups = _groups(lines[start : start + size], plan, max(inputs, outputs))
        columns = _transform_down(fill, groups, plan, inputs)
        rows = _multiply(columns, spectrum, plan, groups)
        _transform_up(rows, groups, plan, outputs, emit)


def kernel_spectrum(weight: Tensor, plan: TilePlan, out: Tensor | None = None) -> Tensor:
    """Transform kernels for `convolve`.

    Args:
        weight: `(outputs, inputs, K, K)`.
        plan: The plan they are used with.
        out: Memory for the result, of as many floats: see `spectrum_floats`.

    Returns:
        `(parts, Fy, Nx, inputs, outputs)`: of the conjugate spectrum the real and the imaginary
        part; where there are three, the real part, the imaginary part less the real one, and the
        two added, negative.
    """
    outputs, inputs, kernel, _ = weight.shape
    pairs = inputs * outputs
    ny, nx, fy = plan.size_y, plan.size_x, plan.frequencies_y
    taps = weight.permute(2, 3, 1, 0).reshape(kernel, kernel * pairs)
    # The conjugate turns the product into the correlation that machine learning calls convolution.
    lines = new_tensor(2 * fy, kernel * pairs)
    down = cosines_and_sines(ny, kernel)
    for_each(
        lambda block: matmul_wide(down, taps[:, block], lines[:, block]),
        _blocks(kernel * pairs),
    )
    real, imag = lines.view(2, fy, kernel, pairs)
    parts = spectrum_parts(inputs, outputs)
    spectrum = new_tensor(parts, fy, nx, pairs) if out is None else out.view(parts, fy, nx, pairs)
    along, half = cosines_and_sines(nx, kernel), nx // 2

    def transform(frequency: int) -> None:
        a = matmul(along, real[frequency], workspace.take("along real", nx, pairs))
        b = matmul(along, imag[frequency], workspace.take("along imag", nx, pairs))
        first, *difference, last = spectrum[:, frequency]
        torch.sub(a[:half], b[half:], out=first[:half])
        torch.add(a[:half], b[half:], out=first[half:])
        # The imaginary part: where there are three, the last will be made of it.
        torch.add(b[:half], a[half:], out=last[:half])
        torch.sub(b[:half], a[half:], out=last[half:])
        if difference:
            torch.sub(last, first, out=difference[0])
            last.add_(first).neg_()

    for_each(transform, range(fy))
    return spectrum.view(parts, fy, nx, inputs, outputs)


def spectrum_floats(plan: TilePlan, inputs: int, outputs: int) -> int:
    """Floats of what `kernel_spectrum` returns."""
    parts = spectrum_parts(inputs, outputs)
    return parts * plan.frequencies_y * plan.size_x * inputs * outputs


def weight_gradient(fill: Fill, inputs: int, grad: Tensor, plan: TilePlan) -> Tensor:
    """Gradient of a convolution in its weight.

    Args:
        fill: Gives the input, as for `convolve`.
        inputs: Its channels.
        grad: `(N, height, width, outputs)`, the gradient in the result.
        plan: The tiles.

    Returns:
        `(outputs, inputs, K, K)`.
    """
    images, outputs = grad.shape[0], grad.shape[3]
    nx, fy = plan.size_x, plan.frequencies_y
    lines = [(image, row) for image in range(images) for row in range(plan.rows)]
    tiles = len(lines) * plan.columns
    (columns,) = _transform_down(fill, [lines], plan, inputs)
    source = _tiles(columns, plan.size_x, plan, tiles, inputs)
    # The gradient is cut into the pixels that tiles give, without overlap; the rest of a tile is
    # zero, so the transforms need not be told of it.
    cut = grad.new_zeros(images, plan.rows * plan.step_y, plan.padded_width, outputs)
    cut[:, : plan.height, : plan.width] = grad
    bands = cut.view(len(lines), plan.step_y, plan.padded_width * outputs)
    size = 2 * fy * len(lines) * plan.padded_width * outputs
    grad_columns = workspace.take("grad columns", size)
    places = grad_columns.view(2 * fy, len(lines), -1)
    for_each(
        lambda piece: _fold_down(bands[piece[0]][:, piece[1]], places[:, piece[0], piece[1]]),
        [(index, block) for index in range(len(lines)) for block in _blocks(places.shape[2])],
    )
    grad_source = _tiles(grad_columns, plan.step_x, plan, tiles, outputs)
    correlation = new_tensor(fy, 2, nx, inputs, outputs)
    tools = threading.local()

    def multiply(frequency: int) -> None:
        if not hasattr(tools, "x"):
            tools.x = RowTransform(nx, nx, tiles, inputs)
            tools.g = RowTransform(nx, plan.step_x, tiles, outputs, " of the gradient")
        x, g = tools.x, tools.g
        x.run(source[frequency])
        g.run(grad_source[frequency])
        x_real, x_imag, x_sum = (part.permute(1, 2, 0) for part in (x.real, x.imag, x.both))
        g_real, g_imag, g_sum = (part.transpose(0, 1) for part in (g.real, g.imag, g.both))
        # The spectrum of the input times the conjugate of the gradient's, summed over tiles:
        # (a + ib)(c - id) is (a + b) c - b (c - d) and (a + b) c - a (c + d).
        difference = torch.sub(g_real, g_imag, out=workspace.take("difference", *g_real.shape))
        real, imag = correlation[frequency]
        common = matmul(x_sum, g_real, workspace.take("common", nx, inputs, outputs))
        torch.sub(common, matmul(x_imag, difference, real), out=real)
        torch.sub(common, matmul(x_real, g_sum, imag), out=imag)

    for_each(multiply, range(fy))
    return _kernel_from_spectrum(correlation, plan)


def _groups(lines: Lines, plan: TilePlan, channels: int) -> list[Lines]:
    """Share rows of tiles out among groups that stay in cache, sizes one apart."""
    tiles = max(SMALLEST_GROUP, GROUP_FLOATS // (plan.size_x * channels))
    count = math.ceil(len(lines) / max(1, round(tiles / plan.columns)))
    ends = [len(lines) * index // count for index in range(count + 1)]
    return [lines[start:stop] for start, stop in pairwise(ends)]


def _transform_down(fill: Fill, groups: list[Lines], plan: TilePlan, inputs: int) -> list[Tensor]:
    """Step 1: for each group `(Fy, 2, lines * padded_width, inputs)`, flat, and a rest."""
    size, width = plan.size_y, plan.padded_width
    sizes = [size * len(lines) * width * inputs for lines in groups]
    rest = plan.kernel * inputs
    flat = workspace.take("columns", sum(sizes) + len(groups) * rest)
    results = _cut(flat, [size + rest for size in sizes])
    targets: list[tuple[int, int, Tensor]] = []
    for lines, floats, result in zip(groups, sizes, results, strict=True):
        # What the very last tile reads beyond its row must be finite, for it is multiplied.
        result[floats:] = 0
        places = result[:floats].view(size, len(lines), width * inputs).unbind(1)
        targets += [(*line, place) for line, place in zip(lines, places, strict=True)]
    most = max(1, BLOCK_COLUMNS // inputs)

    def transform(piece: tuple[int, int]) -> None:
        index, left = piece
        image, line, target = targets[index]
        columns = min(most, width - left)
        # A column more than is used: rows that lie a power of two apart share lines of the cache.
        block = workspace.take("rows of tiles", size, columns + 1, inputs)
        top = line * plan.step_y
        fill(image, Region(top, top + size, left, left + columns), block[:, :columns])
        wide = block.flatten(1)[:, : columns * inputs]
        _fold_down(wide, target[:, left * inputs : (left + columns) * inputs])

    for_each(
        transform,
        [(index, left) for index in range(len(targets)) for left in range(0, width, most)],
    )
    return results


def _cut(buffer: Tensor, sizes: list[int]) -> list[Tensor]:
    """Cut a buffer into parts of sizes given."""
    return [buffer[start:stop] for start, stop in pairwise(accumulate(sizes, initial=0))]


def _blocks(columns: int) -> list[slice]:
    """Cut very wide matrices into blocks of columns that stay in cache."""
    return [slice(start, start + BLOCK_COLUMNS) for start in range(0, columns, BLOCK_COLUMNS)]


@AS_TORCH_DOES
def _fold_down(wide: Tensor, out: Tensor) -> None:
    """Transform `(points, columns)` down to `(size, columns)`, real and imaginary parts in turn.

    Overwrites the first half of what it is given.
    """
    points, columns = wide.shape
    real, imag = forward_down(out.shape[0], points)
    odd = workspace.take("odd", points // 2, columns)
    first, second = wide[: points // 2].numpy(), wide[points // 2 :].numpy()[::-1]
    np.subtract(first, second, out=odd.numpy())
    np.add(first, second, out=first)
    matmul_wide(real, wide[: points // 2], out[::2])
    matmul_wide(imag, odd, out[1::2])


@AS_TORCH_DOES
def _unfold_up(rows: Tensor, size_x: int, out: Tensor) -> None:
    """Transform `(size, columns)`, parts in turn, up to `(points, columns)`."""
    points, columns = out.shape
    real, imag = inverse_up(rows.shape[0], size_x, points)
    half = real.shape[0]
    odd = workspace.take("odd", half, columns)
    matmul_wide(real, rows[::2], out[:half])
    matmul_wide(imag, rows[1::2], odd)
    first, second = out[:half].numpy(), out[points - half :].numpy()[::-1]
    # Of an odd number of points the middle is in both halves, and its odd part is zero.
    np.subtract(first, odd.numpy(), out=second)
    np.add(first, odd.numpy(), out=first)


def _tiles(columns: Tensor, points: int, plan: TilePlan, tiles: int, channels: int) -> Array:
    """What step 1 made, tile by tile as they overlap: `(Fy, 2 tiles, points, channels)`.

    The imaginary parts of all tiles come after the real ones, a stride as from tile to tile away.
    """
    stride = plan.step_x * channels
    size = (plan.frequencies_y, 2 * tiles, points, channels)
    return columns.as_strided(size, (2 * tiles * stride, stride, channels, 1)).numpy()


def _multiply(
    columns: list[Tensor], spectrum: Tensor, plan: TilePlan, groups: list[Lines]
) -> list[Tensor]:
    """Steps 2 to 4: for each group `(2 Fy, lines, padded_width * outputs)`."""
    parts, _, _, inputs, outputs = spectrum.shape
    fy, kernels = plan.frequencies_y, spectrum.numpy()
    tiles = [len(lines) * plan.columns for lines in groups]
    flat = workspace.take("rows", sum(tiles), 2 * fy * plan.step_x * outputs)
    rows = [
        part.view(fy, 2 * count, plan.step_x, outputs)
        for part, count in zip(_cut(flat, tiles), tiles, strict=True)
    ]
    sources = [
        _tiles(part, plan.size_x, plan, count, inputs)
        for part, count in zip(columns, tiles, strict=True)
    ]
    targets = [part.numpy() for part in rows]
    tools = threading.local()

    def multiply(piece: tuple[int, int]) -> None:
        if not hasattr(tools, "steps"):
            # The largest first: the others then share its buffers.
            tools.steps = {
                count: RowSteps(plan.size_x, plan.step_x, count, inputs, outputs, parts)
                for count in sorted(set(tiles), reverse=True)
            }
        frequency, number = piece
        tools.steps[tiles[number]].run(
            sources[number][frequency], kernels[:, frequency], targets[number][frequency]
        )

    for_each(
        multiply, [(frequency, number) for frequency in range(fy) for number in range(len(groups))]
    )
    return [
        part.view(2 * fy, len(lines), plan.padded_width * outputs)
        for part, lines in zip(rows, groups, strict=True)
    ]


def _transform_up(
    rows: list[Tensor], groups: list[Lines], plan: TilePlan, outputs: int, emit: Emit
) -> None:
    """Step 5, in pieces of a row of tiles; emits what `convolve` does."""
    width = max(1, PIECE_FLOATS // (plan.step_y * outputs))
    lines = [
        (image, line, part[:, index])
        for part, group in zip(rows, groups, strict=True)
        for index, (image, line) in enumerate(group)
    ]

    def transform(piece: tuple[int, int]) -> None:
        index, left = piece
        image, line, wide = lines[index]
        columns = min(width, plan.width - left)
        band = workspace.take("band", plan.step_y, columns * outputs)
        _unfold_up(wide[:, left * outputs : (left + columns) * outputs], plan.size_x, band)
        top = line * plan.step_y
        pixels = band.view(plan.step_y, columns, outputs)
        emit(image, top, left, pixels[: plan.height - top])

    for_each(
        transform,
        [(index, left) for index in range(len(lines)) for left in range(0, plan.width, width)],
    )


def _kernel_from_spectrum(spectrum: Tensor, plan: TilePlan) -> Tensor:
    """The first K x K pixels of the inverse transform of `(Fy, 2, Nx, inputs, outputs)`."""
    fy, _, nx, inputs, outputs = spectrum.shape
    kernel, pairs = plan.kernel, inputs * outputs
    rows = new_tensor(fy, 2, kernel, pairs)
    back = inverse_along(nx, kernel).expand(2, -1, -1)

    def transform(frequency: int) -> None:
        fold = Folding(spectrum[frequency].view(2, nx, 1, pairs))
        fold.run()
        matmul(back, fold.result.transpose(0, 1), rows[frequency])

    for_each(transform, range(fy))
    taps = new_tensor(kernel, kernel * pairs)
    wide = rows.view(2 * fy, kernel * pairs)
    for_each(lambda block: _unfold_up(wide[:, block], nx, taps[:, block]), _blocks(kernel * pairs))
    return taps.view(kernel, kernel, inputs, outputs).permute(3, 2, 0, 1).contiguous()
