"""The lines of a batch's journal: one JSON object each, told apart by their `type`.

A batch may hold millions of them in memory, hence the slots, and the names that are kept once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as it was when it was read or written.

    Attributes:
        path: Absolute for a source; relative to the output folder, with `/`, for an output.
        sha256: Hash of all its bytes.
        bytes: Its length.
    """

    path: str
    sha256: str
    bytes: int

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FileRecord:
        """Make one of its JSON object.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: It is not such an object.
        """
        return cls(str(record["path"]), str(record["sha256"]), _count(record["bytes"]))


@dataclass(frozen=True, slots=True)
class PairRecord:
    """A pair that was fused. It is written before its output appears under its name.

    Attributes:
        name: The pair's name: the output's relative stem.
        first: The first source.
        second: The second source.
        output: The fused image.
        settings: Key of the settings it was fused with.
        width: In pixels.
        height: In pixels.
        seconds: Seconds by stage: `read`, `fuse` and `encode`.
        time: When, in seconds since 1970.
        warnings: What there was to warn of, as `warning_records` has it.
    """

    name: str
    first: FileRecord
    second: FileRecord
    output: FileRecord
    settings: str
    width: int
    height: int
    seconds: dict[str, float]
    time: float
    warnings: tuple[dict[str, str], ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return the line's JSON object."""
        record = {"type": "pair", **asdict(self)}
        if not self.warnings:
            del record["warnings"]
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PairRecord:
        """Make one of its JSON object."""
        return cls(
            name=str(record["name"]),
            first=FileRecord.from_record(record["first"]),
            second=FileRecord.from_record(record["second"]),
            output=FileRecord.from_record(record["output"]),
            settings=sys.intern(str(record["settings"])),
            width=_count(record["width"]),
            height=_count(record["height"]),
            seconds={
                sys.intern(str(stage)): float(spent) for stage, spent in record["seconds"].items()
            },
            time=float(record["time"]),
            warnings=tuple(
                {"code": str(warning["code"]), "message": str(warning["message"])}
                for warning in record.get("warnings", ())
            ),
        )


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """The metrics of one output.

    Attributes:
        name: The pair's name.
        sources_sha256: Hashes of the two sources it was scored against.
        output_sha256: Hash of the output that was scored.
        lkcfuse: The version that scored it.
        values: Value by metric; None where undefined.
        baselines: The same for each baseline of the two sources that was scored.
    """

    name: str
    sources_sha256: tuple[str, str]
    output_sha256: str
    lkcfuse: str
    values: dict[str, float | None]
    baselines: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """Return the line's JSON object."""
        return {"type": "metrics", **asdict(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ScoreRecord:
        """Make one of its JSON object."""
        first, second = record["sources_sha256"]
        return cls(
            name=str(record["name"]),
            sources_sha256=(str(first), str(second)),
            output_sha256=str(record["output_sha256"]),
            lkcfuse=str(record["lkcfuse"]),
            values=_values(record["values"]),
            # Journals of runs without a report have none.
            baselines={
                str(method): _values(values)
                for method, values in record.get("baselines", {}).items()
            },
        )


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.40} is not a number of bytes or pixels")
    return value


def _values(record: Mapping[str, Any]) -> dict[str, float | None]:
    return {str(name): None if value is None else float(value) for name, value in record.items()}
