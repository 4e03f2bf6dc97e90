"""The formats that are written: their names, suffixes, and what they can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from lkcfuse.errors import UsageError


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: The name that `--format` takes.
        suffixes: File suffixes that stand for it, in lower case; its usual one first.
        dtypes: Types of sample it can hold, the deepest first.
        max_side: Most pixels that a side may have; None where no limit matters.
        has_alpha: Whether it can say that a pixel is transparent.
    """

    name: str
    suffixes: tuple[str, ...]
    dtypes: tuple[type[np.generic], ...]
    max_side: int | None = None
    has_alpha: bool = False

    def depth_for(self, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
        """Return the type to write: the source's where it fits, else the deepest there is.

        Example:
            >>> FORMATS["png"].depth_for(np.dtype(np.float32))
            dtype('uint16')
        """
        if dtype.kind == "f":
            dtype = np.dtype(np.float32)
        return dtype if dtype.type in self.dtypes else np.dtype(self.dtypes[0])


FORMATS: dict[str, Format] = {
    known.name: known
    for known in (
        Format("png", (".png",), (np.uint16, np.uint8), has_alpha=True),
        Format("jpeg", (".jpg", ".jpeg", ".jpe"), (np.uint8,), 65_500),
        Format("tiff", (".tif", ".tiff"), (np.float32, np.uint16, np.uint8), has_alpha=True),
        Format("webp", (".webp",), (np.uint8,), 16_383, has_alpha=True),
        Format("bmp", (".bmp",), (np.uint8,), 32_767),
    )
}

_BY_SUFFIX = {suffix: known for known in FORMATS.values() for suffix in known.suffixes}


def choose_format(destination: PurePath | None, name: str | None = None) -> Format:
    """Return the format to write in.

    Args:
        destination: The file to write; None for a stream, which has no suffix.
        name: What the user asked for; it wins over the suffix. `jpg` and `tif` are understood.

    Raises:
        UsageError: The format is not one of `FORMATS`, or the suffix says none.

    Example:
        >>> choose_format(PurePath("fused.JPG")).name
        'jpeg'
        >>> choose_format(None).name
        'png'
    """
    known = ", ".join(FORMATS)
    if name is not None:
        asked = name.lower().lstrip(".")
        found = FORMATS.get(asked) or _BY_SUFFIX.get(f".{asked}")
        if found is None:
            raise UsageError(f"no image format is called '{name}': choose one of {known}")
        return found
    if destination is None:
        return FORMATS["png"]
    found = _BY_SUFFIX.get(destination.suffix.lower())
    if found is None:
        what = f"suffix '{destination.suffix}'" if destination.suffix else "no suffix"
        raise UsageError(
            f"{destination} has {what}: end it in one of {', '.join(_BY_SUFFIX)}, or give "
            f"--format ({known})"
        )
    return found
