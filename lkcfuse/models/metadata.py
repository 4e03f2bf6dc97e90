"""Value ranges and provenance in the metadata of our safetensors files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from lkcfuse import strict_json
from lkcfuse.architectures.processing import FIRST_SECOND, SECOND_FIRST, Processing
from lkcfuse.errors import WeightsError

INPUT_RANGE_KEY = "input_range"
OUTPUT_RANGE_KEY = "output_range"
CHANNEL_ORDER_KEY = "channel_order"
STRETCH_KEY = "stretch"


def to_metadata(processing: Processing) -> dict[str, str]:
    """Return the metadata that `read_processing` reads, to be stored with a network's tensors."""
    metadata = {
        INPUT_RANGE_KEY: json.dumps(processing.input_range),
        OUTPUT_RANGE_KEY: json.dumps(processing.output_range),
        CHANNEL_ORDER_KEY: json.dumps(processing.channel_order),
    }
    if processing.stretch:
        metadata[STRETCH_KEY] = json.dumps(True)
    return metadata


def read_processing(path: Path) -> Processing | None:
    """Return what a checkpoint says about how to feed it; None where it says nothing.

    Only safetensors files carry metadata; the tensors are not read.

    Raises:
        WeightsError: The file is damaged, or what it says is not valid.
    """
    metadata = _metadata(path)
    if INPUT_RANGE_KEY not in metadata and OUTPUT_RANGE_KEY not in metadata:
        return None
    order: tuple[str, ...] = SECOND_FIRST
    if CHANNEL_ORDER_KEY in metadata:
        order = tuple(str(item) for item in _json(path, metadata, CHANNEL_ORDER_KEY))
        if order not in (SECOND_FIRST, FIRST_SECOND):
            raise _invalid(path, CHANNEL_ORDER_KEY, 'such as ["second", "first"]')
    return Processing(
        _range(path, metadata, INPUT_RANGE_KEY),
        _range(path, metadata, OUTPUT_RANGE_KEY),
        order,
        metadata.get(STRETCH_KEY) == "true",
    )


def _metadata(path: Path) -> Mapping[str, str]:
    """Return the text metadata of a safetensors file; a PyTorch archive carries none."""
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                return {}
        with safe_open(path, framework="np") as opened:
            return dict(opened.metadata() or {})
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, ValueError) as error:
        raise WeightsError(
            f"{path}: neither a safetensors file nor a PyTorch archive, or damaged ({error})"
        ) from None


def _range(path: Path, metadata: Mapping[str, str], key: str) -> tuple[float, float]:
    values = [
        float(value)
        for value in _json(path, metadata, key)
        if isinstance(value, (int, float)) and math.isfinite(value)
    ]
    if len(values) != 2 or values[0] >= values[1]:
        raise _invalid(path, key, "a range such as [0, 1]")
    return values[0], values[1]


def _json(path: Path, metadata: Mapping[str, str], key: str) -> list[object]:
    try:
        value = strict_json.loads(metadata.get(key, ""))
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise _invalid(path, key, "a list")
    return value


def _invalid(path: Path, key: str, wanted: str) -> WeightsError:
    return WeightsError(f"{path}: its metadata field '{key}' is not {wanted}")
