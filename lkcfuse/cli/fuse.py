"""`lkcfuse fuse`: two images in, one out."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lkcfuse.cli.option_groups import with_groups
from lkcfuse.cli.options import (
    DeviceOption,
    ForceOption,
    FormatOption,
    JsonOption,
    ManifestOption,
    MemoryOption,
    OfflineOption,
    OutputFileOption,
    PrecisionOption,
    QuietOption,
    ScratchOption,
    TaskOption,
    ThreadsOption,
    TileOption,
    WeightsOption,
    inference_options,
    local_path,
)
from lkcfuse.cli.output import Output
from lkcfuse.cli.source_options import SourceOptions
from lkcfuse.cli.streams import check_stdout
from lkcfuse.errors import UsageError

if TYPE_CHECKING:
    from lkcfuse.images import Image, ReadOptions

STREAM = "-"
"""Stands for standard input or output; a file of that name is `./-`."""


@with_groups
def fuse(
    first: Annotated[
        str, typer.Argument(metavar="A", help="The infrared image or the MRI slice; - for stdin.")
    ],
    second: Annotated[
        str,
        typer.Argument(
            metavar="B", help="The visible image, or the CT, PET or SPECT slice; - for stdin."
        ),
    ],
    output: OutputFileOption,
    task: TaskOption = "ir-vis",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    tile: TileOption = "auto",
    memory: MemoryOption = None,
    scratch: ScratchOption = None,
    precision: PrecisionOption = "auto",
    sources: SourceOptions = SourceOptions(),  # noqa: B008 - frozen, and only read
    format_name: FormatOption = None,
    force: ForceOption = False,
    manifest: ManifestOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fuse two registered images of one scene, A and B, into one.

    Both must have the same size, or --resize or --transform brings them to one. Colour comes from
    B; a coloured A is reduced to its luma. 16-bit sources give a 16-bit result where its format can
    hold it.
    """
    started = time.perf_counter()
    destination = str(output)
    _check_streams(first, second, destination, as_json=as_json)

    from lkcfuse.fusion.fuser import Fuser
    from lkcfuse.images import check_output, write_image
    from lkcfuse.pairs import check_files, prepare_pair

    out = Output(as_json, quiet)
    options = sources.to_pair_options(task)
    fuser = Fuser(
        task,
        weights=weights,
        device=device,
        threads=threads,
        manifest=manifest,
        offline=offline,
        options=inference_options(tile, memory, scratch, precision),
        notify=out.notify,
    )
    target = None if destination == STREAM else destination
    check_output(target, format=format_name, overwrite=force)
    _check_sources(first, second)
    check_files(*(None if word == STREAM else word for word in (first, second, destination)))
    pair = prepare_pair(_read(first, options.first), _read(second, options.second), options)
    check_output(target, format=format_name, overwrite=force, size=pair.size)
    with out.progress("loading weights", in_bytes=True) as report:
        fuser.load(progress=report)
    height, width = pair.size
    out.note(f"fusing {width}x{height} pixels with {fuser.describe()}")
    with out.progress("fusing") as report:
        fused = fuser.fuse_pair(
            pair, invert_first=options.invert_first, strength=options.strength, progress=report
        )
    if destination == STREAM:
        write_image(fused, sys.stdout.buffer, format=format_name)
        sys.stdout.buffer.flush()
        return
    write_image(fused, destination, format=format_name, overwrite=force)
    record = {
        "output": destination,
        "first": pair.first.name,
        "second": pair.second.name,
        "task": fuser.task.name,
        "weights": fuser.weights.name,
        "weights_sha256": fuser.weights.sha256,
        "device": str(fuser.device),
        "threads": fuser.threads,
        "width": width,
        "height": height,
        "seconds": round(time.perf_counter() - started, 3),
    }
    out.result(destination, record)


def _check_streams(first: str, second: str, destination: str, *, as_json: bool) -> None:
    """Refuse what standard input and output cannot do, before anything is read."""
    if first == second == STREAM:
        raise UsageError("only one of the two images can come from standard input")
    if STREAM in (first, second) and sys.stdin.isatty():
        raise UsageError("standard input is a terminal: pipe an image into it, or name a file")
    if destination == STREAM:
        check_stdout()
        if as_json:
            raise UsageError("the image and --json cannot share standard output: give -o a file")
        if sys.stdout.isatty():
            raise UsageError(
                "an image is not written to a terminal: redirect it, or give -o a file"
            )


def _check_sources(first: str, second: str) -> None:
    """Point to the command that takes folders."""
    if Path(first).is_dir() and Path(second).is_dir():
        raise UsageError(
            f"{first} and {second} are folders: name two images, or fuse all of them with "
            f"'lkcfuse batch {shlex.quote(first)} {shlex.quote(second)}'"
        )


def _read(word: str, options: ReadOptions) -> Image:
    from lkcfuse.images import read_image

    if word == STREAM:
        return read_image(sys.stdin.buffer, options, name="standard input")
    return read_image(local_path(word), options)
