from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import typer

from lkcfuse.cli import app as app_module
from lkcfuse.errors import InputError, ResourceError, UsageError, WeightsError
from lkcfuse.version import __version__


@pytest.fixture
def failing(monkeypatch):
    """An app of the same making whose one command raises what it is given."""

    def install(error):
        extra = typer.Typer(rich_markup_mode=None)

        @extra.callback()
        def root():
            pass

        @extra.command()
        def fail():
            raise error

        monkeypatch.setattr(app_module, "app", extra)

    return install


def test_version(lkcfuse):
    assert lkcfuse("--version").text == f"lkcfuse {__version__}\n"


def test_help_goes_to_stdout(lkcfuse):
    done = lkcfuse("--help")
    assert done.code == 0
    assert "Usage: lkcfuse" in done.text
    assert done.err == ""


def test_no_command_is_wrong_usage(lkcfuse):
    done = lkcfuse()
    assert done.code == 2
    assert done.out == b""
    assert "Usage: lkcfuse" in done.err


def test_unknown_command_is_one_line(lkcfuse):
    lkcfuse("fuze").assert_fails(2, "fuze", "lkcfuse --help")


def test_unknown_option_is_one_line(lkcfuse):
    lkcfuse("--nope").assert_fails(2, "--nope")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("say\nit so"), 2),
        (InputError("say it so"), 3),
        (WeightsError("say it so"), 4),
        (ResourceError("say it so"), 5),
    ],
)
def test_own_errors_keep_their_code_and_take_one_line(lkcfuse, failing, error, code):
    failing(error)
    lkcfuse("fail").assert_fails(code, "say it so")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("could not create a primitive"),
        RuntimeError("can't start new thread"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
def test_out_of_memory(lkcfuse, failing, error):
    failing(error)
    lkcfuse("fail").assert_fails(5, "memory")


def test_full_disk_names_the_file(lkcfuse, failing):
    failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out.png"))
    lkcfuse("fail").assert_fails(5, "out.png", "No space left")


def test_a_missing_permission_is_no_bug(lkcfuse, failing):
    failing(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "private/1.png"))
    lkcfuse("fail").assert_fails(3, "private/1.png", "Permission denied", "permissions")


def test_a_bug_says_so_and_how_to_see_more(lkcfuse, failing):
    failing(ZeroDivisionError("division by zero"))
    lkcfuse("fail").assert_fails(1, "bug", "ZeroDivisionError", "--debug")


@pytest.mark.parametrize("words", [("--debug", "fail"), ("fail", "--debug")])
def test_debug_shows_the_traceback(lkcfuse, failing, words):
    failing(InputError("say it so"))
    done = lkcfuse(*words)
    assert done.code == 3
    assert "Traceback (most recent call last)" in done.err
    assert done.err.endswith("lkcfuse: error: say it so\n")


def test_debug_after_the_end_of_options_is_an_argument(lkcfuse):
    lkcfuse("--", "--debug").assert_fails(2, "--debug")


