"""Lines for the user: notes on what is done, and warnings that programs can tell apart.

What goes through a `notify` callback is a warning, unless it is a `Note`. A warning about a source
or a pair is a `CodedWarning`, so that JSON output, journals and reports can name its kind.
"""

from __future__ import annotations

from collections.abc import Iterable

WARNING_CODES: dict[str, str] = {
    "constant-source": "a source has one value everywhere it has data",
    "false-colours": "heat is shown in a palette that is not known",
    "file": "a file is read in part, or in a way that its user may not expect",
    "flat-range": "a source's values were stretched",
    "no-data": "a source has no data in places",
    "palette": "a palette was turned back into heat",
    "radiometric": "a file hides temperatures that are not read",
    "task": "the sources do not look like the task's",
    "thermal-alpha": "a file's alpha channel looks like a thermal image",
}
"""What each code of a `CodedWarning` stands for; docs/sources.md tells what to do about it."""


class Note(str):
    """A line that says what is being done, and that nobody need act on."""

    __slots__ = ()


class CodedWarning(str):
    """A warning about a source or a pair, with a code that programs can rely on.

    Attributes:
        code: One of `WARNING_CODES`.

    Raises:
        ValueError: There is no such code.

    Example:
        >>> CodedWarning("flat-range", "ir.png fills a tenth of its range").code
        'flat-range'
    """

    code: str

    def __new__(cls, code: str, message: str) -> CodedWarning:
        """Make a line of a code."""
        if code not in WARNING_CODES:
            raise ValueError(f"no warning has the code {code!r}")
        made = super().__new__(cls, message)
        made.code = code
        return made

    def __reduce__(self) -> tuple[type[CodedWarning], tuple[str, str]]:
        return CodedWarning, (self.code, str(self))


def warning_records(lines: Iterable[str]) -> list[dict[str, str]]:
    """Return the coded warnings among lines as JSON has them: `code` and `message`."""
    return [
        {"code": line.code, "message": str(line)}
        for line in lines
        if isinstance(line, CodedWarning)
    ]
