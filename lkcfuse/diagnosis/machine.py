"""What the machine has: CPUs, GPUs, memory, scratch space."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from lkcfuse.cpus import available_cpus
from lkcfuse.diagnosis.finding import Finding
from lkcfuse.inference.memory import available_memory

LITTLE_MEMORY = 1.5e9
"""Bytes below which a pair of 2 megapixels goes through scratch files."""

ELSEWHERE = "https://pytorch.org/get-started has the line for it"


def check_memory() -> Iterator[Finding]:
    """Tell the memory that a run may take."""
    free = available_memory()
    details = {"free_bytes": free}
    text = f"{free / 1e9:.1f} GB free"
    if free < LITTLE_MEMORY:
        yield Finding(
            "memory",
            f"{text}: large images go through scratch files, which is slower",
            "warning",
            "free some",
            details,
        )
        return
    yield Finding("memory", text, details=details)


def check_scratch(folder: Path | None = None) -> Iterator[Finding]:
    """Try whether scratch files can be made, and tell how much room there is.

    Args:
        folder: Where; None for the system's folder for temporary files.
    """
    cure = "make it, or name another with --scratch or TMPDIR"
    place = folder
    try:
        place = Path(folder or tempfile.gettempdir())
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(1 << 16))
            file.flush()
        free = shutil.disk_usage(place).free
    except OSError as error:
        reason = error.strerror or str(error)
        what = f"{place} cannot be written" if place else "there is no temporary folder"
        yield Finding("scratch", f"{what}: {reason}", "failed", cure)
        return
    details = {"folder": str(place), "free_bytes": free}
    text = f"{place}: {free / 1e9:.1f} GB free"
    if _is_in_memory(place):
        yield Finding(
            "scratch",
            f"{text}, in memory itself",
            "warning",
            "for images that do not fit in memory, name a folder on a disk with --scratch",
            details,
        )
        return
    yield Finding("scratch", text, details=details)


def check_devices(threads: int | None = None) -> Iterator[Finding]:
    """Tell the devices torch can use, and whether there is a GPU that it cannot.

    Args:
        threads: Threads on the CPU; None for the usual number.

    Raises:
        UsageError: The number is out of range.
    """
    import torch

    from lkcfuse.inference import describe, select_device, thread_count

    threads = thread_count(threads)
    cpus = available_cpus()
    yield Finding(
        "cpu",
        f"{cpus} to use of {psutil.cpu_count() or cpus}, threads: {threads}",
        details={"cpus": cpus, "threads": threads},
    )
    gpus = usable_gpus()
    names = [describe(torch.device(gpu)) for gpu in gpus]
    if names:
        yield Finding("gpu", ", ".join(names), details={"devices": gpus})
    elif unused := _unused_gpu():
        yield Finding("gpu", unused[0], "warning", unused[1], {"devices": []})
    else:
        yield Finding("gpu", "none", details={"devices": []})
    chosen = select_device()
    yield Finding(
        "device",
        f"--device auto is {describe(chosen, threads=threads)}",
        details={"auto": str(chosen)},
    )


def usable_gpus() -> list[str]:
    """Return the names of the GPUs that torch can use, as `--device` takes them."""
    import torch

    if torch.cuda.is_available():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["mps"] if torch.backends.mps.is_available() else []


def _unused_gpu(root: Path = Path("/")) -> tuple[str, str] | None:
    """Return what is wrong and the cure, where there is a GPU that torch cannot use."""
    import torch

    has_nvidia = (root / "proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    has_amd = (root / "dev/kfd").exists()
    if has_nvidia and torch.version.cuda is None:
        return (
            "this build of torch cannot use the NVIDIA GPU",
            f"install one with CUDA: {ELSEWHERE}",
        )
    if has_nvidia:
        return (
            "torch finds no CUDA device, though there is an NVIDIA driver",
            f"it may be too old for CUDA {torch.version.cuda}, or CUDA_VISIBLE_DEVICES hides it",
        )
    if has_amd and torch.version.hip is None:
        return "this build of torch cannot use the AMD GPU", f"install one with ROCm: {ELSEWHERE}"
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "torch cannot use this Mac's GPU", "macOS 12.3 or later and an arm64 Python have it"
    return None


def _is_in_memory(folder: Path) -> bool:
    """Whether a folder is on a file system that keeps its files in memory."""
    kinds = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    resolved = folder.resolve()
    mount = next((place for place in (resolved, *resolved.parents) if place in kinds), None)
    return mount is not None and kinds[mount] in ("tmpfs", "ramfs")
