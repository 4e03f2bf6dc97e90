"""Files that claim more than they hold: refused before memory is taken for it."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import PIL.Image
import pytest
import tifffile

from lkcfuse.errors import InputError
from lkcfuse.images import image_to_array, read_image
from lkcfuse.images.readers.holding import BoundedFile, inflated_size
from lkcfuse.images.readers.png import find_rows


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows, *, bits=8, colour=0, interlaced=0, claimed=None):
    """A PNG whose IDAT chunk holds `rows`; its length says `claimed` where that is given."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    data = chunk(b"IDAT", zlib.compress(rows, 9))
    if claimed is not None:
        data = struct.pack(">I", claimed) + data[4:]
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def webp_of(width, height):
    """A lossless WebP header of a size, with next to nothing after it."""
    bits = (width - 1) | (height - 1) << 14
    data = b"\x2f" + bits.to_bytes(4, "little") + b"\x88\x88\x08"
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def canvas_of(width, height):
    """An extended WebP that has a canvas of a size and no picture."""
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sizes
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff_of(width, height, segment, *, compression=8, samples=1, repeat=1):
    """A TIFF of strips that all are the same bytes."""
    rows = -(-height // repeat)
    count = repeat
    offsets_at = 8
    data_at = offsets_at + 8 * count
    tags_at = data_at + len(segment) + len(segment) % 2
    in_place = count == 1
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (273, 4, count, data_at if in_place else offsets_at),
        (277, 3, 1, samples),
        (278, 4, 1, rows),
        (279, 4, count, len(segment) if in_place else offsets_at + 4 * count),
    ]
    out = b"II*\0" + struct.pack("<I", tags_at)
    out += struct.pack("<I", data_at) * count + struct.pack("<I", len(segment)) * count
    out += segment + b"\0" * (len(segment) % 2)
    out += struct.pack("<H", len(tags))
    out += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return out


SIDE = 16383
BLANK = zlib.compress(bytes(1 << 20), 9)

