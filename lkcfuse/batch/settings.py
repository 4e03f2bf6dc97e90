"""What besides the sources decides the bytes of an output."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lkcfuse.fusion.fuser import Fuser
from lkcfuse.images.formats import Format
from lkcfuse.pairs import PairOptions


@dataclass(frozen=True)
class Settings:
    """The settings of a run: other ones would make other files.

    The device and the number of threads are none of them: they change a result by rounding alone.

    Attributes:
        task: Name of the task.
        weights: Name of the weights, for people.
        weights_sha256: Hash of the file they were loaded from.
        input_range: Values for black and white in the network's input.
        output_range: Values for black and white in its output.
        channel_order: Which source is which channel.
        options: What is done to a pair before and after the network.
        format: Name of the outputs' format.
        stretch: Whether outputs are stretched to the whole range.
    """

    task: str
    weights: str
    weights_sha256: str
    input_range: tuple[float, float]
    output_range: tuple[float, float]
    channel_order: tuple[str, ...]
    options: PairOptions
    format: str
    stretch: bool = False

    @classmethod
    def of(cls, fuser: Fuser, chosen: Format, options: PairOptions) -> Settings:
        """Return the settings of a fuser that writes in a format; the fuser is loaded."""
        weights = fuser.weights
        return cls.from_record(
            {
                "task": fuser.task.name,
                "weights": weights.name,
                "weights_sha256": weights.sha256,
                "input_range": weights.processing.input_range,
                "output_range": weights.processing.output_range,
                "channel_order": weights.processing.channel_order,
                "invert_first": options.invert_first,
                "sources": _without_inversion(options),
                "format": chosen.name,
                "stretch": weights.processing.stretch,
            }
        )

    @property
    def key(self) -> str:
        """16 hexadecimal digits that stand for everything but the weights' name."""
        fields = {name: value for name, value in self.to_record().items() if name != "weights"}
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_record(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        record = asdict(self)
        if not self.stretch:
            # As journals had it before there was a stretch: their keys stay valid.
            del record["stretch"]
        del record["options"]
        record["invert_first"] = self.options.invert_first
        sources = _without_inversion(self.options)
        if sources:
            record["sources"] = sources
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Settings:
        """Make settings of their record.

        Raises:
            KeyError, TypeError, ValueError: It is not such a record.
        """
        low, high = record["input_range"]
        black, white = record["output_range"]
        return cls(
            task=str(record["task"]),
            weights=str(record["weights"]),
            weights_sha256=str(record["weights_sha256"]),
            input_range=(float(low), float(high)),
            output_range=(float(black), float(white)),
            channel_order=tuple(str(source) for source in record["channel_order"]),
            options=PairOptions.from_record(
                {**record.get("sources", {}), "invert_first": bool(record["invert_first"])}
            ),
            format=str(record["format"]),
            stretch=bool(record.get("stretch", False)),
        )

    def differences(self, other: Settings) -> list[str]:
        """Say what these settings have and the other ones have not, a few words each."""
        found = []
        if self.weights_sha256 != other.weights_sha256:
            found.append(f"weights {self.weights} ({self.weights_sha256[:12]})")
        elif (self.input_range, self.output_range, self.channel_order, self.stretch) != (
            other.input_range,
            other.output_range,
            other.channel_order,
            other.stretch,
        ):
            found.append(f"weights {self.weights} fed in another way")
        if self.task != other.task:
            found.append(f"task {self.task}")
        if self.format != other.format:
            found.append(f"format {self.format}")
        if self.options.invert_first != other.options.invert_first:
            found.append(f"{'' if self.options.invert_first else 'no '}--invert-first")
        mine, others = _without_inversion(self.options), _without_inversion(other.options)
        if mine != others:
            found.append(f"sources read with {json.dumps(mine)}" if mine else "sources as they are")
        return found


def _without_inversion(options: PairOptions) -> dict[str, Any]:
    """Return the record of options, but for the inversion, which has a field of its own."""
    return {name: value for name, value in options.to_record().items() if name != "invert_first"}
