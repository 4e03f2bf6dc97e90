"""Names of files that would steer a terminal, seen as a terminal gets them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lkcfuse.cli.streams import escape
from lkcfuse.images import image_from_array, write_image

# Sets the window's title; clears the screen by a byte of C1, as Unicode and as a bare byte; rings;
# goes back to the line's beginning; turns the direction of what follows.
EVIL = os.fsdecode(b"a\x1b]0;title\x07\xc2\x9b2J\x9b2J\rb") + "\u202e"
STEERING = (b"\x1b", b"\x07", b"\xc2\x9b", b"\x9b", b"\rb", "\u202e".encode())


def on_terminal(*words: object, cwd: Path) -> tuple[int, bytes]:
    """Run a command line whose stdout and stderr are a terminal; return what the terminal gets."""
    ours, its = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "lkcfuse", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=its,
            stderr=its,
            cwd=cwd,
            env={**os.environ, "TERM": "dumb", "NO_COLOR": "1", "PYTHONUTF8": "1"},
        )
    finally:
        os.close(its)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                block = terminal.read(65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not block:
                break
            shown += block
    return process.wait(timeout=120), shown


def assert_tame(shown: bytes) -> None:
    for sequence in STEERING:
        assert sequence not in shown, shown
    assert b"\\x1b]0;title\\x07\\x9b2J" in shown, shown


@pytest.fixture
def folders(tmp_path):
    """One pair, and two methods' results with evil names and an evil folder."""
    for number, folder in enumerate(("ir", "vis", "ours", EVIL)):
        values = np.random.default_rng(number).integers(0, 256, (16, 20)).astype(np.uint8)
        (tmp_path / folder).mkdir()
        write_image(image_from_array(values), tmp_path / folder / f"{EVIL}.png")
    return tmp_path


def test_results_of_a_batch(folders, settings):
    code, shown = on_terminal("batch", "ir", "vis", "-o", "out", *settings, cwd=folders)
    assert code == 0, shown
    assert_tame(shown)
    (fused,) = (folders / "out").glob("*.png")
    assert fused.name == f"{EVIL}.png"


def test_notes_and_errors_of_a_batch(folders):
    (folders / "vis" / f"{EVIL}.png").rename(folders / "vis" / "alone.png")
    (folders / "ir" / "x.png").write_bytes(b"none")
    (folders / "vis" / "x.png").write_bytes(b"none")
    code, shown = on_terminal("batch", "ir", "vis", "-o", "out", "--dry-run", cwd=folders)
    assert code == 1
    assert b"no partner" in shown
    assert_tame(shown)


def test_errors_of_fuse(folders):
    code, shown = on_terminal("fuse", f"{EVIL}.1", f"{EVIL}.2", "-o", "x.png", cwd=folders)
    assert code == 3
    assert_tame(shown)


@pytest.mark.parametrize("table", [(), ("--gt-free", "-")])
def test_tables_of_scores(folders, table):
    """Methods head the columns of the summary, names and methods are cells of the CSV."""
    fused = ("--fused", "ours", "--fused", EVIL)
    words = ("--a", "ir", "--b", "vis", "--metrics", "EN", *table)
    code, shown = on_terminal("eval", *fused, *words, cwd=folders)
    assert code == 0, shown
    flat = b"".join(shown.split()) if not table else shown  # long names are broken
    assert_tame(flat.replace(b"|", b""))


def test_what_is_not_a_terminal_gets_names_as_they_are(lkcfuse_process, folders, settings):
    done = lkcfuse_process("batch", "ir", "vis", "-o", "out", "-0", *settings, cwd=folders)
    assert done.out == os.fsencode(f"out/{EVIL}.png\0")


def test_text_is_left_alone():
    text = "größe 画像 é.png 'a b'"
    assert escape(text) == text
