"""`lkcfuse export`: weights as a model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from lkcfuse.cli import completion
from lkcfuse.cli.options import (
    ForceOption,
    JsonOption,
    ManifestOption,
    OfflineOption,
    QuietOption,
    TaskOption,
)
from lkcfuse.cli.output import Output
from lkcfuse.errors import UsageError


def export(
    weights: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS",
            help="A name that 'lkcfuse weights list' shows, a file, a folder, or hf://owner/name.",
            autocompletion=completion.weights,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write: .onnx or .pt2."),
    ],
    task: TaskOption = "ir-vis",
    format_name: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="onnx, or torch for a program of torch.export; left out, the suffix decides.",
        ),
    ] = None,
    force: ForceOption = False,
    manifest: ManifestOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write weights as a model that other programs run.

    Its inputs are first and second and its output fused, all (N, 1, H, W) in [0, 1], at any size.
    Before it is written it is compared with this program on three sizes. It computes the plain way:
    large images take more memory and more time than here.
    """
    out = Output(as_json, quiet)
    if output.exists() and not force:
        raise UsageError(f"{output} exists: use --force to replace it")

    from lkcfuse.fusion.export import choose_export_format, export_model
    from lkcfuse.fusion.model import FusionModel
    from lkcfuse.models import resolve

    chosen = choose_export_format(output, format_name)
    with out.progress("loading weights", in_bytes=True) as report:
        record = resolve(
            weights, task, offline=offline, manifest=manifest, notify=out.notify, progress=report
        )
    model = FusionModel.of_record(record)
    written = export_model(model, output, chosen, overwrite=force, progress=out.note)
    out.result(str(output), {"output": str(output), "weights": record.name, **written})
