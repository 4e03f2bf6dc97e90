"""Reads the fields of a JSON object by type; an error names the file, the entry and the field."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from lkcfuse.errors import WeightsError

T = TypeVar("T")

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def kind(value: object) -> str:
    """Say in JSON's words what a decoded value is."""
    return _NAMES.get(type(value), type(value).__name__)


class Fields:
    """The fields of one JSON object, taken one by one and checked as they are taken.

    Args:
        data: The decoded JSON value, which has to be an object.
        place: Where it stands, for messages: ``weights.json: weights 'ir-vis'``.

    Raises:
        WeightsError: `data` is not an object.
    """

    def __init__(self, data: object, place: str) -> None:
        if not isinstance(data, Mapping):
            raise WeightsError(f"{place}: expected an object, found {kind(data)}")
        self._data: Mapping[str, Any] = data
        self._known: set[str] = set()
        self.place = place

    def fail(self, field: str, problem: str) -> WeightsError:
        """Return the error that says what is wrong with `field`."""
        return WeightsError(f"{self.place}: field '{field}': {problem}")

    def has(self, field: str) -> bool:
        """Tell whether the field is there; asking makes it a known one."""
        self._known.add(field)
        return field in self._data

    def raw(self, field: str) -> Any:
        """Return the field as decoded; it has to be there."""
        if not self.has(field):
            raise WeightsError(f"{self.place}: field '{field}' is missing")
        return self._data[field]

    def text(self, field: str, default: str | None = None) -> str:
        """Return a string that is not blank, or the default where the field is absent."""
        if default is not None and not self.has(field):
            return default
        return self._text(field, self.raw(field))

    def whole(self, field: str, minimum: int = 1) -> int:
        """Return a whole number that is at least `minimum`."""
        value = self.raw(field)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(field, f"expected a whole number, found {kind(value)}")
        if value < minimum:
            raise self.fail(field, f"expected {minimum} or more, found {value}")
        return value

    def flag(self, field: str) -> bool:
        """Return true or false; false where the field is absent."""
        value = self._data[field] if self.has(field) else False
        if not isinstance(value, bool):
            raise self.fail(field, f"expected true or false, found {kind(value)}")
        return value

    def range(self, field: str) -> tuple[float, float]:
        """Return a value range: two finite numbers, the lower one first."""
        value = self.raw(field)
        if not isinstance(value, list) or len(value) != 2:
            raise self.fail(field, "expected two numbers, such as [0, 1]")
        low, high = (self._number(field, item) for item in value)
        if low >= high:
            raise self.fail(field, f"the first number must be below the second, found {value}")
        return low, high

    def texts(self, field: str, *, optional: bool = False) -> tuple[str, ...]:
        """Return a list of different strings; an absent optional one is empty."""
        if optional and not self.has(field):
            return ()
        value = self.raw(field)
        if not isinstance(value, list):
            raise self.fail(field, f"expected a list of strings, found {kind(value)}")
        items = tuple(self._text(field, item) for item in value)
        if len(set(items)) < len(items):
            raise self.fail(field, "an item appears twice")
        if not items and not optional:
            raise self.fail(field, "the list is empty")
        return items

    def numbers(self, field: str) -> dict[str, float]:
        """Return an object whose values are finite numbers."""
        value = self.raw(field)
        if not isinstance(value, Mapping):
            raise self.fail(field, f"expected an object of numbers, found {kind(value)}")
        return {name: self._number(f"{field}.{name}", item) for name, item in value.items()}

    def each(self, field: str, read: Callable[[Fields], T]) -> tuple[T, ...]:
        """Return what `read` makes of every object in an optional list of objects."""
        if not self.has(field):
            return ()
        value = self.raw(field)
        if not isinstance(value, list):
            raise self.fail(field, f"expected a list of objects, found {kind(value)}")
        places = (f"{self.place}: {field}[{index}]" for index in range(len(value)))
        return tuple(
            read_whole(item, place, read) for item, place in zip(value, places, strict=True)
        )

    def finish(self) -> None:
        """Refuse fields nobody asked for: a misspelt optional one would be lost in silence."""
        for field in self._data:
            if field not in self._known:
                close = difflib.get_close_matches(field, self._known, n=1)
                hint = f"; did you mean '{close[0]}'?" if close else _list(sorted(self._known))
                raise WeightsError(f"{self.place}: unknown field '{field}'{hint}")

    def _text(self, field: str, value: object) -> str:
        if not isinstance(value, str):
            raise self.fail(field, f"expected a string, found {kind(value)}")
        if not value.strip():
            raise self.fail(field, "the string is blank")
        return value

    def _number(self, field: str, value: object) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self.fail(field, f"expected a number, found {kind(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.fail(field, f"expected a finite number, found {value}")
        return number


def read_whole(data: object, place: str, read: Callable[[Fields], T]) -> T:
    """Read one object with `read` and refuse the fields it did not ask for."""
    fields = Fields(data, place)
    result = read(fields)
    fields.finish()
    return result


def _list(names: Iterable[str]) -> str:
    return f"; the fields are {', '.join(names)}"
