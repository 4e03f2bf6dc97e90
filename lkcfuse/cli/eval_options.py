"""The options that only `lkcfuse eval` has: what is scored, and what becomes of the scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from lkcfuse.cli import completion
from lkcfuse.cli.options import local_path
from lkcfuse.tasks import TASKS

# typer reads the annotations at run time, on Python 3.10 too, hence Optional.
TableOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--output",
        "-o",
        metavar="TABLE",
        help="The table to write: CSV, or JSON by the suffix .json; - for CSV on stdout. "
        "Left out: the summary is printed alone.",
        parser=local_path,
    ),
]
# The first name of --output, kept for scripts that use it.
OlderTableOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--gt-free", metavar="TABLE", hidden=True, parser=local_path),
]
FusedOption = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(
        "--fused",
        metavar="DIR|FILE",
        help="A method's fused images, or one of them; once for each method. "
        "Left out: fused/, where batch writes.",
        parser=local_path,
    ),
]
FirstOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--a",
        metavar="DIR|FILE",
        help="The infrared or MRI images. Left out, with --b: the pairs of the batch whose "
        "journal is in the (first) fused folder.",
        parser=local_path,
    ),
]
SecondOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--b",
        metavar="DIR|FILE",
        help="The visible, CT, PET or SPECT images.",
        parser=local_path,
    ),
]
ReferenceOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--gt",
        metavar="DIR|FILE",
        help="Ground truths: adds the columns that begin with GT_.",
        parser=local_path,
    ),
]
MetricsOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--metrics",
        metavar="NAME,...",
        help="Only these, in this order; all, iqa:NAME (pyiqa's), your own. Left out: all that "
        "are for the task.",
        autocompletion=completion.metrics,
    ),
]
BaselinesOption = Annotated[
    bool,
    typer.Option(
        "--baselines", help="Score the pixelwise maximum and mean of the sources as methods too."
    ),
]
ExplainOption = Annotated[
    bool,
    typer.Option(
        "--explain", help="Tell what each metric is: formula, range, direction, source; no images."
    ),
]
TaskNameOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--task",
        "-t",
        metavar="TASK",
        help=f"What A and B are: {', '.join(TASKS)}. Left out: the batch's, or ir-vis.",
        autocompletion=completion.tasks,
    ),
]
MatchOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--match",
        metavar="PATTERN",
        help="How names differ, without extensions: '{}={}_CBF' finds fused images 7_CBF.png of "
        "sources 7.png, 'ir_{}=vis_{}' sources, 'ir_{}=vis_{}={}' both; * as in batch.",
    ),
]
WorkersOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="Processes to share the pairs. Left out: as many as CPUs this one may use.",
    ),
]


PublicationOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--table",
        metavar="latex|markdown|csv|html",
        help="Print the table of means for a paper instead: best bold, second underlined, arrows.",
        autocompletion=completion.table_formats,
    ),
]
SummaryOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--summary",
        metavar="FILE",
        help="Write the table of means for a paper: .tex, .md, .html or .csv.",
        parser=local_path,
    ),
]
PlotOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Draw box plots, and all methods over all metrics: .pdf (two pages) or .svg "
        "(lkcfuse[plot]).",
        parser=local_path,
    ),
]
