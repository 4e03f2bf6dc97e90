"""`lkcfuse cite`: BibTeX of the network, the weights and the metrics."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from lkcfuse.cli import completion
from lkcfuse.cli.options import JsonOption, ManifestOption, QuietOption, TaskOption
from lkcfuse.cli.output import Output
from lkcfuse.errors import WeightsError


def cite(
    weights: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Argument(
            metavar="WEIGHTS",
            show_default=False,
            help="A name in the manifest of weights. Left out: the first entry made for the task.",
            autocompletion=completion.weights,
        ),
    ] = None,
    task: TaskOption = "ir-vis",
    metrics: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--metrics",
            metavar="NAME,...",
            help="The metrics that were used. Left out: all that are for the task.",
            autocompletion=completion.metrics,
        ),
    ] = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print BibTeX of the network, the weights and the metrics.

    A comment before each entry says what it is cited for.
    """
    from lkcfuse.citations import Work, parse_citation, parse_source
    from lkcfuse.metrics import select
    from lkcfuse.models import load_manifest
    from lkcfuse.tasks import get_task
    from lkcfuse.version import __version__

    out = Output(as_json, quiet)
    kind = get_task(task)
    known = load_manifest(manifest)
    entry = known.find(weights, kind) if weights is not None else known.default(kind)
    if entry is None:
        raise WeightsError(
            f"no weights are called '{weights}': see 'lkcfuse weights list'; for a file, name the "
            "weights it was trained from"
        )
    program = {"title": "lkcfuse", "version": __version__, "howpublished": "Computer program"}
    file = {
        "title": f"Weights {entry.name}",
        "howpublished": f"Distributed with or through lkcfuse {__version__}",
        "note": f"SHA-256 {entry.sha256}",
    }
    works: dict[str, tuple[Work, list[str]]] = {}
    for work, what in [
        (Work("lkcfuse", "misc", program), "the program"),
        (parse_citation(entry.citation), f"the network of {entry.name}"),
        (Work(entry.name, "misc", file), "the weights"),
        *(
            (parse_source(metric.source), metric.name)
            for metric in select(
                metrics.split(",") if metrics is not None else None, reference=True, task=kind.name
            )
            if metric.source
        ),
    ]:
        works.setdefault(work.key, (work, []))[1].append(what)
    for work, cited_for in works.values():
        record = {"key": work.key, "type": work.kind, **work.fields, "for": cited_for}
        out.result(work.to_bibtex(", ".join(cited_for)) + "\n", record)
