"""`lkcfuse weights`: the checkpoints there are, and the cache they are kept in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lkcfuse.cli import completion, output
from lkcfuse.cli.help import Command, Group
from lkcfuse.cli.options import JsonOption, ManifestOption, OfflineOption, QuietOption
from lkcfuse.cli.output import Output
from lkcfuse.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from lkcfuse.models.entry import Entry
    from lkcfuse.models.manifest import Manifest
    from lkcfuse.models.store import Store

app = typer.Typer(
    cls=Group, help="List, fetch, verify and remove checkpoints.", rich_markup_mode=None
)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A name that 'lkcfuse weights list' shows.",
        autocompletion=completion.weights,
    ),
]
NamesArgument = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
    typer.Argument(
        metavar="NAME...",
        help="Names that 'lkcfuse weights list' shows, or all.",
        autocompletion=completion.weights,
    ),
]
OfTaskOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--task",
        "-t",
        metavar="TASK",
        help="Only those made for this task.",
        autocompletion=completion.tasks,
    ),
]
KeepOption = Annotated[
    bool, typer.Option("--keep", help="Keep the source file beside the converted one.")
]


@app.callback(invoke_without_command=True)
def _group(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(UsageError.exit_code)


@app.command("list", cls=Command)
def list_weights(
    task: OfTaskOption = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List the known checkpoints and where each stands: packaged, cached, partial or remote.

    A task's default is the first one that lists it.
    """
    from lkcfuse.models.model_card import size_text

    out = Output(as_json, quiet)
    known, store = _open(manifest, out)
    entries = _of_task(known, task)
    if as_json:
        out.table((), [_describe(entry, known, store) for entry in entries])
        return
    rows = [
        {
            "name": entry.name,
            "tasks": ", ".join(entry.tasks),
            "size": size_text(entry.bytes),
            "state": store.state(entry),
            "licence": entry.licence,
        }
        for entry in entries
    ]
    out.table(("name", "tasks", "size", "state", "licence"), rows)


