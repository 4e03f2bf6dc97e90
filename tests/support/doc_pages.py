"""The commands of the documentation, and a folder with small files of the names they use."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
from flir_files import make_registered

ROOT = Path(__file__).parents[2]

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])

_COMMAND = re.compile(r"(lkcfuse|pip|python|python3|cat|split|pre-commit) ")


def commands(page: Path) -> list[str]:
    """Return the lines of shell in a page's blocks, in their order, without comments."""
    found, fenced = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            text = re.sub(r"\s+#.*", "", line.strip().removeprefix("$ ")).strip()
            if _COMMAND.match(text):
                found.append(text)
    return found


def make_inputs(folder: Path) -> None:
    """Make small files of all names that the pages use."""
    for name in ("ir", "vis", "mri", "pet", "ct", "ours", "theirs"):
        (folder / name).mkdir()
        for index in (1, 2, 3):
            _write(folder / name / f"{index}.png", index, colour=name in ("vis", "pet"))
    for camera, word, colour in (("thermal", "thermal", False), ("rgb", "rgb", True)):
        (folder / camera).mkdir()
        _write(folder / camera / f"1_{word}.png", 1, colour=colour)
    for name in ("ir", "vis", "out"):
        _write(folder / f"{name}.png", 5, colour=name != "ir")
    for name in ("ir", "vis"):
        _write(folder / f"{name}.tif", 6, colour=name == "vis")
    _write(folder / "vis.jpg", 7, colour=True)
    _write(folder / "warped_ir.png", 8)
    heat = _plane(9)
    cv2.imwrite(str(folder / "rainbow.jpg"), cv2.applyColorMap(heat, cv2.COLORMAP_RAINBOW))
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (1, 12))
    cv2.imwrite(str(folder / "bar.png"), cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO))
    cv2.imwrite(str(folder / "ir_14bit.png"), _plane(10).astype(np.uint16) * 10 + 7000)
    (folder / "rgbt").mkdir()
    rgbt = np.dstack([_plane(index) for index in range(4)])
    for path in (folder / "rgbt.png", folder / "rgbt" / "1.png"):
        cv2.imwrite(str(path), rgbt)
    for name in ("ir_stack.tif", "vis_stack.tif"):
        cv2.imwritemulti(str(folder / name), [_plane(11), _plane(12)])
    matrix = [[1, 0, 2], [0, 1, 1], [0, 0, 1]]
    (folder / "rig.json").write_text(f'{{"transform": {matrix}}}')
    (folder / "my-settings.json").write_text('{"steps": 1, "crops": [[48, 1]], "keep": "last"}')
    (folder / "DCIM").mkdir()
    picture = make_registered(ratio=1.6, right=-14, down=9)[0]
    for path in (folder / "FLIR0123.jpg", folder / "DCIM" / "FLIR0123.jpg"):
        path.write_bytes(picture)
    shutil.copytree(ROOT / "examples", folder / "examples")


def _plane(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((48, 64))
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def _write(path: Path, seed: int, *, colour: bool = False) -> None:
    planes = [_plane(100 * seed + channel) for channel in range(3 if colour else 1)]
    assert cv2.imwrite(str(path), np.dstack(planes) if colour else planes[0])
