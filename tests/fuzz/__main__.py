"""Read damaged files by hand: `python -m tests.fuzz image --cases 100000`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from .fuzzing import fuzz
from .seeds import SEEDS


def main() -> int:
    """Run, print what fell, and keep each as a file."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kind", choices=[*SEEDS, "all"])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(__file__).parent / "reproductions")
    arguments = parser.parse_args()
    fell = 0
    for kind in SEEDS if arguments.kind == "all" else [arguments.kind]:
        start = time.monotonic()
        found = fuzz(kind, arguments.cases, seed=arguments.seed)
        seconds = time.monotonic() - start
        print(f"{kind}: {arguments.cases} cases in {seconds:.0f} s, {len(found)} kinds of findings")
        for finding in found:
            print(f"  {finding.keep(arguments.keep)} ({len(finding.data)} bytes): {finding.what}")
        fell += len(found)
    return 1 if fell else 0


if __name__ == "__main__":
    sys.exit(main())
