"""Convolution by overlap-save, laid out so that every step is a matrix product.

An image is cut into overlapping tiles of Ny x Nx pixels, each giving (Ny-K+1) x (Nx-K+1) pixels of
the result, K being the side of the kernel. Per tile and channel:

    spectrum = DFT2(tile);   product = sum over inputs of spectrum * conj(DFT2(kernel));
    result = the pixels of IDFT2(product) that no wrapped-around pixel reaches.

Images are `(H, W, channels)`, channels last. Then each of the five steps is a real matrix product
on memory as it lies, and nothing is ever permuted or copied in between:

    1. DFT down the columns:     (2 Fy, Ny) @ (Ny, W * inputs)       once a row of tiles
    2. DFT along the rows:       (2 Nx, Nx) @ (Nx, inputs)           once a tile and frequency down
    3. product with the kernel:  (tiles, inputs) @ (inputs, outputs) once a frequency
    4. inverse along the rows:   (step, Nx) @ (Nx, outputs)          once a tile and frequency down
    5. inverse down the columns: (step, 2 Fy) @ (2 Fy, W * outputs)  once a row of tiles

Fy = Ny // 2 + 1 frequencies down are enough, for the image is real. A transform as a product costs
more operations than a fast one, but runs at the speed of a matrix product, takes any tile size (so
tiles fit the image), and computes only the pixels that are kept. Steps 2 to 4 go through one
frequency down at a time, so that their operands stay in cache.

A padded row is exactly `columns * step` pixels long: tile and row index then advance by one common
stride, and one batched product covers all tiles. The last tile of a row reads on into the next
row; only pixels beyond the image's edge depend on what it finds there.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

# Measured on two cores with AVX-512, in single-precision operations per nanosecond: what a matrix
# product, a native channels-last convolution and a pass over memory reach. Only ratios matter.
PRODUCT_RATE = 140.0
DIRECT_RATE = 200.0
FLOATS_RATE = 4.0
CALL_COST = 6_000.0
"""What one call of a torch operator costs, in nanoseconds."""

CHUNK_FLOATS = 48 * 1024 * 1024
"""Bound on the floats of the intermediate transforms that are held at a time."""


@dataclass(frozen=True)
class TilePlan:
    """How an image is cut into tiles.

    Attributes:
        height, width: Size of the image, in pixels.
        kernel: Side of the kernel.
        rows, columns: Number of tiles down and across.
        step_y, step_x: Pixels of the result that a tile gives, down and across.
    """

    height: int
    width: int
    kernel: int
    rows: int
    columns: int
    step_y: int
    step_x: int

    @property
    def size_y(self) -> int:
        """Rows of a tile (Ny)."""
        return self.step_y + self.kernel - 1

    @property
    def size_x(self) -> int:
        """Columns of a tile (Nx)."""
        return self.step_x + self.kernel - 1

    @property
    def frequencies_y(self) -> int:
        """Frequencies down that a real image needs (Fy)."""
        return self.size_y // 2 + 1

    @property
    def padded_height(self) -> int:
        """Rows of the padded image."""
        return self.rows * self.step_y + self.kernel - 1

    @property
    def padded_width(self) -> int:
        """Columns of the padded image."""
        return self.columns * self.step_x

    def pad(self, image: Tensor) -> Tensor:
        """Zero pad `(N, H, W, C)` for `convolve`: K // 2 above and left, what is left elsewhere."""
        margin = self.kernel // 2
        padded = image.new_zeros(
            image.shape[0], self.padded_height, self.padded_width, image.shape[3]
        )
        padded[:, margin : margin + self.height, margin : margin + self.width] = image
        return padded

    def lines_at_once(self, inputs: int, outputs: int, lines: int) -> int:
        """How many of a number of rows of tiles to transform at a time, within `CHUNK_FLOATS`."""
        floats = 2 * self.frequencies_y * self.padded_width * (inputs + outputs)
        chunks = math.ceil(lines * floats / CHUNK_FLOATS)
        return math.ceil(lines / chunks)

    def cost(self, inputs: int, outputs: int, batch: int = 1) -> float:
        """Estimate of the time to convolve, in nanoseconds on the machine of the constants.

        Includes the transform of the kernels, which counts in small images.
        """
        ny, nx, fy = self.size_y, self.size_x, self.frequencies_y
        lines, tiles = self.rows * batch, self.rows * self.columns * batch
        products = (
            4 * fy * ny * self.padded_width * lines * inputs
            + 8 * fy * nx * nx * tiles * inputs
            + 8 * fy * nx * tiles * inputs * outputs
            + 8 * fy * nx * self.step_x * tiles * outputs
            + 4 * fy * self.step_y * self.padded_width * lines * outputs
            + 4 * fy * self.kernel * (self.kernel + 2 * nx) * inputs * outputs
        )
        floats = (
            2 * batch * self.padded_height * self.padded_width * (inputs + outputs)
            + 4 * fy * self.padded_width * lines * (inputs + outputs)
            + 4 * fy * nx * tiles * (inputs + outputs) / 4  # mostly in cache
            + 6 * fy * nx * inputs * outputs
        )
        return products / PRODUCT_RATE + floats / FLOATS_RATE + CALL_COST * 12 * fy


