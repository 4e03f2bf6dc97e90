"""Render the example pictures: a night street in infrared and visible light, and a brain phantom.

    python examples/make_examples.py                 # write them beside this script
    python examples/make_examples.py --out DIR       # or into another folder

Nothing here is recorded: both scenes are computed, from a seed, and come out the same everywhere.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from rendering.anatomy import build_anatomy
from rendering.infrared import render_infrared
from rendering.modalities import render_ct, render_mri, render_pet, render_spect
from rendering.street import build_street, dashcam
from rendering.visible import render_visible

SEED = 7

Picture = npt.NDArray[np.uint8]


def street_pictures(seed: int = SEED) -> dict[str, Picture]:
    """Return `street_ir.png` (480, 640) and `street_vis.png` (480, 640, 3), both uint8."""
    street = build_street(seed)
    surfaces = street.surfaces(dashcam())
    return {
        "street_ir.png": render_infrared(street, surfaces, seed),
        "street_vis.png": render_visible(street, surfaces, seed),
    }


def brain_pictures(seed: int = SEED) -> dict[str, Picture]:
    """Return one slice as MRI and CT, (256, 256), and PET and SPECT, (256, 256, 3), all uint8."""
    head = build_anatomy(seed + 2)
    return {
        "brain_mri.png": render_mri(head, seed),
        "brain_ct.png": render_ct(head, seed),
        "brain_pet.png": render_pet(head, seed),
        "brain_spect.png": render_spect(head, seed),
    }


def save(picture: Picture, path: Path) -> None:
    """Write a PNG; the file appears only when it is complete."""
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG", optimize=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(encoded.getvalue())
    partial.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Render and write the pictures; return the exit code."""
    parser = argparse.ArgumentParser(description="Render the example pictures of lkcfuse.")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent, help="folder (default: beside this file)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="another variant of the same scenes")
    parser.add_argument("--only", choices=("street", "brain"), help="render one scene only")
    options = parser.parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for scene, render in (("street", street_pictures), ("brain", brain_pictures)):
            if options.only in (None, scene):
                for name, picture in render(options.seed).items():
                    save(picture, options.out / name)
                    print(options.out / name)
    except OSError as error:
        print(f"make_examples: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
