"""Steps of `overlap_save` that go through one frequency down at a time, on a group of tiles.

There are thousands of them a second, on arrays that fit in a core's cache, so what is around the
arithmetic counts. Taking a part of a tensor costs some microseconds, and lets go of the
interpreter's lock, which another thread then takes: with two threads that took as long as the
arithmetic. So all parts of the buffers are taken once, when a class is made, for many calls.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lkcfuse.network.dft import cosines_and_sines, inverse_along
from lkcfuse.network.products import Matrices, multiply
from lkcfuse.network.workspace import workspace

Sum = tuple[Tensor, Tensor, Tensor]
"""Two operands and the place of their sum, or difference."""


class RowTransform:
    """Step 2: the transform along the rows, its real part, its imaginary part and their sum.

    The results are buffers of the thread that made this, and hold until its next call.

    Args:
        size: Points of the transform (Nx).
        points: Points of the data, the first ones; the others are zero.
        tiles: Tiles in a group.
        channels: Channels of the data.
        name: Tells buffers of several transforms at once apart.

    Attributes:
        real, imag, both: `(tiles, Nx, channels)`.
    """

    def __init__(self, size: int, points: int, tiles: int, channels: int, name: str = "") -> None:
        shape = (tiles, size, channels)
        self.real, self.imag, self.both = workspace.take(f"spectra{name}", 3, *shape)
        a, b = workspace.take("along", 2, *shape)
        self._matrix = cosines_and_sines(size, points).expand(tiles, -1, -1).numpy()
        self._a, self._b = a.numpy(), b.numpy()
        half = size // 2
        cos_a, sin_a, cos_b, sin_b = a[:, :half], a[:, half:], b[:, :half], b[:, half:]
        self._sums: list[Sum] = [
            (cos_a, sin_b, self.real[:, :half]),
            (cos_b, sin_a, self.imag[:, half:]),
        ]
        self._differences: list[Sum] = [
            (cos_a, sin_b, self.real[:, half:]),
            (cos_b, sin_a, self.imag[:, :half]),
        ]

    def run(self, real: Matrices, imag: Matrices) -> None:
        """Transform a part down each tile's rows, `(tiles, points, channels)` in two parts."""
        multiply(self._matrix, real, self._a)
        multiply(self._matrix, imag, self._b)
        _add(self._sums)
        _subtract(self._differences)
        torch.add(self.real, self.imag, out=self.both)


class RowSteps:
    """Steps 2 to 4: transform along the rows, multiply with the kernels, transform back.

    Args:
        size: Points of the transform (Nx).
        step: Points of the result that are kept.
        tiles: Tiles in a group.
        inputs: Channels of the data.
        outputs: Channels of the result.
    """

    def __init__(self, size: int, step: int, tiles: int, inputs: int, outputs: int) -> None:
        self._transform = RowTransform(size, size, tiles, inputs)
        # A frequency's tiles are the rows of one product.
        self._real, self._imag, self._both = (
            part.transpose(0, 1).numpy()
            for part in (self._transform.real, self._transform.imag, self._transform.both)
        )
        # What the two parts of a product share, and what each has for itself: the parts are made
        # in the place of that.
        common, real, imag = workspace.take("product", 3, size, tiles, outputs)
        self._products = common.numpy(), real.numpy(), imag.numpy()
        self._difference: Sum = (common, real, real)
        self._sum: Sum = (common, imag, imag)
        self._fold = Folding(real, imag)
        self._back = [part.expand(tiles, -1, -1).numpy() for part in inverse_along(size, step)]
        self._folded = [part.transpose(0, 1).numpy() for part in self._fold.results]

    def run(
        self,
        real: Matrices,
        imag: Matrices,
        kernels: Sequence[Matrices],
        out_real: Matrices,
        out_imag: Matrices,
    ) -> None:
        """Do it for one frequency down.

        Args:
            real: Real part of the tiles transformed down, `(tiles, Nx, inputs)`.
            imag: Imaginary part.
            kernels: Three times `(Nx, inputs, outputs)`, see `overlap_save.kernel_spectrum`.
            out_real: Where the real part goes, `(tiles, step, outputs)`.
            out_imag: Where the imaginary part goes.
        """
        self._transform.run(real, imag)
        common, for_real, for_imag = self._products
        multiply(self._both, kernels[0], common)
        multiply(self._real, kernels[1], for_imag)
        multiply(self._imag, kernels[2], for_real)
        _subtract([self._difference])
        _add([self._sum])
        self._fold.run()
        multiply(self._back[0], self._folded[0], out_real)
        multiply(self._back[1], self._folded[1], out_imag)


class Folding:
    """What the inverse along the rows takes for its real and for its imaginary part.

    The sums of a frequency and its opposite go with the cosine, the differences of the other part
    with the sine.

    Args:
        real: Real part of a spectrum, `(Nx, ...)`.
        imag: Imaginary part.

    Attributes:
        results: What is made of them, twice `(Nx, ...)`, in a buffer of the calling thread.
    """

    def __init__(self, real: Tensor, imag: Tensor) -> None:
        self.results = for_real, for_imag = workspace.take("folded", 2, *real.shape)
        half = real.shape[0] // 2
        self._sums: list[Sum] = [
            (real[:half], real[half:], for_real[:half]),
            (imag[:half], imag[half:], for_imag[:half]),
        ]
        self._differences: list[Sum] = [
            (imag[:half], imag[half:], for_real[half:]),
            (real[:half], real[half:], for_imag[half:]),
        ]

    def run(self) -> None:
        """Make the results of the parts."""
        _add(self._sums)
        _subtract(self._differences)


def _add(sums: Sequence[Sum]) -> None:
    for a, b, out in sums:
        torch.add(a, b, out=out)


def _subtract(differences: Sequence[Sum]) -> None:
    for a, b, out in differences:
        torch.sub(a, b, out=out)
