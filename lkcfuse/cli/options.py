"""Options that several commands share, each declared once.

Add an option here when a second command needs it; one that a single command has stays in that
command's file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lkcfuse.cli import completion
from lkcfuse.errors import UsageError
from lkcfuse.remote import is_url
from lkcfuse.tasks import TASKS

if TYPE_CHECKING:
    from lkcfuse.inference import InferenceOptions


def local_path(word: str) -> Path:
    """Take a word of the command line for a path of this machine.

    Raises:
        UsageError: It is a URL.
    """
    if is_url(word):
        raise UsageError(
            f"{word} is a URL: name a file or folder of this machine (batch takes the "
            "URLs of folders and images)"
        )
    return Path(word)


TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        "-t",
        metavar="TASK",
        help=f"What the pair shows: {', '.join(TASKS)}. Results of mri-* are for research, not for "
        "diagnosis.",
        autocompletion=completion.tasks,
    ),
]

WeightsOption = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
    typer.Option(
        "--weights",
        "-w",
        metavar="NAME|FILE",
        help="A name that 'lkcfuse weights list' shows, or a checkpoint file. Default: the first "
        "one made for the task.",
        autocompletion=completion.weights,
    ),
]

ManifestOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--manifest",
        metavar="FILE",
        help="A manifest of further weights; its entries replace built-in ones of the same name.",
        parser=local_path,
    ),
]

OfflineOption = Annotated[
    bool,
    typer.Option("--offline", help="Do not use the network; HF_HUB_OFFLINE=1 does the same."),
]

DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        "-d",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps. auto prefers CUDA, then MPS, then the CPU.",
        autocompletion=completion.devices,
    ),
]

# More than any quantity here has; longer numbers overflow, and would fill the screen.
_DIGITS = 18

ThreadsOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--threads",
        min=1,
        max=4096,
        metavar="N",
        help="Threads on the CPU. Default: the CPUs this process may use, or OMP_NUM_THREADS if "
        "that is less.",
    ),
]

FormatOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Format of the output: png, jpeg, tiff, webp or bmp. Left out: what its suffix says.",
        autocompletion=completion.formats,
    ),
]

ForceOption = Annotated[
    bool,
    typer.Option("--force", "-f", help="Overwrite an output that exists."),
]

JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON on stdout."),
]

QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print nothing but errors (and JSON, if asked for)."),
]

PreferOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--prefer",
        metavar="SUFFIX",
        help="Which extension to take where files differ only in it, such as tiff.",
    ),
]
ReportOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--report",
        metavar="HTML",
        help="Also write an HTML report with pairs, scores and baselines, in one file.",
    ),
]

OptionalOutputOption = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="The file to write; - for stdout. Its folder is created if it does not exist.",
        show_default=False,
        parser=local_path,
    ),
]

TileOption = Annotated[
    str,
    typer.Option(
        "--tile",
        metavar="auto|off|N",
        help="Process the image in regions: when memory requires it (auto), never (off), or of "
        "at most N pixels per side. The result is the same.",
        autocompletion=completion.tiles,
    ),
]

MemoryOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory the network may use, such as 4GB or 800MB. Default: most of the free memory.",
    ),
]

ScratchOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--scratch",
        metavar="DIR",
        help="Folder for data that does not fit in memory. Default: the system's temporary folder.",
        parser=local_path,
    ),
]

PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="auto|fp32|tf32|bf16|fp16",
        help="Arithmetic on a GPU; a CPU always computes in fp32.",
        autocompletion=completion.precisions,
    ),
]


_LEAST_MEMORY = 1_000_000
"""Bytes below which a number without a unit is taken for a mistake."""


def inference_options(
    tile: str, memory: str | None, scratch: Path | None, precision: str
) -> InferenceOptions:
    """Put the options on how to run the network together.

    Raises:
        UsageError: One of them is not valid.
    """
    from lkcfuse.inference import InferenceOptions

    if tile.isdecimal() and len(tile) > _DIGITS:
        raise UsageError(f"--tile has a number of {len(tile)} digits: give a number of pixels")
    if tile not in ("auto", "off") and not tile.isdecimal():
        raise UsageError(f"--tile {tile}: give auto, off or a number of pixels")
    return InferenceOptions(
        tile=int(tile) if tile.isdecimal() else tile,  # type: ignore[arg-type]
        memory=None if memory is None else _bytes(memory),
        scratch=scratch,
        precision=precision,  # type: ignore[arg-type]
    )


def _bytes(size: str) -> int:
    """Bytes of a size such as `4GB`, `1.5 GiB` or `800M`."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?", size.strip().lower())
    if match is None:
        raise UsageError(f"--memory {size} is not a size: write it like 4GB or 800MB")
    number, unit, binary = match.groups()
    if len(number) > _DIGITS:
        raise UsageError(f"--memory has {len(number)} digits: write it like 4GB or 800MB")
    factor = 1024 if binary else 1000
    found = int(float(number) * factor ** " kmgt".index(unit or " "))
    if not unit and 0 < found < _LEAST_MEMORY:
        raise UsageError(f"--memory {size} is {found} bytes: did you mean {number}GB?")
    return found
