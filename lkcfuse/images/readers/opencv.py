"""What only OpenCV decodes: 16-bit colour of PNG and JPEG 2000, and some compressed TIFF."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lkcfuse.images.samples import swap_red_and_blue


def decode_with_opencv(file: BinaryIO, page: int = 1) -> npt.NDArray[Any]:
    """Return a file's samples as OpenCV decodes them, TIFF turned upright.

    Args:
        file: The file.
        page: Which page of it, from 1 on.

    Returns:
        (H, W) grey, (H, W, 3) RGB, or (H, W, 4) with the file's fourth channel after it, whatever
        that is.

    Raises:
        ValueError: OpenCV cannot read it.
    """
    import cv2

    file.seek(0)
    encoded = np.frombuffer(file.read(), np.uint8)
    if page == 1:
        decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    else:
        _, pages = cv2.imdecodemulti(encoded, cv2.IMREAD_UNCHANGED, range=(page - 1, page))
        decoded = pages[0] if pages else None
    if decoded is None:
        raise ValueError("OpenCV cannot decode it")
    if decoded.ndim == 3:
        swap_red_and_blue(decoded)
    return decoded
