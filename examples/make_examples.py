"""Render the example pictures: a night street, a brain phantom and a desk.

    python examples/make_examples.py                 # write them beside this script
    python examples/make_examples.py --out DIR       # or into another folder

Nothing here is recorded: all scenes are computed, from a seed, and come out the same everywhere.
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
from rendering.desk import FAR, NEAR, render_desk
from rendering.infrared import render_infrared
from rendering.modalities import render_ct, render_mri, render_pet, render_spect
from rendering.street import build_street, dashcam
from rendering.visible import render_exposures

SEED = 7
# Of the street's two exposures, times that of the visible picture.
UNDER, OVER = 0.15, 6.0

Picture = npt.NDArray[np.uint8]


def street_pictures(seed: int = SEED) -> dict[str, Picture]:
    """Return the street in infrared, (480, 640), and in three exposures, (480, 640, 3), uint8."""
    street = build_street(seed)
    surfaces = street.surfaces(dashcam())
    visible, under, over = render_exposures(street, surfaces, seed, (1, UNDER, OVER))
    return {
        "street_ir.png": render_infrared(street, surfaces, seed),
        "street_vis.png": visible,
        "street_under.png": under,
        "street_over.png": over,
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


def desk_pictures(seed: int = SEED) -> dict[str, Picture]:
    """Return the desk, focused on what is near and on what is far, (480, 640, 3), both uint8."""
    return {"desk_near.png": render_desk(NEAR, seed), "desk_far.png": render_desk(FAR, seed)}


def save(picture: Picture, path: Path) -> None:
    """Write a PNG; the file appears only when it is complete."""
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG", optimize=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(encoded.getvalue())
    partial.replace(path)


SCENES = {"street": street_pictures, "brain": brain_pictures, "desk": desk_pictures}


def main(arguments: Sequence[str] | None = None) -> int:
    """Render and write the pictures; return the exit code."""
    parser = argparse.ArgumentParser(description="Render the example pictures of lkcfuse.")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent, help="folder (default: beside this file)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="another variant of the same scenes")
    parser.add_argument("--only", choices=tuple(SCENES), help="render one scene only")
    options = parser.parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for scene, render in SCENES.items():
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
