"""PyTorch's archives: read without running code, and without taking more than their file holds."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch

_DAMAGED = "is a damaged PyTorch archive"


def load_archive(path: Path) -> Any:
    """Read what `torch.save` wrote: tensors and plain containers of them, on the CPU.

    Args:
        path: The file.

    Returns:
        The object that was saved.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged, holds something else than tensors, or unpacks to more bytes than
            it has. The message says so without naming the file.
    """
    with path.open("rb") as file:
        try:
            with ZipFile(file) as archive:
                claimed = sum(member.file_size for member in archive.infolist())
        except (BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise ValueError(_DAMAGED) from error
        # torch.save stores bytes as they are. A deflated member, or several that share the same
        # bytes, can be of any size.
        if claimed > path.stat().st_size:
            raise ValueError(f"unpacks to {claimed} bytes, more than the file has")
        file.seek(0)
        try:
            # The open file and not its name: torch reads any name in .safetensors as that format.
            return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise ValueError(
                "contains more than tensors and was not loaded, since that could run code"
            ) from error
        except MemoryError:
            raise
        except Exception as error:
            # The unpickler does what the file tells it to, so a damaged file can make it fail in
            # any way.
            raise ValueError(_DAMAGED) from error
