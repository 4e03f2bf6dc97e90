"""What reads a file of each kind; what it raises is judged by the caller."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lkcfuse.errors import LkcfuseError

from .seeds import SUMMARY


def _each(*attempts: Callable[[], object]) -> None:
    """Try one after the other; an error of ours is an answer."""
    for attempt in attempts:
        with suppress(LkcfuseError):
            attempt()


def image(data: bytes, folder: Path) -> None:
    """Look at the header, then decode; a second page, too."""
    from lkcfuse.images import ReadOptions, read_image
    from lkcfuse.images.reading import probe_image

    path = folder / "case.png"
    path.write_bytes(data)
    _each(
        lambda: probe_image(path),
        lambda: read_image(path),
        lambda: read_image(path, ReadOptions(page=2)),
    )


def checkpoint(data: bytes, folder: Path) -> None:
    """Load it as what its first byte says."""
    from lkcfuse.models.checkpoint import load_checkpoint, load_network
    from lkcfuse.models.metadata import read_processing

    path = folder / ("case.safetensors" if data[:1] == b"s" else "case.pth")
    path.write_bytes(data[1:])
    _each(lambda: load_checkpoint(path), lambda: load_network(path), lambda: read_processing(path))


def manifest(data: bytes, folder: Path) -> None:
    """Read it."""
    from lkcfuse.models import load_manifest

    path = folder / "own.json"
    path.write_bytes(data)
    _each(lambda: load_manifest(path))


def journal(data: bytes, folder: Path) -> None:
    """Read its state, and the pairs that `eval` would score."""
    from lkcfuse.batch.journal import read_pairs, read_state

    path = folder / ".lkcfuse" / "run.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    _each(lambda: read_state(folder), lambda: read_pairs(folder))


def table(data: bytes, _: Path) -> None:
    """Ask whether it is one of ours, of this version or an older one."""
    from lkcfuse.metrics import older_tables
    from lkcfuse.metrics.table_files import is_own_table

    rows, _, summary = data.partition(SUMMARY)
    is_own_table(rows, summary or None)
    older_tables.is_own(data)


def pair_list(data: bytes, folder: Path) -> None:
    """Read it as CSV, as lines and as words that end in NUL."""
    from lkcfuse.batch.lists import parse_lines, parse_null, read_csv

    path = folder / "list.csv"
    path.write_bytes(data)
    _each(lambda: read_csv(path), lambda: parse_lines(data), lambda: parse_null(data))


TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "image": image,
    "checkpoint": checkpoint,
    "manifest": manifest,
    "journal": journal,
    "table": table,
    "list": pair_list,
}
"""What reads a file of each kind, given its bytes and a folder to work in."""
