"""The command line's entry: the commands there are, and what an error becomes.

To add a command: write it in a file of its own beside this one (typer and the standard library
at import, everything heavy inside the function), and register it at the end of this file.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Annotated

import typer

from lkcfuse.cli import batch, cite, doctor, export, failures, fuse, output, streams, train, weights
from lkcfuse.cli import eval as evaluation
from lkcfuse.cli.help import Command, Group
from lkcfuse.environment import apply_library_settings
from lkcfuse.errors import PartialError
from lkcfuse.version import __version__

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SIGNAL_EXITS = tuple(failures.explain_signal(signum)[1] for signum in _SIGNALS)

_GRACE_SECONDS = 1.0
"""How long threads may take to end after a signal has ended a command."""

_TWICE_SECONDS = 0.5
"""Signals that follow each other within this time are one."""

app = typer.Typer(
    name="lkcfuse",
    cls=Group,
    help="Fuse two registered images of one scene into one, with LKC-FUNet.",
    # Plain text: it can be piped and searched, and needs no import of rich.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"lkcfuse {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            help="Show the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
    _debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show the traceback of an error; may stand anywhere in the line."
        ),
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(2)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed, never raised.

    Args:
        arguments: The words after the program's name.
    """
    words, debug = _take_debug(arguments)
    command = typer.main.get_command(app)
    with _signals() as received:
        try:
            with command.make_context("lkcfuse", words) as ctx:
                command.invoke(ctx)
            sys.stdout.flush()
        except typer.Exit as done:
            return done.exit_code
        except BaseException as error:
            if debug:
                traceback.print_exc()
            # An interrupt in the middle of an import may come out as some other error.
            if received or isinstance(error, (KeyboardInterrupt, typer.Abort)):
                message, code = failures.explain_signal(received[0] if received else signal.SIGINT)
                hint = failures.hint_of(error)
                print(f"lkcfuse: {message}{f': {hint}' if hint else ''}", file=sys.stderr)
                return code
            if isinstance(error, (SystemExit, GeneratorExit)):
                raise
            message_or_none, code = failures.explain(error)
            if message_or_none is not None:
                if _asks_for_json(words) and not isinstance(error, PartialError):
                    output.error_record(message_or_none, code)
                output.error(message_or_none)
            return code
    return 0


def main() -> None:
    """Run the command line of this process, and end the process with its exit code."""
    streams.open_closed()
    if "_LKCFUSE_COMPLETE" in os.environ:
        app(prog_name="lkcfuse")
    if not sys.warnoptions:
        # The libraries' warnings speak to programmers; ours are printed as such.
        warnings.simplefilter("ignore")
    apply_library_settings()
    sys.stdout.reconfigure(errors=streams.ERRORS)  # type: ignore[union-attr]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Before and after a command's own handler no traceback is of use to anybody.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = run(sys.argv[1:])
    if code in _SIGNAL_EXITS:
        _end_soon(code)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = failures.BROKEN_PIPE_EXIT
    if code == failures.BROKEN_PIPE_EXIT:
        # Python flushes once more on its way out, and would complain about the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _end_soon(code: int) -> None:
    """End this process within a second, whatever its threads do.

    Python waits for them, and one may read from a mount that does not answer.
    """
    watch = threading.Timer(_GRACE_SECONDS, os._exit, (code,))
    watch.daemon = True
    watch.start()


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Take `--debug` out of a command line, so that every command knows it wherever it stands."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    options = [word for word in words[:end] if word != "--debug"]
    return options + words[end:], len(options) < end


def _asks_for_json(words: Sequence[str]) -> bool:
    end = words.index("--") if "--" in words else len(words)
    return "--json" in words[:end]


class _Interrupted(KeyboardInterrupt):
    """Raised by a signal.

    A class of its own, since Python ends itself by SIGINT, whatever the exit code, when a bare
    KeyboardInterrupt has passed through `exec` (on which dataclasses are built).
    """


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt, so that both clean up alike.

    The first one lets the command clean up. One that comes later ends the process at once, as any
    kill would; what a batch leaves then is what its next run expects. A signal that is ignored
    stays so (`nohup`, a shell's background job).

    Yields:
        The signals received so far.
    """
    received: list[int] = []
    first_at = 0.0

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        nonlocal first_at
        if not received:
            received.append(signum)
            first_at = time.monotonic()
            raise _Interrupted
        # `timeout` sends its signal twice in a row, as does a terminal with a program in between.
        if time.monotonic() - first_at > _TWICE_SECONDS:
            message, code = failures.explain_signal(signum)
            with suppress(OSError):
                os.write(2, f"lkcfuse: {message} again\n".encode())
            os._exit(code)

    previous = {}
    try:
        for signum in _SIGNALS:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                previous[signum] = signal.signal(signum, interrupt)
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


# More words than a command takes are what a shell makes of wildcards: it says what to type instead.
_TAKES_MORE = {"allow_extra_args": True}

app.command(cls=Command, context_settings=_TAKES_MORE)(fuse.fuse)
app.command("batch", cls=Command, context_settings=_TAKES_MORE)(batch.batch)
app.command("eval", cls=Command)(evaluation.evaluate)
app.command(cls=Command)(cite.cite)
app.command(cls=Command)(train.train)
app.command(cls=Command)(export.export)
app.command(cls=Command)(doctor.doctor)
app.add_typer(weights.app, name="weights")
