"""Which image formats are read, how a file of each is recognised, and what reads it.

A file is recognised by its first bytes and never by its name: an AVIF called `.jpg` is read.
Suffixes only tell which files of a folder are images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import BinaryIO

from lkcfuse.images.decoded import Decoded
from lkcfuse.images.options import ReadOptions

HEAD_BYTES = 512
"""As many bytes from a file's beginning tell what it is."""

Read = Callable[[BinaryIO, ReadOptions, str], Decoded]

Probe = Callable[[BinaryIO, ReadOptions, str], tuple[int, int]]

CountPages = Callable[[BinaryIO, str], int]


@dataclass(frozen=True)
class Reader:
    """A format that is read.

    Attributes:
        name: The format's name, as Pillow calls it where Pillow knows it.
        shown: The format's name, as messages show it.
        suffixes: File suffixes of the format, in lower case.
        matches: Tells from the first `HEAD_BYTES` of a file whether it is of this format.
        module: The module whose `read` and `probe` read it, below this package. It is imported
            when the first such file is read.
        has_pages: Whether a file may hold several pages or frames that are images of their own.
    """

    name: str
    shown: str
    suffixes: tuple[str, ...]
    matches: Callable[[bytes], bool]
    module: str = "pillow"
    has_pages: bool = False

    def read(self, file: BinaryIO, options: ReadOptions, name: str) -> Decoded:
        """Read a file of this format.

        Args:
            file: The file, at its beginning; it can seek.
            options: How to read it.
            name: What messages call it.

        Raises:
            InputError: It is too large, or of a kind of this format that is not read.
            Exception: Whatever a decoder raises for a damaged file.
        """
        function: Read = import_module(f"lkcfuse.images.readers.{self.module}").read
        return function(file, options, name)

    def probe(self, file: BinaryIO, options: ReadOptions, name: str) -> tuple[int, int]:
        """Read as much of a file as tells its size and most of what would make `read` refuse it.

        Args:
            file: The file, at its beginning; it can seek.
            options: How it would be read.
            name: What messages call it.

        Returns:
            (height, width) in pixels, as the picture stands upright.

        Raises:
            InputError, Exception: As `read`.
        """
        function: Probe = import_module(f"lkcfuse.images.readers.{self.module}").probe
        return function(file, options, name)

    def count_pages(self, file: BinaryIO, name: str) -> int:
        """Return how many pages or frames a file of this format has that are read as images.

        Args:
            file: The file, at its beginning; it can seek.
            name: What messages call it.

        Raises:
            InputError, Exception: As `read`.
        """
        if not self.has_pages:
            return 1
        function: CountPages = import_module(f"lkcfuse.images.readers.{self.module}").count_pages
        return function(file, name)


def _starts(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic)


def _brand(*brands: bytes) -> Callable[[bytes], bool]:
    """Recognise an ISO base media file by its major brand (ISO/IEC 14496-12, 4.3)."""
    return lambda head: head[4:8] == b"ftyp" and head[8:12] in brands


def _is_jpeg2000(head: bytes) -> bool:
    return head.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"))


def _is_portable_map(head: bytes) -> bool:
    """Recognise P1 to P6, each with white space or a comment after it, as Netpbm has them."""
    return (
        head[:1] == b"P"
        and head[1:2] in b"123456"
        and head[2:3] in b" \t\r\n#"
        and head[2:3] != b""
    )


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("PNG", "PNG", (".png", ".apng"), _starts(b"\x89PNG\r\n\x1a\n")),
        Reader(
            "JPEG",
            "JPEG",
            (".jpg", ".jpeg", ".jpe", ".jfif"),
            _starts(b"\xff\xd8\xff"),
            "radiometric",
        ),
        Reader(
            "TIFF",
            "TIFF",
            (".tif", ".tiff", ".tf8", ".btf"),
            _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
            "tiff",
            has_pages=True,
        ),
        Reader(
            "WEBP",
            "WebP",
            (".webp",),
            lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
            has_pages=True,
        ),
        Reader("BMP", "BMP", (".bmp", ".dib"), _starts(b"BM")),
        Reader("GIF", "GIF", (".gif",), _starts(b"GIF87a", b"GIF89a"), has_pages=True),
        Reader(
            "PPM", "PGM/PPM", (".pgm", ".ppm", ".pnm", ".pbm"), _is_portable_map, "portable_map"
        ),
        Reader("JPEG2000", "JPEG 2000", (".jp2", ".j2k", ".jpx", ".j2c"), _is_jpeg2000),
        Reader("AVIF", "AVIF", (".avif", ".avifs"), _brand(b"avif", b"avis"), has_pages=True),
        Reader("NPY", "NPY", (".npy",), _starts(b"\x93NUMPY"), "npy", has_pages=True),
    )
}
"""The formats that are read, by name."""

SUFFIXES = frozenset(suffix for reader in READERS.values() for suffix in reader.suffixes)
"""File suffixes of the formats that are read, in lower case."""


def find_reader(head: bytes) -> Reader | None:
    """Return what reads a file that begins with some bytes, None where nothing does.

    Args:
        head: The first `HEAD_BYTES` of the file, or all of it.

    Example:
        >>> find_reader(b"GIF89a").shown
        'GIF'
    """
    return next((reader for reader in READERS.values() if reader.matches(head)), None)


def shown_formats() -> str:
    """Return the names of all formats, for messages."""
    *most, last = (reader.shown for reader in READERS.values())
    return f"{', '.join(most)} or {last}"
