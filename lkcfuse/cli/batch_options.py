"""The options that only `lkcfuse batch` has: where pairs come from, and where results go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from lkcfuse.cli import completion
from lkcfuse.cli.options import local_path

# typer reads the annotations at run time, on Python 3.10 too, hence Optional. What may be a URL is
# declared as text, and the command makes a `Location` of it: typer has no type for the two.
FirstArgument = Annotated[
    Optional[str],  # noqa: UP045
    typer.Argument(
        metavar="DIR_A",
        show_default=False,
        help="Folder of the infrared images or MRI slices.",
    ),
]
SecondArgument = Annotated[
    Optional[str],  # noqa: UP045
    typer.Argument(
        metavar="DIR_B",
        show_default=False,
        help="Folder of the visible images, or the CT, PET or SPECT slices.",
    ),
]
OutputFolderOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder for the fused images, created if it does not exist.",
    ),
]
SeveralWeightsOption = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--weights",
        "-w",
        metavar="NAME|FILE",
        help="A name in the manifest of weights, or a checkpoint file. Given several times: each "
        "fuses into a folder of its name below the output folder, for one table and report of all. "
        "Left out: the first entry made for the task.",
        autocompletion=completion.weights,
    ),
]
PairsOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--pairs",
        metavar="CSV",
        help="A CSV file with one pair per row: a name in DIR_A, a name in DIR_B and, "
        "optionally, the output's name. Without the folders, the names are paths.",
        parser=local_path,
    ),
]
MatchOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--match",
        metavar="PATTERN",
        help="How names differ, without extensions: 'ir_{}=vis_{}' pairs ir_7.png and vis_7.jpg. "
        "* stands for what they do not share; two {} for two parts, as '{}/lwir/{}={}/visible/{}'.",
    ),
]
StdinOption = Annotated[
    bool,
    typer.Option(
        "--from-stdin", help="Read pairs from stdin, one per line: A<TAB>B, or A<TAB>B<TAB>NAME."
    ),
]
NullOption = Annotated[
    bool,
    typer.Option(
        "--null",
        "-0",
        help="Separate names by NUL, on stdin (A and B alternate) and on stdout.",
    ),
]
ShardOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--shard",
        metavar="K/N",
        help="Process part K of N, counted from 1. All parts may run at the same time and write "
        "to one folder.",
    ),
]
MetricsOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--metrics",
        metavar="TABLE",
        help="Score every pair and write the table: CSV, or JSON by its suffix.",
        parser=local_path,
    ),
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Format of the outputs: png, jpeg, tiff, webp or bmp.",
        autocompletion=completion.formats,
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="local|ray",
        help="Where to compute: in this process, or on the workers of a Ray cluster "
        "(lkcfuse[ray]).",
        autocompletion=completion.engines,
    ),
]
AddressOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="Head of the Ray cluster; auto for the one this machine belongs to. Default: "
        "RAY_ADDRESS, or a cluster on this machine only.",
    ),
]
WorkersOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="Number of Ray workers, each with its own network. Default: as many as fit.",
    ),
]
CpusOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--cpus-per-worker", min=1, metavar="N", help="CPUs and threads per worker. Default: 1."
    ),
]
GpusOption = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--gpus-per-worker",
        min=0,
        metavar="SHARE",
        help="GPUs per worker. Default: 0. With 0.25, four workers share one.",
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Treat a file without a partner as an error.")
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="List the pairs and their outputs and check every file, but write nothing.",
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        "-f",
        help="Replace outputs of other programs, or of a batch with other settings or sources. "
        "Outputs that are up to date are still only verified.",
    ),
]
