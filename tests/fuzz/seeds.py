"""Small sound files of every kind, from which damaged ones are made."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import tifffile

SUMMARY = b"\n--summary--\n"
"""Stands between a table and the summary beside it."""

_RANDOM = np.random.default_rng(5)


def _smooth(*shape: int) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    grey = (rows * 7 + columns * 3 + _RANDOM.integers(0, 9, shape[:2])) % 256
    return (grey if len(shape) == 2 else np.dstack([grey] * shape[2])).astype(np.uint8)


def images(_: Path) -> list[bytes]:
    """Every format that is read, in several ways of writing it."""
    grey, colour, alpha = _smooth(24, 31), _smooth(24, 31, 3), _smooth(24, 31, 4)
    found = []

    def pillow(array: np.ndarray, name: str, **options: object) -> None:
        file = io.BytesIO()
        picture = PIL.Image.fromarray(array)
        if name in ("GIF", "WEBP") and "save_all" in options:
            options["append_images"] = [PIL.Image.fromarray(255 - array)]
        picture.save(file, name, **options)
        found.append(file.getvalue())

    for array in (grey, colour, alpha, grey.astype(np.uint16) * 257):
        pillow(array, "PNG")
    pillow(grey, "PNG", transparency=3)
    for array in (grey, colour):
        pillow(array, "JPEG")
        pillow(array, "JPEG", progressive=True)
        pillow(array, "BMP")
        pillow(array, "PPM")
        pillow(array, "JPEG2000")
    for array in (colour, alpha):
        pillow(array, "WEBP", lossless=True)
        pillow(array, "WEBP")
    pillow(colour, "WEBP", save_all=True)
    pillow(colour, "AVIF")
    pillow(grey, "GIF")
    pillow(grey, "GIF", save_all=True)
    for compression in ("tiff_lzw", "packbits", "jpeg", "tiff_adobe_deflate"):
        pillow(colour, "TIFF", compression=compression)
    for array, options in (
        (grey, {}),
        (grey.astype(np.uint16), {"compression": "zlib", "predictor": True}),
        (grey.astype(np.float32), {"tile": (16, 16), "compression": "zlib"}),
        (grey.astype(np.int16), {"byteorder": ">", "metadata": {"axes": "YX"}}),
        (np.stack([grey, grey]), {"photometric": "minisblack"}),
        (np.moveaxis(colour, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        (grey, {"bigtiff": True}),
    ):
        file = io.BytesIO()
        tifffile.imwrite(file, array, **options)
        found.append(file.getvalue())
    for array in (grey, colour.astype(np.float64), np.stack([grey, grey])):
        file = io.BytesIO()
        np.save(file, array)
        found.append(file.getvalue())
    return found


def checkpoints(folder: Path) -> list[bytes]:
    """The authors' archive and our safetensors; the first byte tells the suffix."""
    from checkpoints import authors_pth, safetensors, tiny_network

    network = tiny_network()
    return [
        b"p" + authors_pth(network),
        b"s" + safetensors(network, folder, input_range="[0.0, 1.0]", base="max"),
        b"p" + safetensors(network, folder),
    ]


def manifests(folder: Path) -> list[bytes]:
    """One of two entries, and the built-in one."""
    from checkpoints import entry, write_manifest

    from lkcfuse.models.manifest import built_in_path

    two = [entry(name, f"https://example.org/{name}.pth", b"x") for name in ("one", "two")]
    return [
        write_manifest(folder / "own.json", *two).read_bytes(),
        built_in_path().read_bytes(),
    ]


def journals(_: Path) -> list[bytes]:
    """A run of two pairs with scores."""
    settings = {
        "task": "ir-vis", "weights": "w", "weights_sha256": "ab" * 32, "input_range": [0, 1],
        "output_range": [0, 1], "channel_order": ["second", "first"], "invert_first": False,
        "format": "png",
    }  # fmt: skip
    file = {"path": "a.png", "sha256": "cd" * 32, "bytes": 10}
    lines: list[dict[str, object]] = [
        {"type": "run", "schema": 1, "lkcfuse": "1", "time": 1.5, "settings": settings, "pairs": 2}
    ]
    for name in ("1", "day/2"):
        pair = {
            "type": "pair", "name": name, "settings": "ef" * 32, "time": 2.5, "seconds": 0.5,
            "first": file, "second": file, "output": file, "width": 17, "height": 12,
            "warnings": [{"code": "task", "message": "x"}],
        }  # fmt: skip
        score = {"type": "metrics", "name": name, "output_sha256": "cd" * 32, "metrics": {"EN": 7}}
        lines += [pair, score]
    return [b"".join(json.dumps(line).encode() + b"\n" for line in lines)]


def tables(_: Path) -> list[bytes]:
    """Scores of two methods, as CSV with the summary behind `SUMMARY`, and as JSON."""
    from lkcfuse.metrics.comparison import Comparison
    from lkcfuse.metrics.scoring import Score
    from lkcfuse.metrics.table import Table
    from lkcfuse.metrics.table_files import to_json

    scores = [
        Score(name, method, {"EN": 7.25, "MSE": 1487.5, "SCD": float("nan")})
        for method in ("ours", "=theirs")
        for name in ("1", 'a,"b"', "day/2")
    ]
    compared = Comparison(Table.of(["EN", "MSE", "SCD"], scores))
    return [compared.table.to_csv() + SUMMARY + compared.to_csv(), to_json(compared)]


def lists(_: Path) -> list[bytes]:
    """Pairs separated by commas, semicolons and tabs, in UTF-8 and UTF-16."""
    text = 'ir/1.png,vis/1.png\n"ir/a,b.png",vis/2.png,out/2.png\n'
    return [
        text.encode(),
        text.replace(",", ";").encode("utf-8-sig"),
        text.replace(",", "\t").encode("utf-16"),
        text.replace("\n", "\r\n").encode(),
        b"ir/1.png\0vis/1.png\0",
    ]


SEEDS: dict[str, Callable[[Path], list[bytes]]] = {
    "image": images,
    "checkpoint": checkpoints,
    "manifest": manifests,
    "journal": journals,
    "table": tables,
    "list": lists,
}
"""What makes the sound files of each kind, given a folder to work in."""

INTERESTING = [
    *(struct.pack(order + code, value)
      for order in "<>"
      for code, value in (
          ("H", 0xFFFF), ("H", 0), ("H", 0x8000), ("I", 0xFFFFFFFF), ("I", 0x7FFFFFFF), ("I", 0),
          ("I", 1 << 28), ("Q", (1 << 64) - 1), ("Q", 1 << 40), ("B", 0), ("B", 255),
      )),
    b"1e999", b"9" * 400, b"-1", b"null", b"NaN", b"\\ud800", b"[" * 200, b"{", b"\"", b"\n",
    b"\0", b"\xff\xfe", b"\xc2\x9b", b"../", b"/", b"=", b",", b";", b"\t",
]  # fmt: skip
"""Values at the limits of types and of formats."""
