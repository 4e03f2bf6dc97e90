"""What the numerical libraries are told by way of the environment, which they read when loaded."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})


def library_settings(root: Path = Path("/")) -> dict[str, str]:
    """Return the environment variables that make the libraries fast on this machine.

    They matter from before numpy and torch are loaded; afterwards they change nothing.

    Args:
        root: Where `/proc` is found.
    """
    settings = {
        # Threads that wait for each other sleep rather than spin: with any other process on the
        # machine spinning costs up to ten times the time.
        "OMP_WAIT_POLICY": "PASSIVE",
        # Large tensors come in large pages where the system has them: fewer to map and zero.
        "THP_MEM_ALLOC_ENABLE": "1",
        # Our own threads call numpy, and each call is to keep to its thread.
        "OPENBLAS_NUM_THREADS": "1",
        # What is wrong with a file is said in our words, once.
        "OPENCV_LOG_LEVEL": "SILENT",
    }
    if has_unused_avx512(root):
        # NumPy's OpenBLAS has AVX-512 kernels, and does not choose them for the latest AMD
        # processors: with them its matrix products take half the time.
        settings["OPENBLAS_CORETYPE"] = "SkylakeX"
    return settings


def apply_library_settings(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables of `library_settings` that are not set."""
    for name, value in library_settings().items():
        environ.setdefault(name, value)


def has_unused_avx512(root: Path = Path("/")) -> bool:
    """Whether the processor has AVX-512 and is of a maker for which MKL does not use it: AMD.

    Known on Linux alone; elsewhere False.
    """
    try:
        text = (root / "proc/cpuinfo").read_text()
    except OSError:
        return False
    # The first processor's lines, up to an empty one; the others are alike.
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    fields = {name.strip(): value.strip() for name, _, value in lines}
    flags = set(fields.get("flags", "").split())
    return fields.get("vendor_id") == "AuthenticAMD" and flags >= AVX512
