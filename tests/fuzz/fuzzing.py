"""Cases given to a child one after the other; what falls is made smaller and kept."""

from __future__ import annotations

import hashlib
import os
import random
import selectors
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .mutate import mutate
from .seeds import SEEDS

ROOT = Path(__file__).parents[2]

# A machine that is busy may take far longer than the work does; the child's own clock counts that.
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Finding:
    """A case that fell.

    Attributes:
        kind: Of the file.
        data: The file.
        what: The exception, or how the process ended.
    """

    kind: str
    data: bytes
    what: str

    @property
    def sort(self) -> str:
        """What makes two findings one: the exception's type and place."""
        return f"{self.what.split(':')[0]} {self.what.rsplit('(', 1)[-1]}"

    def keep(self, folder: Path) -> Path:
        """Write the file into a folder, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.kind}-{hashlib.sha256(self.data).hexdigest()[:12]}.bin"
        path.write_bytes(self.data)
        return path


class Child:
    """The process that reads cases of one kind; it is started anew where one ended it."""

    def __init__(self, kind: str, sound: bytes) -> None:
        self._kind = kind
        self._sound = sound
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def run(self, data: bytes) -> str | None:
        """Read one case; return what went wrong, None if nothing did."""
        if self._process is None:
            self._start()
        self._send(data)
        answer = self._receive()
        if answer is None:
            return self._end()
        return None if answer == "ok" else answer

    def _start(self) -> None:
        paths = [str(ROOT), str(ROOT / "tests" / "support"), *filter(None, sys.path)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.child", self._kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        )
        self._send(self._sound)
        ready = self._receive()
        if ready != "ready":
            raise RuntimeError(f"the child does not start: {ready}")

    def _send(self, data: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # how it ended is told when its answer is waited for
            self._process.stdin.write(struct.pack("<I", len(data)) + data)
            self._process.stdin.flush()

    def _receive(self) -> str | None:
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(_PATIENCE_SECONDS):
                self._process.kill()
                return None
        line = self._process.stdout.readline()
        return line.decode().rstrip("\n") if line.endswith(b"\n") else None

    def _end(self) -> str:
        if self._process is None:
            return "ended"
        process, self._process = self._process, None
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        code = process.wait()
        process.stdout.close()
        return f"the process ended with {code} (27 below zero is its clock)"


def fuzz(
    kind: str, cases: int, *, seed: int = 0, progress: Callable[[int], None] = lambda _: None
) -> list[Finding]:
    """Read damaged files of a kind.

    Args:
        kind: A key of `SEEDS`.
        cases: How many.
        seed: Of the random numbers.
        progress: Called with the number of cases done.

    Returns:
        One finding, as small as could be made, for each exception and place.
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        seeds = SEEDS[kind](Path(name))
    found: dict[str, Finding] = {}
    with Child(kind, seeds[0]) as child:
        for sound in seeds:
            if (what := child.run(sound)) is not None:
                raise RuntimeError(f"a sound {kind} is refused: {what}")
        for done in range(cases):
            data = mutate(rng, seeds)
            if (what := child.run(data)) is not None:
                finding = Finding(kind, data, what)
                if finding.sort not in found:
                    found[finding.sort] = smaller(finding, child)
            progress(done + 1)
    return list(found.values())


def smaller(finding: Finding, child: Child, *, attempts: int = 200) -> Finding:
    """Leave out what a finding does not need: halves, then quarters, and so on."""
    best, size = finding, len(finding.data) // 2
    while size and attempts:
        start = 0
        while start < len(best.data) and attempts:
            attempts -= 1
            data = best.data[:start] + best.data[start + size :]
            what = child.run(data)
            if what is not None and Finding(finding.kind, data, what).sort == finding.sort:
                best = Finding(finding.kind, data, what)
            else:
                start += size
        size //= 2
    return best
