"""`lkcfuse batch -w A -w B`: one batch after the other, then one table and one report of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lkcfuse.cli import output
from lkcfuse.cli.output import Output, count
from lkcfuse.errors import PartialError, UsageError
from lkcfuse.remote import is_url


def batch_each(run: Callable[..., None], given: Mapping[str, Any]) -> None:
    """Run a batch with each of several weights, into a folder of its own below the output folder.

    Args:
        run: The command for one of them.
        given: Its arguments, with the list of weights among them.

    Raises:
        UsageError: What was asked for cannot be done with several weights.
        PartialError: Pairs failed; the others are done.
    """
    from lkcfuse.atomic import make_folders

    out = Output(given["as_json"], given["quiet"])
    base, dry_run = str(given["output"]), given["dry_run"]
    folders = {name: f"{base.rstrip('/')}/{name}" for name in _checked(given)}
    if not is_url(base) and not dry_run:
        make_folders(Path(base))
    failed = []
    for weights, (name, folder) in zip(given["weights"], folders.items(), strict=True):
        alone = {"weights": [weights], "output": folder, "metrics": None, "report": None}
        try:
            run(**{**given, **alone})
        except PartialError as error:
            output.error(f"{name}: {error}")
            failed.append(name)
    if not dry_run and (given["metrics"] is not None or given["report"] is not None):
        _score([Path(folder) for folder in folders.values()], given, out)
    if failed:
        raise PartialError(
            f"pairs failed with {len(failed)} of {count(len(folders), 'set')} of weights: "
            f"{', '.join(failed)}; running again does only these"
        )


def _checked(given: Mapping[str, Any]) -> list[str]:
    """Return what each of the weights is called, if a run of all of them makes sense.

    Raises:
        UsageError: It does not, or one of them is not known.
    """
    from lkcfuse.fusion.fuser import Fuser
    from lkcfuse.metrics.cases import BASELINES

    names = [Path(weights).stem if "/" in weights else weights for weights in given["weights"]]
    names = [name.removesuffix(".safetensors").removesuffix(".pth") for name in names]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"two sets of weights are called '{name}', and so would their folders be: "
                "run them one by one, each with -o"
            )
        if name in BASELINES:
            raise UsageError(f"weights are called '{name}' like a baseline: rename the file")
    if given["from_stdin"]:
        raise UsageError("--from-stdin is read once: with several --weights, give --pairs a file")
    wants_scores = given["metrics"] is not None or given["report"] is not None
    if wants_scores and given["shard"] is not None:
        raise UsageError(
            "a shard with several --weights has no table of its own: score all of it with "
            "'lkcfuse eval' once all shards are done"
        )
    if wants_scores and is_url(str(given["output"])):
        raise UsageError(
            "--metrics and --report with several --weights need an output folder on this machine"
        )
    if given["metrics"] is not None:
        from lkcfuse.metrics.table_files import check_table

        check_table(given["metrics"], force=given["force"])
    for weights in given["weights"]:
        Fuser(
            given["task"],
            weights=weights,
            manifest=given["manifest"],
            offline=given["offline"],
        )
    return names


def _score(folders: list[Path], given: Mapping[str, Any], out: Output) -> None:
    """Score all the folders together, as `lkcfuse eval` does."""
    from lkcfuse.cli.eval import evaluate

    evaluate(
        table_path=given["metrics"],
        fused=folders,
        task=given["task"],
        report=given["report"],
        force=given["force"],
        quiet=True,
    )
    for path in (given["metrics"], given["report"]):
        if path is not None:
            out.note(f"wrote {path}: {count(len(folders), 'method')}")
