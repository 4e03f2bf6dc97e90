"""What `lkcfuse fuse` does for photographs alone: maps, and more than two sources."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lkcfuse.cli.fuse_words import STREAM
from lkcfuse.cli.options import local_path
from lkcfuse.errors import UsageError

if TYPE_CHECKING:
    from lkcfuse.images.colour import FloatArray
    from lkcfuse.pairs import PairOptions


def check_map(path: str, others: Sequence[str], *, force: bool) -> None:
    """Check that a map can be written, and is no other file of the command.

    Args:
        path: What `--map` was given.
        others: The sources and the output.
        force: Whether a file that exists is replaced.

    Raises:
        UsageError: It cannot.
    """
    from lkcfuse.images import check_output

    local_path(path)
    check_output(path, overwrite=force, make_folder=True)
    if any(word != STREAM and os.path.realpath(word) == os.path.realpath(path) for word in others):
        raise UsageError(f"--map {path} is a source or the output: give the map a file of its own")


def write_map(share: FloatArray, path: str, *, force: bool) -> None:
    """Write a map of shares, (H, W) in [0, 1], as grey levels."""
    import numpy as np

    from lkcfuse.images import image_from_array, write_image

    levels = np.rint(255 * share.clip(0, 1)).astype(np.uint8)
    write_image(image_from_array(levels, name="the map"), path, overwrite=force, make_folder=True)


def check_for_two_alone(options: PairOptions, *, split: bool) -> None:
    """Refuse what is said of a first and a second source where there are more.

    Raises:
        UsageError: There is such an option.
    """
    given = {
        "--resize": options.resize is not None,
        "--transform": options.transform is not None,
        "--invert-first": options.invert_first,
        "--strength": options.strength != 1,
        "--split": split,
    }
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} is for two sources: leave it out for a bracket")
