"""Matrix products on a CPU, by the faster of the two libraries that can do them.

torch has them from MKL, which keeps to AVX2 on processors of another maker than Intel; NumPy has
them from OpenBLAS, whose AVX-512 kernels run on any. Where that makes the difference it is a factor
of two, and matrix products are most of what the network is made of here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from lkcfuse.environment import has_unused_avx512
from lkcfuse.ops.workspace import workspace

Array = npt.NDArray[np.float32]

Operand = Tensor | Array
"""A batch of matrices, as `operand` gives it."""

FAST_CORES = frozenset({"haswell", "zen", "skylakex", "cooperlake", "sapphirerapids"})
"""Processors, as OpenBLAS names its kernels, for which these are at least as fast as MKL's AVX2.

Haswell and Zen are AVX2 as well, asked for by OPENBLAS_CORETYPE: level with MKL in large products,
ahead in batches of small ones.
"""


WIDE_BATCH = 128
"""Columns of a wide matrix that `matmul_wide` takes at a time."""

SMALL_PRODUCT = 1_000_000
"""Multiplications up to which OpenBLAS takes its kernels for small products."""


def matmul(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Multiply float32 matrices, or batches of them, on the CPU and without gradients.

    Args:
        a: `(rows, inner)` or `(batch, rows, inner)`; rows or columns contiguous.
        b: `(inner, columns)` or `(batch, inner, columns)`, likewise.
        out: `(rows, columns)` or `(batch, rows, columns)`, rows contiguous; not `a` or `b`.

    Returns:
        `out`.
    """
    if numpy_is_faster() and out.device.type == "cpu":
        np.matmul(a.numpy(), b.numpy(), out=out.numpy())
        return out
    return torch.bmm(a, b, out=out) if out.ndim == 3 else torch.mm(a, b, out=out)


def matmul_wide(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Multiply a small matrix by a very wide one, as `matmul` does.

    OpenBLAS copies the wide operand piece by piece before it multiplies, which takes half as long
    as the product itself. For small products it has kernels that read the operands where they lie,
    so the columns go through in batches of few.

    Args:
        a: `(rows, inner)`.
        b: `(inner, columns)`, rows contiguous, or a block of columns of such a matrix.
        out: `(rows, columns)`, likewise.

    Returns:
        `out`.
    """
    inner, columns = b.shape
    batched = columns - columns % WIDE_BATCH
    if not numpy_is_faster() or a.shape[0] * inner * WIDE_BATCH > SMALL_PRODUCT or not batched:
        return matmul(a, b, out)
    wides, results = (
        part[:, :batched].view(part.shape[0], -1, WIDE_BATCH).transpose(0, 1) for part in (b, out)
    )
    np.matmul(a.numpy(), wides.numpy(), out=results.numpy())
    if batched < columns:
        matmul(a, b[:, batched:], out[:, batched:])
    return out


def map_channels(pixels: Tensor, weight: Tensor, out: Tensor) -> Tensor:
    """Apply a matrix to the channels of every pixel, where each lies: a 1x1 convolution.

    Args:
        pixels: `(height, width, inputs)`, a part of a larger map or a whole one.
        weight: `(inputs, outputs)`.
        out: `(height, width, outputs)`, likewise; not a part of the same map.

    Returns:
        `out`.
    """
    matmul(*_as_matrices(pixels, weight, out))
    return out


def add_mapped_channels(pixels: Tensor, weight: Tensor, out: Tensor) -> Tensor:
    """Add to `out` what `map_channels` would write there."""
    if numpy_is_faster() and out.device.type == "cpu":
        return out.add_(map_channels(pixels, weight, workspace.take("summand", *out.shape)))
    a, b, c = _as_matrices(pixels, weight, out)
    if c.ndim == 3:
        c.baddbmm_(a, b)
    else:
        c.addmm_(a, b)
    return out


def _as_matrices(pixels: Tensor, weight: Tensor, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One matrix of all pixels, or one a row where they are part of more: no copy is made."""
    if pixels.is_contiguous() and out.is_contiguous():
        return pixels.view(-1, pixels.shape[2]), weight, out.view(-1, out.shape[2])
    return pixels, weight.expand(pixels.shape[0], -1, -1), out


def operand(values: Tensor | Array) -> Operand:
    """Give a batch of matrices in the form that `multiply` takes on this machine."""
    if numpy_is_faster():
        return values if isinstance(values, np.ndarray) else values.numpy()
    return values if isinstance(values, Tensor) else torch.from_numpy(values)


def multiply(a: Operand, b: Operand, out: Operand) -> None:
    """Multiply batches as `matmul` does, with what is around the arithmetic kept small."""
    if numpy_is_faster():
        np.matmul(a, b, out=out)  # type: ignore[arg-type] # operands are arrays then
    else:
        torch.bmm(a, b, out=out)  # type: ignore[arg-type] # operands are tensors then


def accumulates() -> bool:
    """Whether `add_product` can be had: NumPy's products cannot add to what is there."""
    return not numpy_is_faster()


def add_product(a: Operand, b: Operand, out: Operand, factor: float) -> None:
    """Add `factor * a @ b` to a batch; only where products accumulate."""
    assert isinstance(out, Tensor)
    out.baddbmm_(a, b, alpha=factor)  # type: ignore[arg-type] # operands are tensors then


@lru_cache(maxsize=1)
def numpy_is_faster() -> bool:
    """Whether the processor has vector instructions that torch's products leave unused."""
    has_mkl: bool = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    if not (has_mkl and has_unused_avx512()):
        return False
    libraries = _libraries().info()
    return bool(libraries) and all(
        library["internal_api"] == "openblas"
        and str(library.get("architecture")).lower() in FAST_CORES
        for library in libraries
    )


@contextmanager
def single_threaded() -> Iterator[None]:
    """Have NumPy's products keep to the thread they are called in, as `for_each` needs it."""
    if not numpy_is_faster():
        yield
        return
    # Calls may be nested, and come from several threads: the first and the last do it.
    with _LIMIT.lock:
        _LIMIT.depth += 1
        if _LIMIT.depth == 1:
            _LIMIT.before = [library.num_threads for library in _libraries().lib_controllers]
            _set_threads([1] * len(_LIMIT.before))
    try:
        yield
    finally:
        with _LIMIT.lock:
            _LIMIT.depth -= 1
            if _LIMIT.depth == 0:
                _set_threads(_LIMIT.before)


class _Limit:
    lock = threading.Lock()
    depth = 0
    before: list[int] = []  # noqa: RUF012 - one for the process


_LIMIT = _Limit()


def _set_threads(counts: list[int]) -> None:
    for library, count in zip(_libraries().lib_controllers, counts, strict=True):
        if library.num_threads != count:
            library.set_num_threads(count)


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    """The BLAS libraries that are loaded: NumPy's, for torch's own is part of it."""
    return ThreadpoolController().select(user_api="blas")
