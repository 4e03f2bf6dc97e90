"""What a file is that is not read, by its first bytes, and what to do about it."""

from __future__ import annotations

import codecs
import re

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

_TO_PNG = "save it as PNG or TIFF"
_VIDEO = "extract its frames (`ffmpeg -i {name} frames/%05d.png`) and fuse their folder"

_MAGIC: tuple[tuple[bytes, int, str, str], ...] = (
    (
        b"DICM",
        128,
        "a DICOM file",
        "`lkcfuse fuse` fuses two of them, eval and batch take pictures of slices",
    ),
    (
        b"n+1\0",
        344,
        "a NIfTI volume",
        "`lkcfuse fuse` fuses two of them, eval and batch take pictures of slices",
    ),
    (b"ni1\0", 344, "the header of a NIfTI volume", "save one slice as TIFF or NPY"),
    (b"%PDF", 0, "a PDF document", "render it (`pdftoppm -png {name} page`)"),
    (b"8BPS", 0, "a Photoshop document", _TO_PNG),
    (b"gimp xcf", 0, "a GIMP document", _TO_PNG),
    (b"\x89HDF\r\n\x1a\n", 0, "an HDF5 file", "save one image of it as TIFF or NPY"),
    (b"MATLAB ", 0, "a MATLAB file", "save its array as TIFF (`imwrite` in MATLAB)"),
    (b"SIMPLE  =", 0, "a FITS file", "save its image as TIFF or NPY"),
    (b"\x76\x2f\x31\x01", 0, "an OpenEXR image", "save it as float TIFF"),
    (b"#?RADIANCE", 0, "a Radiance HDR image", "save it as float TIFF"),
    (b"\xff\x0a", 0, "a JPEG XL image", _TO_PNG),
    (b"\0\0\0\x0cJXL \r\n\x87\n", 0, "a JPEG XL image", _TO_PNG),
    (b"FUJIFILM", 0, "a raw photograph", "develop it to TIFF"),
    (b"\0\0\x01\0", 0, "an icon", _TO_PNG),
    (b"\x93NUMPY", 0, "a NumPy array", "save it again with `numpy.save`"),
    (b"\x1aE\xdf\xa3", 0, "a Matroska or WebM video", _VIDEO),
    (b"FLV\x01", 0, "a Flash video", _VIDEO),
    (b"\0\0\x01\xba", 0, "an MPEG video", _VIDEO),
    (b"\0\0\x01\xb3", 0, "an MPEG video", _VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0, "a Windows Media video", _VIDEO),
    (b"PK\x03\x04", 0, "a ZIP archive (NPZ and Office files are such)", "unpack it"),
    (b"\x1f\x8b", 0, "a gzip archive (.nii.gz is one)", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7-Zip archive", "unpack it"),
    (b"Rar!", 0, "a RAR archive", "unpack it"),
)

_BRANDS = {
    b"qt  ": ("a QuickTime video (MOV)", _VIDEO),
    b"crx ": ("a raw photograph (CR3)", "develop it to TIFF"),
}


def describe_kind(head: bytes) -> tuple[str, str] | None:
    """Return what a file is that no reader takes, and the cure; None where it is not known.

    Args:
        head: The first bytes of the file, 512 where it has them.

    Returns:
        A noun phrase, and an imperative that may hold `{name}` in the place of the file's name.

    Example:
        >>> describe_kind(b"%PDF-1.7")[0]
        'a PDF document'
    """
    for magic, offset, what, cure in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return what, cure
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "an AVI video", _VIDEO
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in _HEIC_BRANDS:
            return "an HEIC image", "convert it (`heif-convert {name} photo.png`)"
        return _BRANDS.get(brand, ("an MP4 video", _VIDEO))
    if head[4:8] in (b"moov", b"mdat"):
        return _BRANDS[b"qt  "]
    return _describe_text(head)


def _describe_text(head: bytes) -> tuple[str, str] | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "a text file (UTF-16)", "name an image"
    try:
        # The head may end within a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(head.removeprefix(codecs.BOM_UTF8))
    except UnicodeDecodeError:
        return None
    if any(ord(letter) < 32 and letter not in "\t\r\n\f" for letter in text):
        return None
    start = text.lstrip().lower()
    if start.startswith(("<!doctype html", "<html")):
        return "a web page (HTML)", "download the image itself"
    if start.startswith("<svg") or (start.startswith("<?xml") and "<svg" in start):
        return "an SVG drawing", "render it as PNG"
    if start.startswith("version https://git-lfs"):
        return "a pointer to a file in Git LFS", "fetch the file itself (`git lfs pull`)"
    if re.fullmatch(r"[-+\d.eEnaif,;\s]+", text) and re.search(r"\d[,;\s]+[-+\d.]", text):
        return (
            "a table of numbers (CSV or text)",
            "save it as NPY (`numpy.save` of what `numpy.loadtxt` reads)",
        )
    return "a text file", "name an image"
