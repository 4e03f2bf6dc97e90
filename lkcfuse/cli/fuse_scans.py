"""`lkcfuse fuse` of two scans: volumes or series in, a volume or a folder of slices out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lkcfuse.cli.fuse_words import STREAM
from lkcfuse.cli.records import made_with
from lkcfuse.errors import UsageError

if TYPE_CHECKING:
    from lkcfuse.cli.output import Output
    from lkcfuse.fusion.fuser import Fuser
    from lkcfuse.fusion.volumes import FusedVolume
    from lkcfuse.volumes import VolumeOptions


def are_scans(words: Sequence[str]) -> bool:
    """Whether the sources are scans and not pictures."""
    from lkcfuse.volumes import is_volume

    return any(word != STREAM and is_volume(word) for word in words[:2])


def fuse_two_scans(
    words: Sequence[str],
    output: str | None,
    *,
    fuser: Fuser,
    options: VolumeOptions,
    format_name: str | None,
    force: bool,
    anonymize: bool,
    out: Output,
) -> None:
    """Fuse two scans.

    Args:
        words: The arguments of the command.
        output: What `--output` was given.
        fuser: Fuses the slices.
        options: How.
        format_name: What `--format` says.
        force: Overwrite an output that exists.
        anonymize: Leave out of DICOM what tells whose scan it is.
        out: Tells what is done.

    Raises:
        LkcfuseError: Whatever is wrong with the words or the scans.
    """
    started = time.perf_counter()
    from lkcfuse.fusion.volumes import fuse_scans, prepare_scans
    from lkcfuse.volumes.formats import PICTURE, check_picture
    from lkcfuse.volumes.recognise import is_dicom
    from lkcfuse.volumes.writing import check_volume_output

    target = _check_words(words, output, options)
    of_dicom = is_dicom(words[0])
    chosen = check_volume_output(target, format=format_name, overwrite=force, of_dicom=of_dicom)
    if anonymize and chosen != "dicom":
        raise UsageError("--anonymize is for DICOM: no other file has the patient's name in it")
    with out.progress("reading"):
        scans = prepare_scans(words[0], words[1], fuser.task, options, out.notify)
    if chosen == PICTURE:
        check_picture(target, scans.slices())
    with out.progress("loading weights", in_bytes=True) as report:
        fuser.load(progress=report)
    out.note(f"fusing {scans.slices()} {options.plane} slices with {fuser.describe()}")
    with out.progress("fusing", unit="slices") as report:
        fused = fuse_scans(fuser, scans, options, report)
    fused.save(target, format=format_name, overwrite=force, anonymize=anonymize)
    record = _record(fuser, fused, options)
    record |= {
        "output": str(target),
        "format": chosen,
        "seconds": round(time.perf_counter() - started, 3),
    }
    out.result(str(target), record)


def _check_words(words: Sequence[str], output: str | None, options: VolumeOptions) -> Path:
    if len(words) == 1:
        raise UsageError(f"fuse takes two scans and got one, {words[0]}: name the other after it")
    if len(words) > 2:
        raise UsageError(f"fuse takes two scans and got {len(words)}: name two")
    if output is None:
        raise UsageError(
            "the output is missing: -o fused.nii.gz, -o fused.dcm, or -o FOLDER --format png"
        )
    if STREAM in (*words, output):
        raise UsageError("scans are read from files and folders, and written to them, not to -")
    first, second, target = (Path(word).resolve() for word in (*words, output))
    if first == second and options.series[0] == options.series[1]:
        raise UsageError(
            f"{words[0]} is both sources: name two scans, or two series of it by --series A,B"
        )
    if target in (first, second):
        raise UsageError(f"{output} is a source and would be overwritten: choose another output")
    return Path(output)


def _record(fuser: Fuser, fused: FusedVolume, options: VolumeOptions) -> dict[str, object]:
    scans = fused.scans
    slices, rows, columns = fused.grid.shape
    record: dict[str, object] = {
        "first": scans.first.volume.name,
        "second": scans.second.volume.name,
        **made_with(fuser),
        "columns": columns,
        "rows": rows,
        "slices": slices,
        "spacing": [round(step, 6) for step in fused.grid.spacing],
        "plane": options.plane,
        "fused_slices": fused.fused,
        "passed_slices": fused.passed,
        "caution": fuser.task.caution,
    }
    if scans.registration is not None:
        found = scans.registration
        record["registration"] = {
            "kind": found.kind,
            "matrix": [[round(float(x), 9) for x in row] for row in found.matrix],
            "rotation_degrees": round(found.rotation, 4),
            "mutual_information": [found.before, found.after],
        }
    for side, shown in (("first", scans.first), ("second", scans.second)):
        record[f"window_{side}"] = None if shown.limits is None else list(shown.limits)
    return record
