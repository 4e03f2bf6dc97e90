"""Lines for the user that are no warnings.

What goes through a `notify` callback is a warning, unless it is a `Note`.
"""

from __future__ import annotations


class Note(str):
    """A line that says what is being done, and that nobody need act on."""

    __slots__ = ()
