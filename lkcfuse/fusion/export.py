"""A model as a file for other programs: ONNX, or a program of `torch.export`.

What is exported is the plain form: one convolution after the other, over the whole image. Exact
tiling and the fast convolution are this project's own, and stay behind.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lkcfuse.atomic import atomic_write
from lkcfuse.errors import LkcfuseError, ResourceError, UsageError
from lkcfuse.fusion.model import FusionModel
from lkcfuse.version import __version__

if TYPE_CHECKING:
    from onnx import ModelProto

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
"""The formats, and how their files end."""

TOLERANCE = 1e-4
"""The most that an exported model may differ from ours, in [0, 1]."""

SIZES = ((64, 80), (45, 70), (97, 33))
"""(height, width) of the pairs that an exported model is checked on: multiples, odd ones, tall."""

SMALLEST = 16
"""The fewest pixels that height and width of an exported model's sources may have."""


class _Grey(nn.Module):
    """What is exported: two grey batches to one."""

    def __init__(self, model: FusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Fuse (N, 1, H, W) in [0, 1]."""
        fused: Tensor = self.model(first, second)
        return fused


def choose_export_format(path: Path, asked: str | None) -> str:
    """Return the format to write: the one asked for, else what the file's suffix stands for.

    Raises:
        UsageError: There is no such format, or the suffix stands for none.
    """
    if asked is not None:
        if asked not in SUFFIXES:
            known = " or ".join(SUFFIXES)
            raise UsageError(f"no export format is called '{asked}': choose {known}")
        return asked
    for name, suffix in SUFFIXES.items():
        if path.suffix.lower() == suffix:
            return name
    raise UsageError(
        f"{path} does not end in {' or '.join(SUFFIXES.values())}: rename it, or give --format"
    )


def export_model(
    model: FusionModel,
    path: Path,
    format_name: str,
    *,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write a model for other programs, and check that it gives what ours gives.

    Its inputs are `first` and `second` and its output `fused`, all (N, 1, H, W) float32 in [0, 1],
    N being 1 or more and H and W `SMALLEST` or more; colour is put back by whoever runs it.

    Args:
        model: In evaluation mode, on the CPU.
        path: The file.
        format_name: `onnx` or `torch`.
        overwrite: Whether a file that exists is replaced.
        progress: Told, in a few words each, what is being done.

    Returns:
        What was written: format, bytes, largest difference, and the file's metadata.

    Raises:
        UsageError: There is no such format, or the file exists.
        ResourceError: A package for it is not installed, or the file cannot be written.
        LkcfuseError: The exported model differs from ours by more than `TOLERANCE`.
    """
    choose_export_format(path, format_name)
    metadata = _metadata(model)
    progress("tracing the network")
    program = _program(model)
    if format_name == "torch":
        buffer = io.BytesIO()
        torch.export.save(program, buffer, extra_files={"lkcfuse.json": json.dumps(metadata)})
        data = buffer.getvalue()
        run: Callable[[Tensor, Tensor], Tensor] = program.module()
    else:
        progress("translating it to ONNX")
        data = _to_onnx(program, metadata)
        run = _onnx_runner(data)
    progress("checking it")
    difference = _largest_difference(model, run)
    if not difference <= TOLERANCE:
        raise LkcfuseError(
            f"{path} was not written: the exported model differs from ours by {difference:.2g}, "
            f"more than {TOLERANCE:g}; try another release of torch and onnxscript"
        )
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(data)
    return {
        "format": format_name,
        "bytes": len(data),
        "difference": difference,
        "metadata": metadata,
    }


def _program(model: FusionModel) -> torch.export.ExportedProgram:
    """Trace a model for batches and images of any size."""
    height = torch.export.Dim("height", min=SMALLEST)
    width = torch.export.Dim("width", min=SMALLEST)
    dynamic = {0: torch.export.Dim("batch", min=1), 2: height, 3: width}
    example = (torch.rand(2, 1, 40, 52), torch.rand(2, 1, 40, 52))
    with torch.no_grad():
        return torch.export.export(
            _Grey(model).eval(), example, dynamic_shapes=(dynamic, dynamic), strict=False
        )


def _to_onnx(program: torch.export.ExportedProgram, metadata: dict[str, str]) -> bytes:
    try:
        import onnxscript  # noqa: F401 - torch needs it
    except ImportError as error:
        raise _missing(error) from None
    # It logs what else it could translate if more were installed.
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        translated = torch.onnx.export(
            program,
            input_names=["first", "second"],
            output_names=["fused"],
            dynamo=True,
            verbose=False,
        )
    finally:
        log.setLevel(before)
    assert translated is not None
    proto: ModelProto = translated.model_proto
    for key, value in metadata.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    data: bytes = proto.SerializeToString()
    return data


def _onnx_runner(data: bytes) -> Callable[[Tensor, Tensor], Tensor]:
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing(error) from None
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def run(first: Tensor, second: Tensor) -> Tensor:
        (fused,) = session.run(None, {"first": first.numpy(), "second": second.numpy()})
        return torch.from_numpy(fused)

    return run


def _missing(error: ImportError) -> ResourceError:
    return ResourceError(f"{error.name} is not installed: pip install 'lkcfuse[onnx]'")


def _largest_difference(model: FusionModel, run: Callable[[Tensor, Tensor], Tensor]) -> float:
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for count, (height, width) in enumerate(SIZES, 1):
        first, second = torch.rand(2, count, 1, height, width, generator=generator)
        with torch.inference_mode():
            difference = (run(first, second) - model(first, second)).abs().max().item()
        # Written this way round for a result that is not a number.
        largest = difference if not difference <= largest else largest
    return largest


def _metadata(model: FusionModel) -> dict[str, str]:
    metadata = {
        "lkcfuse_version": __version__,
        "architecture": model.architecture.name,
        "task": model.task.name,
        "first": model.task.first,
        "second": model.task.second,
        "range": "[0, 1]",
    }
    record = model.record
    if record is not None:
        metadata |= {"weights": record.name, "weights_sha256": record.sha256}
        if record.entry is not None:
            metadata |= {"licence": record.entry.licence, "citation": record.entry.citation}
    return metadata
