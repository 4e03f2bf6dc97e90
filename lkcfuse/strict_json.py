"""JSON out of files that anybody may have written: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from typing import Any

_LARGEST = 2**63
_DEPTH = 50
_TOO_DEEP = "its lists and objects are nested too deeply"
# An escaped surrogate. Half of a pair is not text, unless it stands for a byte of a file's name.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def loads(
    text: str | bytes, *, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """Decode JSON, within the bounds of what can be computed with and written again.

    Args:
        text: The document, as UTF-8 where it is bytes.
        object_pairs_hook: As for `json.loads`.

    Returns:
        The decoded value. Its floats are finite, its whole numbers below 2^63 in magnitude, and
        its strings can be used in the names of files.

    Raises:
        ValueError: It is not JSON, has lists or objects nested more than 50 deep, or a number or
            a string in it is out of those bounds.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(
            decoded,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_finite,
            object_pairs_hook=object_pairs_hook,
        )
        if _SURROGATE.search(decoded):
            # Encoding all of it once finds a surrogate wherever it stands.
            os.fsencode(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    # Most documents have fewer brackets than may be nested, so they need not be walked.
    if decoded.count("[") + decoded.count("{") > _DEPTH:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = inner
    raise ValueError(_TOO_DEEP)


def _whole(digits: str) -> int:
    # Digits are counted first: converting a million of them takes seconds.
    if len(digits) > 20 or not -_LARGEST <= (value := int(digits)) < _LARGEST:
        raise ValueError(f"the number {digits[:20]}... is out of range")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:20]} is out of range")
    return value
