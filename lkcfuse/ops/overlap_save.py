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

import threading

import torch
from torch import Tensor

from lkcfuse.ops.column_steps import (
    BLOCK_COLUMNS,
    Emit,
    Fill,
    Group,
    Line,
    fold_down,
    make_groups,
    transform_down,
    transform_up,
    unfold_up,
)
from lkcfuse.ops.dft import cosines_and_sines, inverse_along
from lkcfuse.ops.parallel import for_each
from lkcfuse.ops.products import matmul, matmul_wide
from lkcfuse.ops.row_steps import Folding, RowSteps, RowTransform, spectrum_parts
from lkcfuse.ops.tiles import TilePlan
from lkcfuse.ops.workspace import new_tensor, workspace


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
        groups = make_groups(lines[start : start + size], plan, max(inputs, outputs))
        transform_down(fill, groups, plan, inputs)
        _multiply(groups, spectrum, plan)
        transform_up(groups, plan, outputs, emit)


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
    data = _one_group(lines, plan, inputs, "columns")
    transform_down(fill, [data], plan, inputs)
    source = data.as_tiles(nx, inputs)
    # The gradient is cut into the pixels that tiles give, without overlap; the rest of a tile is
    # zero, so the transforms need not be told of it.
    cut = grad.new_zeros(images, plan.rows * plan.step_y, plan.padded_width, outputs)
    cut[:, : plan.height, : plan.width] = grad
    bands = cut.view(len(lines), plan.step_y, plan.padded_width * outputs)
    gradient = _one_group(lines, plan, outputs, "columns of the gradient")

    def transform(piece: tuple[int, slice]) -> None:
        index, block = piece
        real, imag = gradient.parts(index, outputs)
        fold_down(bands[index][:, block], real[:, block], imag[:, block])

    blocks = _blocks(bands.shape[2])
    for_each(transform, [(index, block) for index in range(len(lines)) for block in blocks])
    grad_source = gradient.as_tiles(plan.step_x, outputs)
    correlation = new_tensor(fy, 2, nx, inputs, outputs)
    tools = threading.local()

    def multiply(frequency: int) -> None:
        if not hasattr(tools, "x"):
            tools.x = RowTransform(nx, nx, data.tiles, inputs)
            tools.g = RowTransform(nx, plan.step_x, data.tiles, outputs, " of the gradient")
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


def _one_group(lines: list[Line], plan: TilePlan, channels: int, name: str) -> Group:
    """All rows of tiles in one group, in a buffer of the calling thread."""
    pitch = Group.pitch(len(lines), plan, channels)
    return Group(lines, plan, workspace.take(name, plan.frequencies_y, pitch))


def _blocks(columns: int) -> list[slice]:
    """Cut very wide matrices into blocks of columns that stay in cache."""
    return [slice(start, start + BLOCK_COLUMNS) for start in range(0, columns, BLOCK_COLUMNS)]


def _multiply(groups: list[Group], spectrum: Tensor, plan: TilePlan) -> None:
    """Steps 2 to 4, in place."""
    parts, fy, _, inputs, outputs = spectrum.shape
    kernels = spectrum.numpy()
    sources = [group.as_tiles(plan.size_x, inputs) for group in groups]
    targets = [group.as_tiles(plan.step_x, outputs) for group in groups]
    tools = threading.local()

    def multiply(piece: tuple[int, int]) -> None:
        if not hasattr(tools, "steps"):
            # The largest first: the others then share its buffers.
            tools.steps = {
                count: RowSteps(plan.size_x, plan.step_x, count, inputs, outputs, parts)
                for count in sorted({group.tiles for group in groups}, reverse=True)
            }
        frequency, number = piece
        tools.steps[groups[number].tiles].run(
            sources[number][frequency], kernels[:, frequency], targets[number][frequency]
        )

    for_each(
        multiply, [(frequency, number) for frequency in range(fy) for number in range(len(groups))]
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
    real, imag = wide[::2], wide[1::2]
    for_each(
        lambda block: unfold_up(real[:, block], imag[:, block], nx, taps[:, block]),
        _blocks(kernel * pairs),
    )
    return taps.view(kernel, kernel, inputs, outputs).permute(3, 2, 0, 1).contiguous()
