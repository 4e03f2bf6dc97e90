"""What is installed: versions, extras, settings, image formats, weights."""

from __future__ import annotations

import io
import os
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lkcfuse.diagnosis.finding import Finding
from lkcfuse.errors import LkcfuseError, WeightsError
from lkcfuse.images import image_from_array, read_image, write_image
from lkcfuse.images.formats import FORMATS, Format
from lkcfuse.models import load_manifest
from lkcfuse.models.source import PackagedSource
from lkcfuse.models.store import Store
from lkcfuse.version import __version__

LIBRARIES = ("torch", "numpy", "opencv-python-headless", "pillow", "safetensors", "huggingface-hub")

EXTRAS = {
    "ray": (("ray",), "batch --engine ray"),
    "remote": (("fsspec", "s3fs", "gcsfs"), "s3:// and gs:// URLs"),
    "iqa": (("pyiqa",), "eval --metrics iqa:NAME"),
    "thermal": (("flyr",), "radiometric files of FLIR"),
    "plot": (("matplotlib",), "eval --plot"),
    "stats": (("scipy",), "tests of significance in eval"),
}
"""By extra: the modules it brings, and what they are for."""

SETTINGS = (
    "LKCFUSE_CACHE",
    "LKCFUSE_MANIFEST",
    "LKCFUSE_MAX_PIXELS",
    "LKCFUSE_MIRROR",
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "RAY_ADDRESS",
    "SSL_CERT_FILE",
    "TMPDIR",
)
"""Environment variables that change what lkcfuse does."""


def check_versions() -> Iterator[Finding]:
    """Tell the versions of what is installed, without importing any of it."""
    system = f"{platform.system()} {platform.machine()}"
    python = platform.python_version()
    yield Finding(
        "lkcfuse",
        f"{__version__}, Python {python}, {system}",
        details={"version": __version__, "python": python, "system": system},
    )
    versions = {name: _version(name) for name in LIBRARIES}
    yield Finding(
        "libraries",
        ", ".join(f"{name} {found or 'of unknown version'}" for name, found in versions.items()),
        details={"versions": versions},
    )


def check_extras() -> Iterator[Finding]:
    """Tell which optional parts are installed."""
    for extra, (modules, purpose) in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        text = f"{purpose}: {'not ' if missing else ''}installed"
        cure = f"if you want them: pip install 'lkcfuse[{extra}]'" if missing else ""
        yield Finding(extra, text, cure=cure, details={"missing": missing})


def check_settings() -> Iterator[Finding]:
    """Tell the environment variables that change what lkcfuse does."""
    chosen = {name: os.environ[name] for name in SETTINGS if os.environ.get(name)}
    # An address may carry a password.
    chosen = {name: re.sub(r"//[^/@]*@", "//***@", value) for name, value in chosen.items()}
    text = ", ".join(f"{name}={value}" for name, value in chosen.items())
    yield Finding("settings", text or "none in the environment", details={"environment": chosen})


def check_formats() -> Iterator[Finding]:
    """Write and read an image in every format, at every depth that it holds."""
    problems = {name: _problem_of(known) for name, known in FORMATS.items()}
    broken = {name: problem for name, problem in problems.items() if problem is not None}
    if broken:
        yield Finding(
            "formats",
            "; ".join(f"{name}: {problem}" for name, problem in broken.items()),
            "failed",
            "install Pillow and OpenCV anew: pip install --force-reinstall pillow "
            "opencv-python-headless",
            {"broken": broken},
        )
        return
    yield Finding("formats", f"{', '.join(FORMATS)} are written and read")


def check_weights(manifest: Path | None = None) -> Iterator[Finding]:
    """Hash the packaged and cached checkpoints.

    Args:
        manifest: A manifest of further weights.
    """
    store = Store()
    notes: list[str] = []
    entries = load_manifest(manifest, notify=notes.append).entries
    for kind, packaged in (("packaged", True), ("cached", False)):
        ready = [
            entry
            for entry in entries
            if isinstance(entry.source, PackagedSource) == packaged
            and (packaged or store.path(entry) is not None)
        ]
        problems = {entry.name: store.problem(entry) for entry in ready}
        damaged = {name: f"{name} {problem}" for name, problem in problems.items() if problem}
        where = "" if packaged else f" in {store.folder}"
        cure = "install lkcfuse anew" if packaged else "run 'lkcfuse weights verify', then pull"
        if damaged:
            yield Finding(
                kind,
                f"{'; '.join(damaged.values())}{where}",
                "failed",
                cure,
                {"weights": problems},
                WeightsError.exit_code,
            )
        else:
            names = ", ".join(problems) or "none"
            yield Finding(kind, f"{names}{where}", details={"weights": problems})
    if notes:
        yield Finding("manifest", "; ".join(notes), "warning")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _problem_of(known: Format) -> str | None:
    """Return what is wrong with a format, if something is."""
    ramp = np.linspace(0, 1, 48 * 32, dtype=np.float32).reshape(32, 48)
    for dtype in known.dtypes:
        levels = np.iinfo(dtype).max if issubclass(dtype, np.integer) else 1
        grey = (ramp * levels).astype(dtype)
        for pixels in (grey, np.stack([grey] * 3, axis=2)):
            file = io.BytesIO()
            try:
                write_image(image_from_array(pixels, name="a ramp"), file, format=known.name)
                file.seek(0)
                read = read_image(file, name=f"{dtype.__name__} {known.name}")
            except (LkcfuseError, OSError) as error:
                return str(error)
            if abs(read.luma - ramp).max() > 0.05:  # JPEG loses as much
                return f"{dtype.__name__} values come back changed"
    return None
