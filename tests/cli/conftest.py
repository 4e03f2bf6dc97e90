"""How these tests run the program: in this process for most, as a real process where it counts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from pairs import make_pairs

from lkcfuse.cli.app import run


@dataclass(frozen=True)
class Finished:
    """A command line that has ended.

    Attributes:
        code: Exit code.
        out: What it wrote on stdout, as bytes (it may be an image).
        err: What it wrote on stderr.
    """

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    def assert_fails(self, code: int, *words: str) -> None:
        """Check for this exit code and one error line, with all the words in it."""
        lines = self.err.splitlines()
        assert self.code == code, self.err
        assert len(lines) == 1, self.err
        assert lines[0].startswith("lkcfuse: error: ")
        assert self.out == b""
        for word in words:
            assert word in lines[0]


@pytest.fixture
def lkcfuse(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Finished]:
    """Run a command line inside this process (torch is imported once for all)."""

    def call(*words: object) -> Finished:
        capfdbinary.readouterr()
        code = run([str(word) for word in words])
        captured = capfdbinary.readouterr()
        return Finished(code, captured.out, captured.err.decode())

    return call


@pytest.fixture
def lkcfuse_process() -> Callable[..., Finished]:
    """Run a command line as a process of its own; `stdin` takes bytes, `cwd` a folder."""

    def call(*words: object, stdin: bytes = b"", cwd: object = None) -> Finished:
        finished = subprocess.run(
            [sys.executable, "-m", "lkcfuse", *(str(word) for word in words)],
            input=stdin,
            capture_output=True,
            cwd=str(cwd) if cwd else None,
            timeout=120,
            check=False,
        )
        return Finished(finished.returncode, finished.stdout, finished.stderr.decode())

    return call


@pytest.fixture
def machine(maximum_weights):
    """Options that make a run quick, with a known answer: the maximum of the lumas."""
    return ["--weights", str(maximum_weights), "--device", "cpu", "--threads", "1"]


@pytest.fixture
def settings(machine):
    """The same with the task, without which grey pairs get a line on it."""
    return [*machine, "--task", "ir-vis"]


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """The working folder, with pairs in `ir` and `vis`."""
    make_pairs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
