"""The process in which files are read: under a limit on memory, and with a clock for each case.

It takes cases from standard input, each after its length, and answers each with a line: `ok`, or
what was raised.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from .targets import TARGETS

SPARE_BYTES = 1 << 30
PIXELS = 1 << 22
_BYTES_PER_PIXEL = 64
SECONDS = 5


def main() -> None:
    """Answer cases of one kind until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.environ["LKCFUSE_MAX_PIXELS"] = str(PIXELS)
    warnings.simplefilter("ignore")
    target = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Libraries are loaded by a first case, before the limit counts from what there is.
        first = _next()
        if first is not None:
            _answer(target, first, folder)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + SPARE_BYTES + PIXELS * _BYTES_PER_PIXEL
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        answers.write("ready\n")
        while (data := _next()) is not None:
            # Work counts, not the time that other processes take; who is over it is ended.
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            answer = _answer(target, data, folder)
            signal.setitimer(signal.ITIMER_PROF, 0)
            answers.write(answer + "\n")


def _next() -> bytes | None:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        return None
    return sys.stdin.buffer.read(struct.unpack("<I", head)[0])


def _answer(target, data: bytes, folder: Path) -> str:
    try:
        target(data, folder)
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        return " ".join(ascii(text)[1:-1].split())[:500]
    return "ok"


if __name__ == "__main__":
    main()