@app.command(cls=Command)
def show(
    name: NameArgument,
    task: OfTaskOption = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the model card of a checkpoint: provenance, licence, scores, how to cite."""
    from lkcfuse.models.model_card import card

    out = Output(as_json)
    known, store = _open(manifest, out)
    for entry in _select(known, [name], task):
        path = store.path(entry)
        text = card(entry, store.state(entry), str(path or ""))
        out.result(text, _describe(entry, known, store) | _card_fields(entry))


@app.command(cls=Command)
def pull(
    names: NamesArgument = None,
    task: OfTaskOption = None,
    keep: KeepOption = False,
    offline: OfflineOption = False,
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fetch checkpoints into the cache, verify them and make them ready to use.

    An interrupted download goes on where it stopped.
    """
    from lkcfuse.models.fetch import pull as fetch

    out = Output(as_json, quiet)
    known, store = _open(manifest, out)
    entries = _select(known, names, task)

    def attempt(entry: Entry) -> WeightsError | None:
        try:
            with out.progress(entry.name, in_bytes=True) as progress:
                path = fetch(
                    entry, store, notify=out.note, offline=offline, keep=keep, progress=progress
                )
        except WeightsError as error:
            return error
        out.result(f"{entry.name}  {path}", _describe(entry, known, store))
        return None

    # One that cannot be had does not keep the others from being fetched.
    failures = [error for error in map(attempt, entries) if error is not None]
    for error in failures:
        if as_json:
            output.error_record(str(error), error.exit_code)
        output.error(str(error))
    if failures:
        raise typer.Exit(WeightsError.exit_code)


@app.command(cls=Command)
def verify(
    names: NamesArgument = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Hash every cached and packaged checkpoint again; damaged ones are set aside.

    The exit code is 4 where one is damaged.
    """
    from lkcfuse.models.source import PackagedSource

    out = Output(as_json, quiet)
    known, store = _open(manifest, out)
    chosen = None if not names or "all" in names else _ready_names(names, known, store)
    problems: list[tuple[str, str | None]] = []
    for entry in known:
        if isinstance(entry.source, PackagedSource) and (chosen is None or entry.name in chosen):
            with out.progress(entry.name, in_bytes=True) as progress:
                problem = store.problem(entry, progress=progress)
            path = store.path(entry)
            problems.append((entry.name, f"{path} {problem}" if problem else None))
    for path, record in store.records():
        if chosen is None or record.name in chosen:
            with out.progress(record.name, in_bytes=True) as progress:
                problems.append((record.name, store.verify(path, record, progress=progress)))
    if not problems:
        out.note("nothing to verify: no weights are packaged or cached")
    for name, problem in problems:
        status = "damaged" if problem else "ok"
        out.result(f"{name}  {status}", {"name": name, "status": status, "problem": problem})
        if problem:
            output.error(f"{name}: {problem}")
    if any(problem for _, problem in problems):
        raise typer.Exit(WeightsError.exit_code)


@app.command("path", cls=Command)
def show_path(
    name: NameArgument,
    task: OfTaskOption = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the path of a checkpoint that is packaged or cached."""
    out = Output(as_json)
    known, store = _open(manifest, out)
    for entry in _select(known, [name], task):
        path = _require(entry, store)
        out.result(str(path), {"name": entry.name, "path": str(path)})


@app.command("import", cls=Command)
def import_weights(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The source file, as published.")],
    name: Annotated[
        str,
        typer.Option(
            "--name",
            "-n",
            metavar="NAME",
            help="Which checkpoint the file is.",
            autocompletion=completion.weights,
        ),
    ],
    task: OfTaskOption = None,
    keep: KeepOption = False,
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take a checkpoint that was carried here by hand, with the same verification as a download."""
    from lkcfuse.models.fetch import import_file

    out = Output(as_json, quiet)
    known, store = _open(manifest, out)
    entry = known.get(name, task)
    with out.progress(entry.name, in_bytes=True) as progress:
        path = import_file(entry, file, store, notify=out.note, keep=keep, progress=progress)
    out.result(f"{entry.name}  {path}", _describe(entry, known, store))


@app.command(cls=Command)
def remove(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="What to remove from the cache, or all.",
            autocompletion=completion.weights,
        ),
    ],
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Remove checkpoints from the cache: converted and source files, unfinished downloads."""
    from lkcfuse.models.model_card import size_text
    from lkcfuse.models.source import PackagedSource

    out = Output(as_json, quiet)
    known, store = _open(manifest, out)
    cached = {record.name for _, record in store.records()}
    chosen: list[str] = []
    for name in names:
        # What no manifest knows any longer can still be in the cache.
        if name == "all" or (name in cached and not known.named(name)):
            chosen.append(name)
            continue
        for entry in _select(known, [name], None):
            if isinstance(entry.source, PackagedSource):
                raise UsageError(f"weights '{entry.name}' come with lkcfuse and are not cached")
            chosen.append(entry.name)
    for name in chosen:
        freed = store.remove(name)
        absent = "the cache is empty" if name == "all" else f"{name}  not in the cache"
        text = f"{name}  {size_text(freed)} freed" if freed else absent
        out.result(text, {"name": name, "bytes_freed": freed})


def _open(manifest: Path | None, out: Output) -> tuple[Manifest, Store]:
    from lkcfuse.models.manifest import load_manifest
    from lkcfuse.models.store import Store

    return load_manifest(manifest, notify=out.note), Store()


def _ready_names(names: Sequence[str], known: Manifest, store: Store) -> set[str]:
    """Return the names of the checkpoints that are meant, all of them packaged or cached.

    Raises:
        WeightsError: One of them is unknown, or is not on this machine.
    """
    cached = {record.name for _, record in store.records()}
    chosen = set()
    for name in names:
        # What no manifest knows any longer can still be in the cache.
        if name in cached and not known.named(name):
            chosen.add(name)
            continue
        for entry in _select(known, [name], None):
            if entry.name not in cached:
                _require(entry, store)
            chosen.add(entry.name)
    return chosen


def _require(entry: Entry, store: Store) -> Path:
    path = store.path(entry)
    if path is None:
        raise WeightsError(
            f"weights '{entry.name}' are not in the cache: run 'lkcfuse weights pull {entry.name}'"
        )
    return path


def _of_task(known: Manifest, task: str | None) -> list[Entry]:
    from lkcfuse.tasks import get_task

    name = get_task(task).name if task is not None else None
    return [entry for entry in known if name is None or name in entry.tasks]


def _select(known: Manifest, names: Sequence[str] | None, task: str | None) -> list[Entry]:
    """Return the entries meant by names, aliases, `all` and a task, each once."""
    if not names and task is None:
        raise UsageError("say which weights: a name, all, or --task")
    of_task = _of_task(known, task)
    chosen: list[Entry] = []
    for name in names or ["all"]:
        found = of_task if name == "all" else [e for e in known.named(name) if e in of_task]
        if not found and not known.named(name):
            found = [known.get(name)]
        if not found:
            raise UsageError(f"weights '{name}' were not made for {task}")
        chosen += [entry for entry in found if entry not in chosen]
    return chosen


def _describe(entry: Entry, known: Manifest, store: Store) -> dict[str, object]:
    path = store.path(entry)
    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "tasks": list(entry.tasks),
        "default_for": [task for task in entry.tasks if known.default(task) is entry],
        "architecture": entry.architecture,
        "width": entry.width,
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "source": str(entry.source),
        "licence": entry.licence,
        "state": store.state(entry),
        "path": None if path is None else str(path),
    }


def _card_fields(entry: Entry) -> dict[str, object]:
    return {
        "description": entry.description,
        "notice": entry.notice,
        "homepage": entry.homepage,
        "input_range": list(entry.input_range),
        "output_range": list(entry.output_range),
        "channel_order": list(entry.channel_order),
        "stretch": entry.stretch,
        "trained_on": entry.trained_on,
        "training": entry.training,
        "intended_use": entry.intended_use,
        "limitations": entry.limitations,
        "scores": [asdict(score) for score in entry.scores],
        "citation": entry.citation,
    }