def direct_cost(height: int, width: int, kernel: int, inputs: int, outputs: int) -> float:
    """Estimate of the time of a native convolution, in the nanoseconds of `TilePlan.cost`."""
    pixels = height * width
    return 2 * kernel**2 * inputs * outputs * pixels / DIRECT_RATE + 2 * CALL_COST


@lru_cache(maxsize=512)
def plan_tiles(
    height: int,
    width: int,
    kernel: int,
    inputs: int,
    outputs: int,
    batch: int = 1,
    *,
    always: bool = False,
) -> TilePlan | None:
    """Choose the tiles for a convolution, or None where the native one is cheaper.

    Args:
        height: Of the image.
        width: Of the image.
        kernel: Side of the kernel, odd.
        inputs: Channels of the image.
        outputs: Channels of the result.
        batch: Images that go through together.
        always: Whether to plan even where the native convolution is cheaper.
    """
    best = min(
        (
            _fit(height, width, kernel, rows, columns)
            for rows in _tile_counts(height, kernel)
            for columns in _tile_counts(width + kernel - 1, kernel)
        ),
        key=lambda plan: plan.cost(inputs, outputs, batch),
    )
    if always or best.cost(inputs, outputs, batch) < batch * direct_cost(
        height, width, kernel, inputs, outputs
    ):
        return best
    return None


