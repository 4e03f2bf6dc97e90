"""All checks in turn: what one of them comes to does not end the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from lkcfuse.diagnosis.finding import Finding
from lkcfuse.diagnosis.machine import check_devices, check_memory, check_scratch, usable_gpus
from lkcfuse.diagnosis.software import (
    check_extras,
    check_formats,
    check_settings,
    check_versions,
    check_weights,
)
from lkcfuse.diagnosis.trial import try_device
from lkcfuse.errors import LkcfuseError

Check = Callable[[], Iterator[Finding]]


def diagnose(
    device: str | None = None,
    *,
    threads: int | None = None,
    scratch: Path | None = None,
    manifest: Path | None = None,
) -> Iterator[Finding]:
    """Check the installation and the machine, and run the network. Nothing is fetched or kept.

    Args:
        device: Where to try the network, as `--device` takes it; None for the CPU and every GPU.
        threads: Threads on the CPU; None for the usual number.
        scratch: Folder for scratch files; None for the system's.
        manifest: A manifest of further weights.

    Yields:
        What each check comes to, as it does. None raises: whatever goes wrong is a finding.
    """
    checks: list[tuple[str, Check]] = [
        ("lkcfuse", check_versions),
        ("extras", check_extras),
        ("settings", check_settings),
        ("formats", check_formats),
        ("weights", partial(check_weights, manifest)),
        ("memory", check_memory),
        ("scratch", partial(check_scratch, scratch)),
        ("devices", partial(check_devices, threads)),
    ]
    for name, check in checks:
        yield from _findings(name, check)
    try:
        tried = ["cpu", *usable_gpus()] if device is None else [device]
    except (ImportError, OSError):  # torch does not import, as the check of devices has told
        return
    for place in tried:
        yield from _findings("network", partial(try_device, place, threads))


def _findings(name: str, check: Check) -> Iterator[Finding]:
    try:
        yield from check()
    except LkcfuseError as error:
        yield Finding(name, str(error), "failed", exit_code=error.exit_code)
    except Exception as error:  # what is broken can break in any way
        text = " ".join(str(error).split())
        yield Finding(name, f"{type(error).__name__}: {text}", "failed")
