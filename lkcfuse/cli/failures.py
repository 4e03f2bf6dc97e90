"""What an exception becomes for the user: one line and an exit code."""

from __future__ import annotations

import errno
import re
import signal
from pathlib import Path

import typer

from lkcfuse.errors import InputError, LkcfuseError, ResourceError, UsageError

# A pipe whose reader has gone ends a Unix program by this signal; shells report it as 128 + 13.
BROKEN_PIPE_EXIT = 128 + 13

# typer brought click along as a package of its own until 0.25 and carries a copy since: the base
# of all its usage errors is found from the one that every version exports.
ClickException: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


def explain(error: BaseException) -> tuple[str | None, int]:
    """Return the line to show for an error, and the exit code.

    Args:
        error: Whatever ended a command.

    Returns:
        The message (one line; None where nothing is to be said) and the exit code.
    """
    if isinstance(error, LkcfuseError):
        return _one_line(error), error.exit_code
    if isinstance(error, ClickException):
        return _explain_usage(error), int(getattr(error, "exit_code", 2))
    if isinstance(error, BrokenPipeError):
        return None, BROKEN_PIPE_EXIT
    if is_out_of_memory(error):
        return (
            "not enough memory: free some, or fuse a smaller image",
            ResourceError.exit_code,
        )
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        place = f"'{error.filename}'" if error.filename else "the output"
        return f"cannot write {place}: {error.strerror}", ResourceError.exit_code
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return (
            "too many files are open: raise the limit (ulimit -n 1024), or give fewer --threads",
            ResourceError.exit_code,
        )
    if isinstance(error, FileNotFoundError) and not error.filename and not _has_working_folder():
        return (
            "the working folder does not exist any more: change to another",
            ResourceError.exit_code,
        )
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        name = str(error.filename or "a name")
        return f"'{name[:60]}...' cannot be used: {error.strerror}", UsageError.exit_code
    if isinstance(error, ValueError) and "null byte" in str(error):
        return (
            "a path contains a NUL character: for lists separated by NUL, give -0",
            UsageError.exit_code,
        )
    if isinstance(error, PermissionError) and error.filename:
        return (
            f"'{error.filename}' cannot be used: {error.strerror}: check its permissions",
            InputError.exit_code,
        )
    return (
        f"this is a bug in lkcfuse ({type(error).__name__}: {_one_line(error)}); "
        "please run again with --debug and report what it shows",
        1,
    )


def _has_working_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def with_hint(error: BaseException, hint: str) -> BaseException:
    """Give an interrupt what its line says besides `interrupted`: how to go on."""
    error.lkcfuse_hint = hint  # type: ignore[attr-defined]
    return error


def hint_of(error: BaseException) -> str | None:
    """Return what `with_hint` gave an error, or one that it came from."""
    seen: BaseException | None = error
    while seen is not None:
        hint = getattr(seen, "lkcfuse_hint", None)
        if hint is not None:
            return str(hint)
        seen = seen.__cause__ or seen.__context__
    return None


def explain_signal(signum: int) -> tuple[str, int]:
    """Return the line and the exit code for a run that a signal ended."""
    word = "interrupted" if signum == signal.SIGINT else "terminated"
    return word, 128 + signum


# What torch says on the CPU, on MPS, oneDNN when it finds no room for the code it makes, and Python
# when it finds none for a thread.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "out of memory",
    "could not create a primitive",
    "can't start new thread",
    "unable to mmap",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device.

    torch raises a class of its own for CUDA, and plain `RuntimeError` with a telling message for
    the CPU and MPS; it is recognised without importing torch.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error)
    if isinstance(error, ImportError):  # torch's libraries alone take some 400 MB of addresses
        return "failed to map segment" in text or "Cannot allocate memory" in text
    return isinstance(error, RuntimeError) and any(sign in text for sign in _OUT_OF_MEMORY)


def _explain_usage(error: Exception) -> str:
    """Say what is wrong with the arguments and where the right ones are listed."""
    message = getattr(error, "format_message", lambda: str(error))()
    command = getattr(getattr(error, "ctx", None), "command_path", "lkcfuse")
    if type(error).__name__ == "NoSuchOption":
        message = f"there is no option {error.option_name}"  # type: ignore[attr-defined]
        nearest = list(getattr(error, "possibilities", None) or ())
        if nearest:  # the most similar one comes first
            message += f": did you mean {nearest[0]}?"
    if type(error).__name__ == "NoArgsIsHelpError":
        message = "a command is missing"  # its own message is the whole help
    return f"{_one_line(message).rstrip('.')} (see '{command} --help')"


def _one_line(message: object) -> str:
    # Spaces stay as they are: they may be those of a file's name. Other control characters are
    # escaped where the line is printed.
    return re.sub(r"\s*[\t\n\v\f\r]\s*", " ", str(message)).strip()