def test_a_closed_pipe_is_quiet(lkcfuse, failing):
    failing(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    done = lkcfuse("fail")
    assert (done.code, done.out, done.err) == (141, b"", "")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_with_one_line(lkcfuse, monkeypatch, signum, code):
    extra = typer.Typer(rich_markup_mode=None)
    ended = []

    @extra.callback()
    def root():
        pass

    @extra.command()
    def wait():
        try:
            os.kill(os.getpid(), signum)
            time.sleep(30)
        finally:
            ended.append(True)

    monkeypatch.setattr(app_module, "app", extra)
    before = signal.getsignal(signum)
    done = lkcfuse("wait")
    assert done.code == code
    assert re.fullmatch(r"lkcfuse: (interrupted|terminated)\n", done.err)
    assert ended == [True]
    assert signal.getsignal(signum) is before


@pytest.fixture
def stopping(tmp_path):
    """Run a process whose command is a function of this body, and return how it ended."""

    def call(*body):
        (tmp_path / "stop.py").write_text(
            "import atexit, os, signal, sys, time, typer\n"
            "from lkcfuse.cli import app as app_module\n"
            "def send(signum):\n"
            "    os.kill(os.getpid(), signum)\n"
            "extra = typer.Typer(rich_markup_mode=None)\n"
            "extra.callback()(lambda: None)\n"
            "@extra.command()\n"
            "def stop():\n" + "".join(f"    {line}\n" for line in body) + "app_module.app = extra\n"
            "sys.argv = ['lkcfuse', 'stop']\n"
            "app_module.main()\n"
        )
        words = [sys.executable, "-m", "stop"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=60, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return call


def test_a_signal_inside_exec_keeps_the_exit_code(stopping):
    """Where a bare KeyboardInterrupt would make Python end itself by SIGINT."""
    ended = stopping("exec('send(signal.SIGTERM)')")
    assert ended == (143, "", "lkcfuse: terminated\n")


def test_a_second_signal_at_once_lets_it_clean_up(stopping):
    ended = stopping(
        "try:",
        "    send(signal.SIGTERM)",
        "finally:",
        "    send(signal.SIGTERM)",
        "    print('clean')",
    )
    assert ended == (143, "clean\n", "lkcfuse: terminated\n")


def test_a_second_signal_that_comes_later_ends_it(stopping):
    ended = stopping(
        "try:",
        "    send(signal.SIGTERM)",
        "finally:",
        "    time.sleep(0.6)",
        "    send(signal.SIGINT)",
        "    time.sleep(600)",
    )
    assert ended == (130, "", "lkcfuse: interrupted again\n")


def test_an_interrupt_when_all_is_done_has_no_traceback(stopping):
    code, out, seen = stopping("print('done')", "atexit.register(send, signal.SIGINT)")
    assert (code, out, seen) == (-signal.SIGINT, "done\n", "")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_thread_that_never_returns_does_not_keep_it(stopping, signum, code):
    ended = stopping(
        "from concurrent.futures import ThreadPoolExecutor",
        "os.mkfifo('pipe')",
        "ThreadPoolExecutor(1).submit(os.open, 'pipe', os.O_RDONLY)",
        f"send({int(signum)})",
    )
    assert ended[0] == code
    assert re.fullmatch(r"lkcfuse: (interrupted|terminated)\n", ended[2])


def test_help_and_version_need_neither_torch_nor_numpy():
    code = (
        "import sys; from lkcfuse.cli.app import run; import lkcfuse; run(['--help']);"
        "run(['--version']); [run([c, '--help']) for c in ['fuse']];"
        "heavy = {'torch', 'numpy', 'cv2', 'PIL', 'scipy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("lkcfuse --ver", ["--version"]),
        ("lkcfuse fuse --task mri-p", ["mri-pet"]),
        ("lkcfuse fuse --device m", ["mps"]),
        ("lkcfuse fuse --format t", ["tiff"]),
        ("lkcfuse fuse --weights lkcfuse-mri-s", ["lkcfuse-mri-spect"]),
        ("lkcfuse weights show lkc-funet-v", ["lkc-funet-vif"]),
        ("lkcfuse train --recipe mri-c", ["mri-ct"]),
        ("lkcfuse batch --engine r", ["ray"]),
        ("lkcfuse eval --task ir", ["ir-vis"]),
        ("lkcfuse eval --metrics Qab", ["Qabf"]),
        ("lkcfuse eval --metrics VIF,SS", ["VIF,SSIM"]),
        ("lkcfuse fuse --palette inf", ["inferno"]),
        ("lkcfuse batch --tile o", ["off"]),
    ],
)
def test_completion(typed, offered):
    done = subprocess.run(
        [sys.executable, "-m", "lkcfuse"],
        env={
            **os.environ,
            "_LKCFUSE_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == offered


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("fuse", "--forze"), "--force"),
        (("batch", "--metric", "m.csv"), "--metrics"),
        (("fuse", "--out", "x.png"), "--output"),
    ],
)
def test_an_unknown_option_names_the_nearest(lkcfuse, words, nearest):
    done = lkcfuse(*words)
    done.assert_fails(2, f"did you mean {nearest}?", "--help")
    assert done.err.count("did you mean") == 1
    assert "Possible options" not in done.err


def test_memory_without_a_unit_is_not_taken_for_bytes(lkcfuse, scene):
    words = ("fuse", "ir/1.png", "vis/1.bmp", "-o", "x.png", "--memory")
    lkcfuse(*words, "4").assert_fails(2, "--memory 4 is 4 bytes: did you mean 4GB?")
    lkcfuse(*words, "0GB").assert_fails(2, "positive")


@pytest.mark.parametrize("words", [("fuse", "nope.png", "b.png", "-o", "x.png"), ("fuze",)])
def test_json_has_an_object_for_an_error_too(lkcfuse, words):
    done = lkcfuse(*words, "--json")
    line = done.err.removeprefix("lkcfuse: error: ").removesuffix("\n")
    assert json.loads(done.text) == {"error": line, "exit_code": done.code}
    assert done.out.count(b"\n") == 1


def test_json_of_a_batch_has_an_object_for_each_pair_and_no_other(lkcfuse, scene, settings):
    (scene / "ir" / "1.png").write_bytes(b"broken")
    done = lkcfuse("batch", "ir", "vis", "--json", *settings)
    assert done.code == 1
    records = [json.loads(line) for line in done.text.splitlines()]
    assert sum("error" in record for record in records) == 1
    assert all("status" in record for record in records)


def test_a_name_too_long_is_told(lkcfuse, scene):
    long = "n" * 300
    for words in (
        ("ir/1.png", "vis/1.bmp", "-o", f"{long}.png"),
        (f"{long}.png", "vis/1.bmp", "-o", "x.png"),
        ("ir/1.png", "vis/1.bmp", "-o", "x.png", "-w", f"{long}.pth"),
    ):
        done = lkcfuse("fuse", *words)
        assert done.code in (2, 3, 4)
        assert "too long" in done.err
        assert "bug" not in done.err


def test_spaces_of_a_name_stay(lkcfuse, scene):
    done = lkcfuse("fuse", "ir/1.png", "vis/1.bmp", "-o", "no  folder/x.png")
    assert done.text == "no  folder/x.png\n"
