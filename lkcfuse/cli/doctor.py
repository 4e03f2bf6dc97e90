"""`lkcfuse doctor`: whether this installation and this machine can do the work."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from lkcfuse.cli import completion, output
from lkcfuse.cli.options import (
    JsonOption,
    ManifestOption,
    QuietOption,
    ScratchOption,
    ThreadsOption,
)
from lkcfuse.cli.output import Output


def doctor(
    device: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(
            "--device",
            "-d",
            metavar="DEVICE",
            help="Where to try the network: cpu, cuda, cuda:N or mps. Left out: the CPU and every "
            "GPU.",
            autocompletion=completion.devices,
        ),
    ] = None,
    threads: ThreadsOption = None,
    scratch: ScratchOption = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check the installation and the machine, and try the network on every device.

    A trial compares the network with plain convolution in double precision, and times it. Nothing
    is fetched. The exit code is 0 if nothing failed, 4 if weights are damaged, 5 if the machine
    falls short.
    """
    from lkcfuse.diagnosis import diagnose

    out = Output(as_json, quiet)
    failed = []
    for finding in diagnose(device, threads=threads, scratch=scratch, manifest=manifest):
        mark = "" if finding.status == "ok" else f"{finding.status}: "
        cure = f" ({finding.cure})" if finding.cure else ""
        out.result(f"{finding.name:<10} {mark}{finding.text}{cure}", finding.to_record())
        if finding.status == "failed":
            failed.append(finding)
    if failed:
        found = "; ".join(f"{finding.name}: {finding.text}" for finding in failed)
        output.error(f"{output.count(len(failed), 'check')} failed: {found}")
        raise typer.Exit(failed[0].exit_code)
