"""The command line's entry: the commands there are, and what an error becomes.

To add a command: write it in a file of its own beside this one (typer and the standard library
at import, everything heavy inside the function), and register it at the end of this file.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from lkcfuse.cli import batch, doctor, export, failures, fuse, output, streams, train, weights
from lkcfuse.cli import eval as evaluation
from lkcfuse.environment import apply_library_settings
from lkcfuse.version import __version__

app = typer.Typer(
    name="lkcfuse",
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
                print(f"lkcfuse: {message}", file=sys.stderr)
                return code
            if isinstance(error, (SystemExit, GeneratorExit)):
                raise
            message_or_none, code = failures.explain(error)
            if message_or_none is not None:
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
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = failures.BROKEN_PIPE_EXIT
    if code == failures.BROKEN_PIPE_EXIT:
        # Python flushes once more on its way out, and would complain about the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Take `--debug` out of a command line, so that every command knows it wherever it stands."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    options = [word for word in words[:end] if word != "--debug"]
    return options + words[end:], len(options) < end


class _Interrupted(KeyboardInterrupt):
    """Raised by a signal.

    A class of its own, since Python ends itself by SIGINT, whatever the exit code, when a bare
    KeyboardInterrupt has passed through `exec` (on which dataclasses are built).
    """


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt, so that both clean up alike.

    A signal that is ignored stays so (`nohup`, a shell's background job).

    Yields:
        The signals received so far.
    """
    received: list[int] = []

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        raise _Interrupted

    previous = {}
    try:
        for signum in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(signum) is not signal.SIG_IGN:
                previous[signum] = signal.signal(signum, interrupt)
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


# More words than a command takes are what a shell makes of wildcards: it says what to type instead.
_TAKES_MORE = {"allow_extra_args": True}

app.command(context_settings=_TAKES_MORE)(fuse.fuse)
app.command(context_settings=_TAKES_MORE)(batch.batch)
app.command("eval")(evaluation.evaluate)
app.command()(train.train)
app.command()(export.export)
app.command()(doctor.doctor)
app.add_typer(weights.app, name="weights")
