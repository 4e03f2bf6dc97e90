"""The libraries that scans take, imported when they are first needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lkcfuse.errors import UsageError


def simpleitk() -> Any:
    """Import SimpleITK.

    Raises:
        UsageError: It is not installed; so for the others.
    """
    with _explaining("SimpleITK"):
        import SimpleITK
    module: Any = SimpleITK
    # What ITK warns of goes to standard error, past everything that decides what is shown.
    module.ProcessObject.SetGlobalWarningDisplay(False)
    return module


def nibabel() -> Any:
    """Import nibabel."""
    with _explaining("nibabel"):
        import nibabel
    return nibabel


def pydicom() -> Any:
    """Import pydicom, and the parts of it that are used."""
    with _explaining("pydicom"):
        import pydicom
        import pydicom.dataset
        import pydicom.pixels
        import pydicom.tag
        import pydicom.uid
    return pydicom


@contextmanager
def _explaining(package: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise UsageError(
            f"scans take {package}, which is not installed: pip install 'lkcfuse[medical]'"
        ) from None