BOMBS = {
    "png, grey": png(SIDE, SIDE, bytes(100)),
    "png, one column": png(1, 1 << 28, bytes(10)),
    "png, 16-bit colour": png(SIDE, SIDE, bytes(100), bits=16, colour=2),
    "png, lying IDAT": png(SIDE, SIDE, bytes(100), bits=16, colour=2, claimed=(1 << 31) - 1),
    "png, a third of its rows": png(SIDE, SIDE, bytes((SIDE + 1) * SIDE // 3)),
    "png, interlaced": png(SIDE, SIDE, bytes(1 << 16), interlaced=1),
    "webp": webp_of(SIDE, SIDE),
    "webp, canvas": canvas_of(SIDE, SIDE),
    "webp, 2^48 pixels": canvas_of(1 << 24, 1 << 24),
    "tiff, deflate": tiff_of(SIDE, SIDE, zlib.compress(bytes(100))),
    "tiff, LZW": tiff_of(SIDE, SIDE, b"\x80\x00\x20\x50", compression=5),
    "tiff, JPEG": tiff_of(SIDE, SIDE, b"\xff\xd8\xff\xd9", compression=7),
    "tiff, shared strips": tiff_of(SIDE, SIDE, zlib.compress(bytes(SIDE), 9), repeat=SIDE),
    "tiff, channels": tiff_of(4000, 4000, BLANK, samples=60000),
    "gif": b"GIF89a" + struct.pack("<HH", SIDE, SIDE) + bytes(3) + b"\x2c" + bytes(4)
    + struct.pack("<HH", SIDE, SIDE) + b"\0\x02\x02\x44\x01\0;",
    "bmp": b"BM" + struct.pack("<6I2H", 70, 0, 54, 40, SIDE, SIDE, 1, 24) + bytes(24),
    "ppm": b"P6 %d %d 255\n" % (SIDE, SIDE) + bytes(100),
    "pbm": b"P4 %d %d\n" % (SIDE, SIDE) + bytes(100),
    "npy": b"\x93NUMPY\x01\0v\0"
    + b"{'descr': '<f8', 'fortran_order': False, 'shape': (16383, 16383)}".ljust(117) + b"\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused(kind):
    assert len(BOMBS[kind]) < 200_000
    with pytest.raises(InputError, match=r"^bomb "):
        read_image(io.BytesIO(BOMBS[kind]), name="bomb")


_CHILD = """
import io, resource, sys
from lkcfuse.errors import InputError
from lkcfuse.images import read_image
import cv2, tifffile, PIL.Image
PIL.Image.init()
data = sys.stdin.buffer.read()
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (150 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    read_image(io.BytesIO(data), name="bomb")
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.parametrize(
    "kind", ["png, lying IDAT", "png, one column", "webp", "tiff, shared strips", "tiff, channels"]
)
def test_a_bomb_takes_no_memory(kind):
    """Each would take from 0.3 to 4 GB."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], input=BOMBS[kind], capture_output=True, timeout=120
    )
    assert done.stdout.startswith(b"bomb "), done.stderr.decode()


def test_no_memory_is_taken_for_bytes_that_are_not_there(tmp_path):
    (tmp_path / "x").write_bytes(bytes(3000))
    tracemalloc.start()
    try:
        with BoundedFile((tmp_path / "x").open("rb", buffering=0)) as file:
            file.seek(1000)
            assert file.read(1 << 40) == bytes(2000)
            file.seek(0)
            assert file.read(10) + file.read() == bytes(3000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_a_segment_that_inflates_to_more_than_its_pixels():
    stream = zlib.compressobj(9)
    data = b"".join(stream.compress(bytes(1 << 20)) for _ in range(400)) + stream.flush()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more samples than its tags say"):
            read_image(io.BytesIO(tiff_of(10, 10, data)), name="x")
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(("bits", "colour"), [(8, 0), (8, 2), (16, 2), (1, 0), (8, 6)])
def test_a_png_that_lacks_rows_is_refused(interlaced, bits, colour):
    channels = {0: 1, 2: 3, 6: 4}[colour]
    whole = find_rows(
        io.BytesIO(png(37, 29, bytes(20000), bits=bits, colour=colour, interlaced=interlaced)),
        "x",
    ).needed
    if not interlaced:
        assert whole == 29 * (1 + -(-37 * bits * channels // 8))
    rows = bytes(whole)
    data = png(37, 29, rows, bits=bits, colour=colour, interlaced=interlaced)
    assert not image_to_array(read_image(io.BytesIO(data), name="x")).any()
    for missing in (1, whole // 3):
        data = png(37, 29, rows[:-missing], bits=bits, colour=colour, interlaced=interlaced)
        with pytest.raises(InputError, match="x is damaged or cut off"):
            read_image(io.BytesIO(data), name="x")


def test_blank_pictures_of_a_camera_are_read(tmp_path):
    """What compresses best of what is worth reading: black, as large as photographs are."""
    black = np.zeros((3000, 4000), np.uint8)
    for suffix, options in (
        ("png", {}), ("webp", {"lossless": True}), ("webp", {}), ("jpg", {}), ("gif", {}),
        ("tif", {"compression": "tiff_lzw"}), ("tif", {"compression": "tiff_adobe_deflate"}),
    ):  # fmt: skip
        path = tmp_path / f"x.{suffix}"
        PIL.Image.fromarray(black).save(path, **options)
        assert not image_to_array(read_image(path)).any()


def test_rows_that_are_black_at_the_end_are_rows(noise):
    array = noise(20, 30)
    array[10:] = 0
    file = io.BytesIO()
    PIL.Image.fromarray(array).save(file, "png")
    file.seek(0)
    np.testing.assert_array_equal(image_to_array(read_image(file, name="x")), array)


def test_chunks_of_a_size_of_their_own():
    data = zlib.compress(bytes(range(256)) * 100)
    for size in (1, 7, 1000, len(data)):
        blocks = [data[at : at + size] for at in range(0, len(data), size)]
        assert inflated_size(blocks, 1 << 30) == 25600
        assert inflated_size(blocks, 25600) >= 25600


def test_a_page_larger_than_the_first_is_read_and_checked(tmp_path, monkeypatch):
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(np.zeros((4, 4, 3), np.uint8), photometric="rgb", compression="zlib")
        file.write(np.ones((40, 50), np.uint8), compression="zlib")
    from lkcfuse.images import ReadOptions

    assert read_image(tmp_path / "x.tif", ReadOptions(page=2)).luma.shape == (40, 50)
    monkeypatch.setenv("LKCFUSE_MAX_PIXELS", "1000")
    with pytest.raises(InputError, match="50x40 pixels, more than 1000"):
        read_image(tmp_path / "x.tif", ReadOptions(page=2))
