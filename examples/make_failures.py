"""Show where the packaged infrared-visible weights fail, on spoilt versions of the street pair.

python examples/make_failures.py                  # writes docs/images/failures.jpg
python examples/make_failures.py --out FILE

A row each: the infrared image eight pixels to the side of the visible one; an infrared sensor with
noise and black spots; the same pair with nothing wrong. A column each: infrared, visible, their
pixelwise maximum in the visible image's colours, the fused image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lkcfuse import Fuser

EXAMPLES = Path(__file__).parent
WINDOW = (slice(150, 330), slice(200, 460))
SHIFT = 8
NOISE = 12.0
SPOTS = 200

Pixels = NDArray[np.uint8]


def shifted(infrared: Pixels) -> Pixels:
    """Move the image to the right, as a badly registered camera would see it."""
    moved = np.roll(infrared, SHIFT, axis=1)
    moved[:, :SHIFT] = infrared[:, :1]
    return moved


def noisy(infrared: Pixels) -> Pixels:
    """Add the noise and the dead pixels of a poor sensor."""
    rng = np.random.default_rng(0)
    spoilt = infrared + rng.normal(0, NOISE, infrared.shape)
    for row, column in rng.integers(infrared.shape, size=(SPOTS, 2)):
        spoilt[row : row + 3, column : column + 3] = 0
    return np.asarray(spoilt.clip(0, 255).round(), dtype=np.uint8)


def row_of(fuser: Fuser, infrared: Pixels, visible: Pixels) -> Pixels:
    """Fuse a pair; return what the window shows of it, side by side, RGB."""
    colours = cv2.cvtColor(visible, cv2.COLOR_RGB2YCrCb)
    colours[..., 0] = np.maximum(colours[..., 0], infrared)
    pictures = [
        cv2.cvtColor(infrared, cv2.COLOR_GRAY2RGB),
        visible,
        cv2.cvtColor(colours, cv2.COLOR_YCrCb2RGB),
        fuser.fuse(infrared, visible),
    ]
    return np.concatenate([picture[WINDOW] for picture in pictures], axis=1)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description="Show where the packaged weights fail.")
    default = EXAMPLES.parent / "docs" / "images" / "failures.jpg"
    parser.add_argument("--out", type=Path, default=default, help=f"file (default: {default})")
    output = parser.parse_args().out
    infrared = np.asarray(Image.open(EXAMPLES / "street_ir.png").convert("L"))
    visible = np.asarray(Image.open(EXAMPLES / "street_vis.png").convert("RGB"))
    fuser = Fuser("ir-vis")
    kinds = (shifted(infrared), noisy(infrared), infrared)
    sheet = np.concatenate([row_of(fuser, kind, visible) for kind in kinds])
    Image.fromarray(sheet).save(output, quality=92)


if __name__ == "__main__":
    main()
