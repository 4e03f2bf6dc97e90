"""With what the images of a report were made: settings, weights, versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from lkcfuse.batch.settings import Settings
from lkcfuse.report.content import Section
from lkcfuse.version import __version__

_LIBRARIES = ("torch", "numpy", "opencv-python-headless", "pillow")


def settings_section(title: str, settings: Settings) -> Section:
    """Return what decided the bytes of a batch's outputs."""
    return Section(
        title,
        (
            ("task", settings.task),
            ("weights", settings.weights),
            ("SHA-256 of the weights", settings.weights_sha256),
            ("network input", _range(settings.input_range)),
            ("network output", _range(settings.output_range)),
            ("channels", ", ".join(settings.channel_order)),
            ("first image inverted", "yes" if settings.options.invert_first else "no"),
            ("format", settings.format),
        ),
    )


def run_section(entries: Mapping[str, str]) -> Section:
    """Return what is worth knowing of this run besides."""
    return Section("This run", tuple(entries.items()))


def versions_section() -> Section:
    """Return the versions of what computes; nothing is imported for it."""
    return Section(
        "Versions",
        (
            ("lkcfuse", __version__),
            ("Python", platform.python_version()),
            *((name, _version(name)) for name in _LIBRARIES),
            ("system", f"{platform.system()} {platform.machine()}"),
        ),
    )


def _range(values: tuple[float, float]) -> str:
    low, high = values
    return f"black {low:g}, white {high:g}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
