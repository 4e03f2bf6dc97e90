"""One entry of the manifest: what is known about a checkpoint, and how it is read from JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lkcfuse.architectures import registry
from lkcfuse.architectures.processing import FIRST_SECOND, SECOND_FIRST, Processing
from lkcfuse.models.fields import Fields, read_whole
from lkcfuse.models.source import Source, read_source
from lkcfuse.tasks import TASKS

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
RESERVED = ("all",)


@dataclass(frozen=True)
class Score:
    """Metrics of a checkpoint on one set of pairs, beside those of plain baselines."""

    data: str
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """One checkpoint of the manifest.

    Attributes:
        name: The name users type; also the stem of its files in the cache.
        tasks: The fusion tasks it was trained for; a task's default is its first entry.
        source: Where the file comes from.
        bytes: Exact length of the source file.
        sha256: Hash of the source file, 64 lower-case hexadecimal digits.
        input_range: Values that stand for black and white in the network's input.
        output_range: Values that stand for black and white in its output.
        channel_order: Which source is channel 0 and which is channel 1.
        licence: SPDX identifier, or ``none stated``.
        architecture: Name of the network's architecture.
        width: Of the network, 32 in the paper of LKC-FUNet; None where it is not stated.
        stretch: Whether finished images are stretched to the whole range.
        citation: The work to cite.
        trained_on: The data it was trained on.
        aliases: Further names, each of which may belong to one entry a task (``authors``).
        notice: What a user has to know before fetching the file; shown when it is fetched.
        description: One sentence on what the checkpoint is.
        homepage: Address of the people who made it.
        training: Recipe, steps, machine and hours.
        intended_use: What it is for and not for.
        limitations: Known failures.
        scores: Measured metrics.
    """

    name: str
    tasks: tuple[str, ...]
    source: Source
    bytes: int
    sha256: str
    input_range: tuple[float, float]
    output_range: tuple[float, float]
    channel_order: tuple[str, ...]
    licence: str
    citation: str
    trained_on: str
    architecture: str = registry.DEFAULT
    width: int | None = None
    stretch: bool = False
    aliases: tuple[str, ...] = ()
    notice: str = ""
    description: str = ""
    homepage: str = ""
    training: str = ""
    intended_use: str = ""
    limitations: str = ""
    scores: tuple[Score, ...] = ()

    @property
    def processing(self) -> Processing:
        """How the network is fed, and what its output needs."""
        return Processing(self.input_range, self.output_range, self.channel_order, self.stretch)


def read_entry(fields: Fields) -> Entry:
    """Read one entry of a manifest's list.

    Raises:
        WeightsError: A field is missing or not valid; the message names entry and field.
    """
    name = fields.text("name")
    if not _NAME.fullmatch(name) or ".." in name or name in RESERVED:
        raise fields.fail("name", "expected lower-case letters, digits, '-', '_' and '.'")
    tasks = fields.texts("tasks")
    for task in tasks:
        if task not in TASKS:
            raise fields.fail("tasks", f"'{task}' is not one of {', '.join(TASKS)}")
    sha256 = fields.text("sha256")
    if not _SHA256.fullmatch(sha256):
        raise fields.fail("sha256", "expected 64 lower-case hexadecimal digits")
    channel_order = fields.texts("channel_order")
    if channel_order not in (SECOND_FIRST, FIRST_SECOND):
        raise fields.fail("channel_order", 'expected ["second", "first"] or ["first", "second"]')
    architecture = fields.text("architecture", registry.DEFAULT)
    if architecture not in registry.names():
        known = ", ".join(registry.names())
        raise fields.fail("architecture", f"'{architecture}' is not one of {known}")
    return Entry(
        name=name,
        tasks=tasks,
        source=read_whole(fields.raw("source"), f"{fields.place}: source", read_source),
        bytes=fields.whole("bytes"),
        sha256=sha256,
        input_range=fields.range("input_range"),
        output_range=fields.range("output_range"),
        channel_order=channel_order,
        licence=fields.text("licence"),
        citation=fields.text("citation"),
        trained_on=fields.text("trained_on"),
        architecture=architecture,
        width=fields.whole("width") if fields.has("width") else None,
        stretch=fields.flag("stretch"),
        aliases=fields.texts("aliases", optional=True),
        notice=fields.text("notice", ""),
        description=fields.text("description", ""),
        homepage=fields.text("homepage", ""),
        training=fields.text("training", ""),
        intended_use=fields.text("intended_use", ""),
        limitations=fields.text("limitations", ""),
        scores=fields.each("scores", _read_score),
    )


def _read_score(fields: Fields) -> Score:
    baselines: dict[str, dict[str, float]] = {}
    if fields.has("baselines"):
        inner = Fields(fields.raw("baselines"), f"{fields.place}: baselines")
        baselines = {name: inner.numbers(name) for name in fields.raw("baselines")}
    return Score(fields.text("data"), fields.numbers("metrics"), baselines, fields.text("note", ""))