def _tile_counts(length: int, kernel: int) -> list[int]:
    """Numbers of tiles worth trying along an axis: steps between about K / 2 and 8 K pixels."""
    largest = max(1, math.ceil(length / max(6, kernel // 2)))
    smallest = max(1, length // max(96, 8 * kernel))
    return list(range(smallest, min(largest, smallest + 48) + 1))


def _fit(height: int, width: int, kernel: int, rows: int, columns: int) -> TilePlan:
    step_y = math.ceil(height / rows)
    step_x = math.ceil((width + kernel - 1) / columns)
    return TilePlan(
        height=height,
        width=width,
        kernel=kernel,
        rows=math.ceil(height / step_y),
        columns=math.ceil((width + kernel - 1) / step_x),
        step_y=step_y,
        step_x=step_x,
    )


@dataclass(frozen=True)
class _Transforms:
    """The matrices of a plan's transforms, in float32 from float64."""

    down: Tensor  # (2 Fy, Ny): real parts, then imaginary parts
    along_real: Tensor  # (2 Nx, Nx): what a real part gives to both parts
    along_imag: Tensor  # (2 Nx, Nx): what an imaginary part gives
    back_cos: Tensor  # (step_x, Nx)
    back_sin: Tensor  # (step_x, Nx)
    up: Tensor  # (step_y, 2 Fy)


@lru_cache(maxsize=64)
def _transforms(size_y: int, size_x: int, step_y: int, step_x: int) -> _Transforms:
    cos_y, sin_y = _fourier(size_y // 2 + 1, size_y, size_y)
    cos_x, sin_x = _fourier(size_x, size_x, size_x)
    # The frequencies left out are the conjugates of those kept: all count twice but the first
    # and, in an even transform, the last.
    weight = torch.full((size_y // 2 + 1, 1), 2.0, dtype=torch.float64)
    weight[0] = 1
    if size_y % 2 == 0:
        weight[-1] = 1
    scale = weight / (size_y * size_x)
    up = torch.cat([scale * cos_y, -scale * sin_y])[:, :step_y].T
    return _Transforms(
        down=torch.cat([cos_y, -sin_y]).float(),
        along_real=torch.cat([cos_x, -sin_x]).float(),
        along_imag=torch.cat([sin_x, cos_x]).float(),
        back_cos=cos_x[:step_x].float().contiguous(),
        back_sin=sin_x[:step_x].float().contiguous(),
        up=up.float().contiguous(),
    )


def _fourier(frequencies: int, points: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of 2 pi f p / size, `(frequencies, points)` in float64."""
    product = torch.outer(torch.arange(frequencies), torch.arange(points)) % size
    angle = product.double() * (2 * math.pi / size)
    return torch.cos(angle), torch.sin(angle)


def kernel_spectrum(weight: Tensor, plan: TilePlan, out: Tensor | None = None) -> Tensor:
    """Transform kernels for `convolve`.

    Args:
        weight: `(outputs, inputs, K, K)`.
        plan: The plan they are used with.
        out: Memory for the result, of as many floats.

    Returns:
        `(2, Fy, Nx, inputs, outputs)`: real and imaginary parts of the conjugate spectrum.
    """
    outputs, inputs, kernel, _ = weight.shape
    ny, nx, fy = plan.size_y, plan.size_x, plan.frequencies_y
    # (K, K, inputs * outputs), then the two axes in turn. The conjugate turns the product into
    # the correlation that machine learning calls convolution.
    taps = weight.permute(2, 3, 1, 0).reshape(kernel, kernel * inputs * outputs)
    cos_y, sin_y = _fourier(fy, kernel, ny)
    lines = torch.cat([cos_y, sin_y]).float() @ taps
    real, imag = lines.view(2, fy, kernel, inputs * outputs)
    cos_x, sin_x = (part.float().expand(fy, nx, kernel) for part in _fourier(nx, kernel, nx))
    spectrum = torch.empty(2, fy, nx, inputs * outputs) if out is None else out
    spectrum = spectrum.view(2, fy, nx, inputs * outputs)
    torch.bmm(cos_x, real, out=spectrum[0])
    torch.baddbmm(spectrum[0], sin_x, imag, alpha=-1, out=spectrum[0])
    torch.bmm(cos_x, imag, out=spectrum[1])
    torch.baddbmm(spectrum[1], sin_x, real, out=spectrum[1])
    return spectrum.view(2, fy, nx, inputs, outputs)


class Workspace(threading.local):
    """Buffers kept from call to call, one set a thread.

    Fresh large tensors are mapped and zeroed by the system at every allocation; that alone can
    take as long as the arithmetic.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Return an uninitialised float32 tensor, valid until the same name is taken again."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            self._buffers.pop(name, None)
            # One made in inference mode could not be written to in training.
            with torch.inference_mode(False):
                buffer = self._buffers[name] = torch.empty(size)
        return buffer[:size].view(shape)

    def clear(self) -> None:
        """Give the memory back."""
        self._buffers.clear()


workspace = Workspace()


def convolve(
    padded: Tensor, spectrum: Tensor, plan: TilePlan
) -> Iterator[tuple[int, int, int, Tensor]]:
    """Convolve images with kernels given by their spectrum, a row of tiles at a time.

    Args:
        padded: `(N, padded_height, padded_width, inputs)`, contiguous: the image from row and
            column K // 2 on, zeros (or the neighbouring pixels) around it.
        spectrum: What `kernel_spectrum` returned for a plan of the same steps and kernel.
        plan: The tiles.

    Yields:
        Image, first row, last row (excluded) and the result there, `(rows, width, outputs)`, which
        is valid, and may be changed, until the next one is asked for.
    """
    lines = [(image, row) for image in range(padded.shape[0]) for row in range(plan.rows)]
    size = plan.lines_at_once(padded.shape[3], spectrum.shape[4], len(lines))
    for start in range(0, len(lines), size):
        chunk = lines[start : start + size]
        columns = _transform_down(padded, chunk, plan, "columns")
        rows = _multiply(columns, spectrum, plan, len(chunk))
        yield from _transform_up(rows, chunk, plan, spectrum.shape[4])


def _transform_down(
    padded: Tensor, lines: list[tuple[int, int]], plan: TilePlan, name: str
) -> Tensor:
    """Step 1, for some rows of tiles: `(2, Fy, lines * padded_width + K - 1, inputs)`."""
    inputs, width = padded.shape[3], plan.padded_width
    down = _transforms(plan.size_y, plan.size_x, plan.step_y, plan.step_x).down
    length = len(lines) * width
    # What the very last tile reads beyond its row must be finite, for it is multiplied.
    flat = workspace.take(name, 2 * plan.frequencies_y * length * inputs + plan.kernel * inputs)
    flat[2 * plan.frequencies_y * length * inputs :] = 0
    columns = flat[: 2 * plan.frequencies_y * length * inputs]
    parts = columns.view(2 * plan.frequencies_y, len(lines), width * inputs)
    for index, (image, row) in enumerate(lines):
        top = row * plan.step_y
        tile_row = padded[image, top : top + plan.size_y].view(plan.size_y, width * inputs)
        torch.mm(down, tile_row, out=parts[:, index])
    return flat


def _tile_spectra(
    columns: Tensor, plan: TilePlan, tiles: int, inputs: int, frequency: int, name: str
) -> Tensor:
    """Step 2 for one frequency down: `(tiles, 2, Nx, inputs)`."""
    matrices = _transforms(plan.size_y, plan.size_x, plan.step_y, plan.step_x)
    nx = plan.size_x
    length = tiles * plan.step_x * inputs
    size, stride = (tiles, nx, inputs), (plan.step_x * inputs, inputs, 1)
    start = columns.storage_offset()
    real = columns.as_strided(size, stride, start + frequency * length)
    imag = columns.as_strided(size, stride, start + (plan.frequencies_y + frequency) * length)
    spectra = workspace.take(name, tiles, 2 * nx, inputs)
    torch.bmm(matrices.along_real.expand(tiles, -1, -1), real, out=spectra)
    torch.baddbmm(spectra, matrices.along_imag.expand(tiles, -1, -1), imag, out=spectra)
    return spectra.view(tiles, 2, nx, inputs)


def _multiply(columns: Tensor, spectrum: Tensor, plan: TilePlan, lines: int) -> Tensor:
    """Steps 2 to 4: `(2, Fy, lines, padded_width * outputs)`."""
    inputs, outputs = spectrum.shape[3:]
    matrices = _transforms(plan.size_y, plan.size_x, plan.step_y, plan.step_x)
    tiles, nx, step = lines * plan.columns, plan.size_x, plan.step_x
    back_cos = matrices.back_cos.expand(tiles, step, nx)
    back_sin = matrices.back_sin.expand(tiles, step, nx)
    product = workspace.take("product", 2, nx, tiles, outputs)
    real, imag = product
    rows = workspace.take("rows", 2, plan.frequencies_y, tiles, step, outputs)
    for frequency in range(plan.frequencies_y):
        tile = _tile_spectra(columns, plan, tiles, inputs, frequency, "spectra")
        tile_real, tile_imag = tile[:, 0].transpose(0, 1), tile[:, 1].transpose(0, 1)
        kernel_real, kernel_imag = spectrum[0, frequency], spectrum[1, frequency]
        torch.bmm(tile_real, kernel_real, out=real)
        torch.baddbmm(real, tile_imag, kernel_imag, alpha=-1, out=real)
        torch.bmm(tile_real, kernel_imag, out=imag)
        torch.baddbmm(imag, tile_imag, kernel_real, out=imag)
        product_real, product_imag = real.transpose(0, 1), imag.transpose(0, 1)
        row_real, row_imag = rows[0, frequency], rows[1, frequency]
        torch.bmm(back_cos, product_real, out=row_real)
        torch.baddbmm(row_real, back_sin, product_imag, alpha=-1, out=row_real)
        torch.bmm(back_sin, product_real, out=row_imag)
        torch.baddbmm(row_imag, back_cos, product_imag, out=row_imag)
    return rows.view(2 * plan.frequencies_y, lines, plan.padded_width * outputs)


def _transform_up(
    rows: Tensor, lines: list[tuple[int, int]], plan: TilePlan, outputs: int
) -> Iterator[tuple[int, int, int, Tensor]]:
    """Step 5, for the rows of tiles in turn; yields what `convolve` does."""
    up = _transforms(plan.size_y, plan.size_x, plan.step_y, plan.step_x).up
    band = workspace.take("band", plan.step_y, plan.padded_width * outputs)
    for index, (image, row) in enumerate(lines):
        top = row * plan.step_y
        bottom = min(top + plan.step_y, plan.height)
        torch.mm(up, rows[:, index], out=band)
        pixels = band.view(plan.step_y, plan.padded_width, outputs)
        yield image, top, bottom, pixels[: bottom - top, : plan.width]


def weight_gradient(padded: Tensor, grad: Tensor, plan: TilePlan) -> Tensor:
    """Gradient of a convolution in its weight.

    Args:
        padded: The input as `convolve` took it.
        grad: `(N, height, width, outputs)`, the gradient in the result.
        plan: The tiles.

    Returns:
        `(outputs, inputs, K, K)`.
    """
    inputs, outputs, kernel = padded.shape[3], grad.shape[3], plan.kernel
    ny, nx, fy = plan.size_y, plan.size_x, plan.frequencies_y
    lines = [(image, row) for image in range(padded.shape[0]) for row in range(plan.rows)]
    tiles = len(lines) * plan.columns
    # The gradient in the same tiles, without overlap: a step's pixels, then zeros up to Ny, Nx.
    # A padded row cannot serve here, for the last columns would run into the next row.
    cut = grad.new_zeros(grad.shape[0], plan.rows * plan.step_y, plan.padded_width, outputs)
    cut[:, : plan.height, : plan.width] = grad
    cos_y, sin_y = _fourier(fy, plan.step_y, ny)
    down = torch.cat([cos_y, -sin_y]).float()
    bands = cut.view(len(lines), plan.step_y, plan.padded_width * outputs)
    grad_columns = workspace.take("grad columns", 2 * fy, len(lines), plan.padded_width * outputs)
    for index in range(len(lines)):
        torch.mm(down, bands[index], out=grad_columns[:, index])
    grad_parts = grad_columns.view(2, fy, tiles, plan.step_x, outputs)
    cos_x, sin_x = (part.float() for part in _fourier(nx, plan.step_x, nx))
    along_real = torch.cat([cos_x, -sin_x]).expand(tiles, -1, -1)
    along_imag = torch.cat([sin_x, cos_x]).expand(tiles, -1, -1)

    columns = _transform_down(padded, lines, plan, "columns")
    correlation = torch.empty(2, fy, nx, inputs, outputs)
    spectra = workspace.take("grad spectra", tiles, 2 * nx, outputs)
    for frequency in range(fy):
        tile = _tile_spectra(columns, plan, tiles, inputs, frequency, "spectra")
        torch.bmm(along_real, grad_parts[0, frequency], out=spectra)
        torch.baddbmm(spectra, along_imag, grad_parts[1, frequency], out=spectra)
        # spectrum of the input times the conjugate of the gradient's, summed over tiles
        x_real, x_imag = tile[:, 0].permute(1, 2, 0), tile[:, 1].permute(1, 2, 0)
        g = spectra.view(tiles, 2, nx, outputs)
        g_real, g_imag = g[:, 0].transpose(0, 1), g[:, 1].transpose(0, 1)
        real, imag = correlation[0, frequency], correlation[1, frequency]
        torch.bmm(x_real, g_real, out=real)
        torch.baddbmm(real, x_imag, g_imag, out=real)
        torch.bmm(x_imag, g_real, out=imag)
        torch.baddbmm(imag, x_real, g_imag, alpha=-1, out=imag)
    return _kernel_from_spectrum(correlation, plan, kernel)


def _kernel_from_spectrum(spectrum: Tensor, plan: TilePlan, kernel: int) -> Tensor:
    """The first K x K pixels of the inverse transform of `(2, Fy, Nx, inputs, outputs)`."""
    _, fy, nx, inputs, outputs = spectrum.shape
    pairs = inputs * outputs
    cos_x, sin_x = (part.float().expand(fy, kernel, nx) for part in _fourier(kernel, nx, nx))
    real, imag = spectrum.view(2, fy, nx, pairs)
    rows = torch.empty(2, fy, kernel, pairs)
    torch.bmm(cos_x, real, out=rows[0])
    torch.baddbmm(rows[0], sin_x, imag, alpha=-1, out=rows[0])
    torch.bmm(sin_x, real, out=rows[1])
    torch.baddbmm(rows[1], cos_x, imag, out=rows[1])
    up = _transforms(plan.size_y, plan.size_x, plan.step_y, plan.step_x).up
    full = rows.view(2 * fy, kernel * pairs)
    if kernel <= plan.step_y:
        taps = up[:kernel] @ full
    else:
        taps = _transforms(plan.size_y, plan.size_x, plan.size_y, plan.step_x).up[:kernel] @ full
    return taps.view(kernel, kernel, inputs, outputs).permute(3, 2, 0, 1).contiguous()
