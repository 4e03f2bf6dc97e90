"""`lkcfuse fuse`: two images in, one out."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lkcfuse.cli.fuse_scans import are_scans, fuse_two_scans
from lkcfuse.cli.fuse_stack import fuse_stack
from lkcfuse.cli.fuse_words import STREAM, read_words
from lkcfuse.cli.option_groups import with_groups
from lkcfuse.cli.options import (
    DeviceOption,
    ForceOption,
    FormatOption,
    JsonOption,
    ManifestOption,
    MemoryOption,
    OfflineOption,
    OptionalOutputOption,
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
from lkcfuse.cli.photographs import check_for_two_alone, check_map, write_map
from lkcfuse.cli.records import made_with
from lkcfuse.cli.source_options import SourceOptions
from lkcfuse.cli.task_note import is_by_default, note_of_task
from lkcfuse.cli.volume_options import ScanOptions
from lkcfuse.errors import UsageError
from lkcfuse.tasks import TASKS

if TYPE_CHECKING:
    from lkcfuse.fusion.fuser import Fuser
    from lkcfuse.images import Image, ReadOptions
    from lkcfuse.images.colour import FloatArray


@with_groups
def fuse(
    ctx: typer.Context,
    first: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="The infrared image or the MRI slice, or the first photograph; - for stdin.",
        ),
    ],
    second: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time
        typer.Argument(
            metavar="B",
            show_default=False,
            help="The visible image, the CT, PET or SPECT slice, or the next photograph; - for "
            "stdin. --task mef and mff take further ones after it.",
        ),
    ] = None,
    output: OptionalOutputOption = None,
    map_path: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--map",
            metavar="FILE",
            show_default=False,
            help="Write as well which source each pixel came from: white for the first, black for "
            "the last.",
        ),
    ] = None,
    task: TaskOption = "ir-vis",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    tile: TileOption = "auto",
    memory: MemoryOption = None,
    scratch: ScratchOption = None,
    precision: PrecisionOption = "auto",
    sources: SourceOptions = SourceOptions(),  # noqa: B008 - frozen, and only read
    scans: ScanOptions = ScanOptions(),  # noqa: B008
    format_name: FormatOption = None,
    force: ForceOption = False,
    manifest: ManifestOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fuse two registered images of one scene, A and B, into one.

    Both must have the same size, or --resize, --align or --transform brings them to one; one
    radiometric JPEG of a FLIR camera holds both. Colour comes from B; a coloured A is reduced to
    its luma. Photographs (--task mef or mff) are weighted pixel by pixel, in any order, and there
    may be more than two. 16-bit sources give a 16-bit result where its format can hold it. A and B
    may be scans: NIfTI, NRRD, MetaImage, DICOM, or folders of DICOM series.
    """
    started = time.perf_counter()
    out = Output(as_json, quiet)
    words = [first, *([] if second is None else [second]), *ctx.args]
    target_word = None if output is None else str(output)

    def make_fuser() -> Fuser:
        from lkcfuse.fusion.fuser import Fuser

        return Fuser(
            task,
            weights=weights,
            device=device,
            threads=threads,
            manifest=manifest,
            offline=offline,
            options=inference_options(tile, memory, scratch, precision),
            notify=out.notify,
        )

    if are_scans(words):
        _check_task_of_scans(ctx)
        if map_path is not None:
            raise UsageError("--map is for pictures: leave it out for scans")
        volume_options = scans.to_volume_options(sources)
        fuse_two_scans(
            words,
            target_word,
            fuser=make_fuser(),
            options=volume_options,
            format_name=format_name,
            force=force,
            anonymize=scans.anonymize,
            out=out,
        )
        return
    scans.refuse_for_pictures()
    found = read_words(
        words,
        target_word,
        split=sources.split,
        radiometric=sources.takes_radiometric(task),
        as_json=as_json,
        several=task in TASKS and not TASKS[task].ordered,
    )
    first, second, destination, others = found

    from lkcfuse.fusion.brackets import check_bracket
    from lkcfuse.images import check_output, write_image
    from lkcfuse.notes import warning_records
    from lkcfuse.pairs import check_files, prepare_pair

    options = sources.to_pair_options(task)
    fuser = make_fuser()
    target = None if destination == STREAM else destination
    if not sources.all_pages:
        check_output(target, format=format_name, overwrite=force, make_folder=True)
    # One file may hold both.
    other = None if first == second and _holds_both(first, sources, task) else second
    check_files(*(None if word == STREAM else word for word in (first, other, destination)))
    for word in others:
        check_files(*(None if name == STREAM else name for name in (first, word, destination)))
        check_files(*(None if name == STREAM else name for name in (second, word)))
    if map_path is not None:
        check_map(map_path, (first, second, *others, destination), force=force)
    if sources.all_pages:
        if map_path is not None or others:
            raise UsageError("--page all takes two stacks: leave out --map and further images")
        fuse_stack(fuser, found, options, out, format_name=format_name, force=force)
        return
    pair = prepare_pair(_read(first, options.first), _read(second, options.second), options)
    check_output(target, format=format_name, overwrite=force, size=pair.size, make_folder=True)
    rest = [_read(word, options.second) for word in others]
    if rest:
        check_for_two_alone(options, split=sources.split)
        check_bracket([pair.first, pair.second, *rest], fuser.task)
    note_of_task(ctx, pair, out)
    if pair.alignment is not None:
        out.note(f"registered {pair.second.name}: {pair.alignment}")
    if first != second and sources.takes_radiometric(task):
        _note_of_radiometric(first, second, out)
    with out.progress("loading weights", in_bytes=True) as report:
        fuser.load(progress=report)
    height, width = pair.size
    out.note(f"fusing {width}x{height} pixels with {fuser.describe()}")
    shares: list[FloatArray] = []
    on_map = None if map_path is None else shares.append
    with out.progress("fusing") as report:
        if rest:
            images = [pair.first, pair.second, *rest]
            fused = fuser.fuse_images(
                images,
                refuse_warnings=options.refuse_warnings,
                progress=report,
                on_map=on_map,
            )
        else:
            fused = fuser.fuse_pair(
                pair,
                invert_first=options.invert_first,
                strength=options.strength,
                refuse_warnings=options.refuse_warnings,
                progress=report,
                on_map=on_map,
            )
    if map_path is not None:
        write_map(shares[0], map_path, force=force)
    if destination == STREAM:
        write_image(fused, sys.stdout.buffer, format=format_name)
        sys.stdout.buffer.flush()
        return
    write_image(fused, destination, format=format_name, overwrite=force, make_folder=True)
    record = {
        "output": destination,
        "first": pair.first.name,
        "second": pair.second.name,
        **({"others": [image.name for image in rest]} if rest else {}),
        **({"map": map_path} if map_path is not None else {}),
        **made_with(fuser),
        "width": width,
        "height": height,
        **({} if pair.alignment is None else {"alignment": pair.alignment.to_record()}),
        "warnings": warning_records(fused.notes),
        "seconds": round(time.perf_counter() - started, 3),
    }
    out.result(destination, record)


def _holds_both(word: str, sources: SourceOptions, task: str) -> bool:
    from lkcfuse.images.reading import radiometric_kind

    if sources.split or word == STREAM:
        return sources.split
    return sources.takes_radiometric(task) and radiometric_kind(local_path(word)) == "FLIR"


def _note_of_radiometric(first: str, second: str, out: Output) -> None:
    """Say what is taken of a radiometric file that is given beside another one."""
    from lkcfuse.images.reading import radiometric_kind

    for word, part in (
        (first, "its temperatures are taken"),
        (second, "its visible picture is taken"),
    ):
        if word != STREAM and radiometric_kind(local_path(word)) == "FLIR":
            out.note(
                f"{word} is a radiometric FLIR file: {part}, not the picture that it shows, which "
                "--radiometric off takes"
            )


def _check_task_of_scans(ctx: typer.Context) -> None:
    """Ask for the task where nobody said: no scan is an infrared picture."""
    if is_by_default(ctx):
        raise UsageError("scans take --task: mri-ct, mri-pet or mri-spect")


def _read(word: str, options: ReadOptions) -> Image:
    from lkcfuse.images import read_image

    if word == STREAM:
        return read_image(sys.stdin.buffer, options, name="standard input")
    return read_image(local_path(word), options)
