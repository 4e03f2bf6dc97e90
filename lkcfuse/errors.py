"""What can go wrong, each with the exit code the command line ends with.

Every message is one line that names the file (or device, or weight) and the cure: it is shown
to the user as it stands.
"""

from __future__ import annotations


class LkcfuseError(Exception):
    """Base of every error that is the user's to act on; shown as one line, never a traceback."""

    exit_code = 1


class PartialError(LkcfuseError):
    """Some of many parts failed; each has been reported, and the others are done."""


class RefusedError(LkcfuseError):
    """A pair was not fused, since there is something to warn of and warnings are refused."""


class UsageError(LkcfuseError):
    """Wrong usage: options that exclude each other, an existing output, no such output folder."""

    exit_code = 2


class InputError(LkcfuseError):
    """An input file is missing, unreadable, or unfit (two sizes, an unknown format)."""

    exit_code = 3


class WeightsError(LkcfuseError):
    """Weights are unknown, unreachable, damaged, or not a network of this family."""

    exit_code = 4


class NotCachedError(WeightsError):
    """Weights are known, and not on this machine, and the network must not be touched."""


class ResourceError(LkcfuseError):
    """The machine falls short: absent device, too little memory, full or unwritable disk."""

    exit_code = 5
