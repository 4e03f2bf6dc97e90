"""Steps of `overlap_save` that go through one frequency down at a time, on a group of tiles.

There are thousands of them a second, on arrays that fit in a core's cache, so what is around the
arithmetic counts: between two calls a thread holds the interpreter's lock, and another thread that
comes to want it goes to sleep. So the calls are few, each for all that can go through at once, the
real and the imaginary part above all; and all parts of the buffers are taken once, when a class is
made, for many calls. Sums are torch's where rows are short, which NumPy is slow at, else NumPy's,
which can go through parts backwards and so has both at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lkcfuse.ops.dft import cosines_and_sines, inverse_along
from lkcfuse.ops.products import Array, accumulates, add_product, multiply, operand
from lkcfuse.ops.workspace import workspace

PASS_OPERATIONS = 36
"""Operations of a matrix product that take as long as a sum of two floats, out of cache."""

Sum = tuple[Tensor, Tensor, Tensor]
"""Two operands and the place of their sum, or difference."""

AS_TORCH_DOES = np.errstate(over="ignore", invalid="ignore")
"""No warning of what is not finite: whoever has the result will see it there."""


class RowTransform:
    """Step 2: the transform along the rows, its real part, its imaginary part and their sum.

    The results are buffers of the thread that made this, and hold until its next call.

    Args:
        size: Points of the transform (Nx).
        points: Points of the data, the first ones; the others are zero.
        tiles: Tiles in a group.
        channels: Channels of the data.
        name: Tells buffers of several transforms at once apart.
        add_up: Whether to compute the sum.

    Attributes:
        real, imag, both: `(tiles, Nx, channels)`.
    """

    def __init__(
        self,
        size: int,
        points: int,
        tiles: int,
        channels: int,
        name: str = "",
        *,
        add_up: bool = True,
    ) -> None:
        self.real, self.imag, self.both = results = workspace.take(
            f"spectra{name}", 3, tiles, size, channels
        )
        self._add_up = add_up
        transformed = workspace.take("along", 2 * tiles, size, channels)
        self._matrix = operand(cosines_and_sines(size, points).expand(2 * tiles, -1, -1))
        self._transformed = operand(transformed)
        (cos_a, sin_a), (cos_b, sin_b) = _halves(transformed.view(2, tiles, size, channels))
        (real, real_opposite), (imag, imag_opposite) = _halves(results[:2])
        self._sums: list[Sum] = [(cos_a, sin_b, real), (cos_b, sin_a, imag_opposite)]
        self._differences: list[Sum] = [(cos_a, sin_b, real_opposite), (cos_b, sin_a, imag)]

    def run(self, tiles: Array) -> None:
        """Transform a part down each tile's rows.

        Args:
            tiles: `(2 tiles, points, channels)`, the real parts before the imaginary ones.
        """
        multiply(self._matrix, operand(tiles), self._transformed)
        for a, b, out in self._sums:
            torch.add(a, b, out=out)
        for a, b, out in self._differences:
            torch.sub(a, b, out=out)
        if self._add_up:
            torch.add(self.real, self.imag, out=self.both)


def _halves(parts: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Of every part `(tiles, Nx, channels)` the frequencies and their opposites."""
    _, _, size, _ = parts.shape
    return [(part[:, : size // 2], part[:, size // 2 :]) for part in parts]


def spectrum_parts(inputs: int, outputs: int) -> int:
    """How many numbers a kernel's spectrum is kept as: 3 for three products, 2 for four.

    A complex product takes three real ones and sums before and after, or four that add up where
    they are written. With few channels the fourth product is faster than the sums.
    """
    sums = inputs + 2 * outputs
    four = accumulates() and 2 * inputs * outputs < PASS_OPERATIONS * sums
    return 2 if four else 3


class RowSteps:
    """Steps 2 to 4: transform along the rows, multiply with the kernels, transform back.

    Args:
        size: Points of the transform (Nx).
        step: Points of the result that are kept.
        tiles: Tiles in a group.
        inputs: Channels of the data.
        outputs: Channels of the result.
        parts: Of the kernels' spectrum, see `spectrum_parts`.
    """

    def __init__(
        self, size: int, step: int, tiles: int, inputs: int, outputs: int, parts: int
    ) -> None:
        self._transform = RowTransform(size, size, tiles, inputs, add_up=parts == 3)
        products = FourProducts if parts == 2 else ThreeProducts
        self._products: FourProducts | ThreeProducts = products(self._transform, outputs)
        self._fold = Folding(self._products.result)
        self._folded = operand(self._fold.result.transpose(0, 1))
        self._back = operand(inverse_along(size, step).expand(2 * tiles, -1, -1))

    def run(self, tiles: Array, kernels: Sequence[Array], out: Array) -> None:
        """Do it for one frequency down.

        Args:
            tiles: The tiles transformed down, `(2 tiles, Nx, inputs)`, the real parts first.
            kernels: Parts of the spectrum, each `(Nx, inputs, outputs)`, see
                `overlap_save.kernel_spectrum`.
            out: Where the result goes, `(2 tiles, step, outputs)`.
        """
        self._transform.run(tiles)
        self._products.run(kernels)
        self._fold.run()
        multiply(self._back, self._folded, operand(out))


class FourProducts:
    """Step 3 as four products that add up.

    Args:
        data: The transformed data.
        outputs: Channels of the result.

    Attributes:
        result: Real and imaginary part, `(2, Nx, tiles, outputs)`; in a buffer of the thread.
    """

    def __init__(self, data: RowTransform, outputs: int) -> None:
        tiles, size, _ = data.real.shape
        self.result = workspace.take("product", 2, size, tiles, outputs)
        self._for_real, self._for_imag = (operand(part) for part in self.result)
        # A frequency's tiles are the rows of one product.
        self._real, self._imag = (operand(part.transpose(0, 1)) for part in (data.real, data.imag))

    def run(self, kernels: Sequence[Array]) -> None:
        """Multiply with the real and the imaginary part of kernels."""
        real, imag = (operand(part) for part in kernels)
        multiply(self._real, real, self._for_real)
        add_product(self._imag, imag, self._for_real, -1)
        multiply(self._real, imag, self._for_imag)
        add_product(self._imag, real, self._for_imag, 1)


class ThreeProducts:
    """Step 3 as three products with sums before and after; as `FourProducts`."""

    def __init__(self, data: RowTransform, outputs: int) -> None:
        tiles, size, _ = data.real.shape
        product = workspace.take("product", 3, size, tiles, outputs)
        # What the two parts have for themselves, and what they share.
        self.result = product[:2]
        self._for_real, self._for_imag, self._for_both = (operand(part) for part in product)
        self._parts, self._common = self.result.numpy(), product[2].numpy()
        self._real, self._imag, self._both = (
            operand(part.transpose(0, 1)) for part in (data.real, data.imag, data.both)
        )

    @AS_TORCH_DOES
    def run(self, kernels: Sequence[Array]) -> None:
        """Multiply with the three parts of kernels."""
        multiply(self._both, operand(kernels[0]), self._for_both)
        multiply(self._real, operand(kernels[1]), self._for_imag)
        multiply(self._imag, operand(kernels[2]), self._for_real)
        np.add(self._parts, self._common, out=self._parts)


class Folding:
    """What the inverse along the rows takes for its real and for its imaginary part.

    The sums of a frequency and its opposite go with the cosine, the differences of the other part
    with the sine.

    Args:
        parts: Real and imaginary part of a spectrum, `(2, Nx, tiles, outputs)`.

    Attributes:
        result: What is made of them, `(Nx, 2 tiles, outputs)`, that for the real part before that
            for the imaginary one; in a buffer of the calling thread.
    """

    def __init__(self, parts: Tensor) -> None:
        _, size, tiles, outputs = parts.shape
        self.result = workspace.take("folded", size, 2 * tiles, outputs)
        self._sums, self._differences = (
            self.result.view(2, size // 2, 2, tiles * outputs).transpose(1, 2).numpy()
        )
        halves = parts.view(4, size // 2, tiles * outputs).numpy()
        # Halves: frequencies and opposites of the real part, then of the imaginary one.
        self._frequencies, self._opposites = halves[::2], halves[1::2]
        self._minuends, self._subtrahends = halves[2:0:-1], halves[3::-3]

    @AS_TORCH_DOES
    def run(self) -> None:
        """Make the result of the parts."""
        np.add(self._frequencies, self._opposites, out=self._sums)
        np.subtract(self._minuends, self._subtrahends, out=self._differences)
