"""`lkcfuse align`: many pairs of one rig in, one transform out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lkcfuse.cli.batch_options import MatchOption
from lkcfuse.cli.options import ForceOption, JsonOption, PreferOption, QuietOption, local_path
from lkcfuse.cli.output import Output, count
from lkcfuse.errors import InputError, UsageError
from lkcfuse.remote import as_location


def align(
    first: Annotated[
        str, typer.Argument(metavar="DIR_A", help="Folder of one camera's images (infrared).")
    ],
    second: Annotated[
        str, typer.Argument(metavar="DIR_B", help="Folder of the other camera's (visible).")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="JSON",
            help="The file of the transform, for --transform of fuse and batch.",
            parser=local_path,
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="shift|affine|homography",
            help="What may differ between the two cameras' pictures.",
        ),
    ] = "affine",
    pairs: Annotated[
        int,
        typer.Option(
            "--pairs", metavar="N", min=3, help="How many pairs to register, evenly chosen."
        ),
    ] = 30,
    match: MatchOption = None,
    prefer: PreferOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the one transform between the pictures of two cameras on a fixed rig.

    Pairs that cannot be registered reliably are left out, and so are pairs that disagree with most
    others. Nothing is written where too few are left.
    """
    from lkcfuse.atomic import atomic_write, check_destination
    from lkcfuse.pairs.alignment import MODELS
    from lkcfuse.pairs.alignment.rig import align_rig
    from lkcfuse.pairs.pairing import match_stems

    out = Output(as_json, quiet)
    if model not in MODELS:
        raise UsageError(f"--model {model} is unknown: give shift, affine or homography")
    check_destination(output, overwrite=force)
    found = match_stems(as_location(first), as_location(second), pattern=match, prefer=prefer)
    if not found.pairs:
        raise InputError(f"{first} and {second} have no pairs: {found.reason}")
    step = max(1.0, len(found.pairs) / pairs)
    chosen = [found.pairs[int(n * step)] for n in range(min(pairs, len(found.pairs)))]
    out.note(f"registering {count(len(chosen), 'pair')} of {len(found.pairs)}")
    with out.progress("registering", unit="pairs") as report:
        rig = align_rig(
            [(pair.first, pair.second) for pair in chosen],
            model,
            progress=report,
        )
    record = rig.to_record()
    with atomic_write(output, overwrite=force) as file:
        file.write((json.dumps(record, indent=2) + "\n").encode())
    out.note(
        f"{rig.agreeing} of {count(rig.pairs, 'pair')} agree; their corners lie "
        f"{rig.spread:.1f} pixels apart in the median"
    )
    out.result(str(output), {"output": str(output), **record})
