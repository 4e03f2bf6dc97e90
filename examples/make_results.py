"""Fuse the example pairs with `lkcfuse fuse`, each in its own process, as a user would type it.

python examples/make_results.py                   # into examples/results
python examples/make_results.py --out DIR         # or into another folder
python examples/make_results.py -- --threads 1    # what follows -- goes to `lkcfuse fuse`
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

EXAMPLES = Path(__file__).parent
PAIRS = {
    "street": ("street_ir.png", "street_vis.png", "ir-vis"),
    "street_exposures": ("street_under.png", "street_over.png", "mef"),
    "desk": ("desk_near.png", "desk_far.png", "mff"),
    "brain_mri_ct": ("brain_mri.png", "brain_ct.png", "mri-ct"),
    "brain_mri_pet": ("brain_mri.png", "brain_pet.png", "mri-pet"),
    "brain_mri_spect": ("brain_mri.png", "brain_spect.png", "mri-spect"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuse every pair; return 0, or the exit code of the first `lkcfuse fuse` that fails."""
    parser = argparse.ArgumentParser(description="Fuse the example pairs of lkcfuse.")
    parser.add_argument(
        "--out", type=Path, default=EXAMPLES / "results", help="folder (default: examples/results)"
    )
    parser.add_argument("options", nargs="*", help="options for lkcfuse fuse, after --")
    options = parser.parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"make_results: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    for name, (first, second, task) in PAIRS.items():
        sources = [str(EXAMPLES / first), str(EXAMPLES / second)]
        output = ["-o", str(options.out / f"{name}.png"), "--force"]
        command = [sys.executable, "-m", "lkcfuse", "fuse", *sources, "--task", task, *output]
        done = subprocess.run([*command, *options.options], check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
