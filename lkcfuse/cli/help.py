"""How help looks: as wide as the terminal up to 100 columns, whole words, examples at the end.

Click cuts summaries off, breaks words at hyphens and leaves a narrow column for descriptions on a
narrow terminal; so what it knows about a command is laid out here.
"""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import typer.core

from lkcfuse.cli.examples import EXAMPLES, USAGE
from lkcfuse.errors import UsageError

MOST_COLUMNS = 100
_FEWEST_COLUMNS = 36

# Names in a list of options stand beside their descriptions where these keep so many columns.
_DESCRIPTION_COLUMNS = 48
_NAME_COLUMNS = 26


def columns() -> int:
    """Return how many columns help is laid out for."""
    return max(_FEWEST_COLUMNS, min(shutil.get_terminal_size().columns, MOST_COLUMNS))


# Click puts brackets around a default that is told in words.
_DEFAULT_IN_WORDS = re.compile(r"\[default: \(([^)]*)\)(;|\])")


class Command(typer.core.TyperCommand):
    """A command whose help is laid out by `render`, and whose options are given once each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse a command line; of an option given twice, Click would take the last in silence.

        Raises:
            UsageError: An option that takes one value has two.
        """
        *_, given = self.make_parser(ctx).parse_args(list(args))
        for option in given:
            single = not (getattr(option, "is_flag", False) or option.multiple or option.nargs != 1)
            if single and option.param_type_name == "option" and given.count(option) > 1:
                raise UsageError(f"{max(option.opts, key=len)} is given twice: give it once")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this command."""
        formatter.write(render(self, ctx, columns()))


class Group(typer.core.TyperGroup):
    """A group of commands whose help is laid out by `render`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this group."""
        formatter.write(render(self, ctx, columns()))


def render(command: Any, ctx: Any, width: int) -> str:
    """Return a command's help.

    Args:
        command: The command or group.
        ctx: Its context.
        width: Columns to use.
    """
    lines = [*_usage(command, ctx, width)]
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph:
            lines += ["", *_wrap(paragraph, width, "  ")]
    arguments, options = [], []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            arguments.append((_metavar(parameter), parameter.help or ""))
        else:
            name, text = record
            options.append((name, _DEFAULT_IN_WORDS.sub(r"[default: \1\2", text)))
    commands = [
        (name, _summary(command.get_command(ctx, name).help))
        for name in getattr(command, "commands", ())
    ]
    for title, rows in (("Arguments", arguments), ("Options", options), ("Commands", commands)):
        if rows:
            lines += ["", f"{title}:", *_definitions(rows, width)]
    examples = EXAMPLES.get(_words(ctx), ())
    if examples:
        lines += ["", "Examples:", *(f"  {example}" for example in examples)]
    return "\n".join(lines) + "\n"


def _usage(command: Any, ctx: Any, width: int) -> list[str]:
    hanging = "    "
    if known := USAGE.get(_words(ctx)):
        return _wrap(f"Usage: {ctx.command_path} {known}", width, "", hanging)
    pieces = []
    if any(parameter.param_type_name == "option" for parameter in command.get_params(ctx)):
        pieces.append("[OPTIONS]")
    for parameter in command.get_params(ctx):
        if parameter.param_type_name == "argument":
            name = _metavar(parameter)
            pieces.append(name if parameter.required else f"[{name}]")
    if hasattr(command, "commands"):
        pieces.append("COMMAND ...")
    return _wrap(" ".join([f"Usage: {ctx.command_path}", *pieces]), width, "", hanging)


def _words(ctx: Any) -> str:
    """Return the command's words after the program's name."""
    return " ".join(ctx.command_path.split()[1:])


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _summary(text: str | None) -> str:
    """Return the first paragraph of a command's help."""
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def _definitions(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield the lines of names and descriptions, side by side where there is room."""
    widest = max(len(name) for name, _ in rows)
    indent = min(widest, _NAME_COLUMNS) + 4
    if width - indent < _DESCRIPTION_COLUMNS:
        indent = 6
    for name, text in rows:
        described = _wrap(text, width, " " * indent)
        start = f"  {name}"
        if described and len(start) + 2 <= indent:
            yield start.ljust(indent) + described[0][indent:]
            yield from described[1:]
        else:
            yield start
            yield from described


def _wrap(text: str, width: int, indent: str, hanging: str | None = None) -> list[str]:
    """Break text into lines between words; a word that is too long stands alone."""
    return textwrap.wrap(
        " ".join(text.split()),
        width,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
