"""Options that belong together, declared once as a dataclass and taken by commands as one value.

typer makes an option of each parameter of a function. `with_groups` lets a parameter be a whole
dataclass: its fields, annotated as typer has it, become the options, and the function gets the
dataclass made of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Any, TypeVar, get_type_hints

Command = TypeVar("Command", bound=Callable[..., Any])


def with_groups(command: Command) -> Command:
    """Give a command its dataclass parameters as single options.

    Args:
        command: A function whose parameters are options, or dataclasses of options that have
            defaults.

    Returns:
        The function as typer should see it; the options of a dataclass stand where it stood.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if isinstance(kind, type) and is_dataclass(kind):
            options = [_parameter(kind, member) for member in fields(kind)]
            groups[parameter.name] = kind, [option.name for option in options]
            parameters.extend(options)
        else:
            parameters.append(parameter.replace(annotation=kind))

    @wraps(command)
    def call(**values: Any) -> Any:
        for name, (kind, options) in groups.items():
            values[name] = kind(**{option: values.pop(option) for option in options})
        return command(**values)

    shown = inspect.Signature(
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    )
    call.__signature__ = shown  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    del call.__wrapped__  # else typer would look at what lies below
    return call  # type: ignore[return-value]


def _parameter(group: type, member: Field[Any]) -> inspect.Parameter:
    if member.default is MISSING:
        raise TypeError(f"{group.__name__}.{member.name} has no default")
    annotation = get_type_hints(group, include_extras=True)[member.name]
    return inspect.Parameter(
        member.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=member.default,
        annotation=annotation,
    )
