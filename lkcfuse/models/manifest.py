"""The manifest: every checkpoint the program knows, read from ``weights.json`` and checked.

The built-in manifest is the one truth about addresses, hashes, value ranges and licences. Users
add entries by manifests of their own, merged over the built-in one by name.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lkcfuse import strict_json
from lkcfuse.errors import UsageError, WeightsError
from lkcfuse.models.entry import RESERVED, Entry, read_entry
from lkcfuse.models.fields import Fields, read_whole
from lkcfuse.models.source import PackagedSource
from lkcfuse.tasks import Task, get_task

#: Called with one line that the user should see: a notice, a retry, an override.
Notify = Callable[[str], None]

SCHEMA = 1


@dataclass(frozen=True)
class Manifest:
    """All known checkpoints, in order of preference."""

    entries: tuple[Entry, ...]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def named(self, name: str) -> tuple[Entry, ...]:
        """Return the entry of that name, or all that share the alias."""
        exact = tuple(entry for entry in self.entries if entry.name == name)
        return exact or tuple(entry for entry in self.entries if name in entry.aliases)

    def find(self, name: str, task: str | Task | None = None) -> Entry | None:
        """Return the entry of that name, or the one the alias stands for; None if there is none.

        Args:
            name: A name or an alias.
            task: Decides between the entries that share an alias.

        Raises:
            UsageError: The alias stands for several entries and no task decides.
        """
        found = self.named(name)
        if task is not None and len(found) > 1:
            found = tuple(entry for entry in found if get_task(task).name in entry.tasks)
        if len(found) > 1:
            names = " or ".join(entry.name for entry in found)
            raise UsageError(
                f"'{name}' stands for several weights: name one of {names}, or give --task"
            )
        return found[0] if found else None

    def get(self, name: str, task: str | Task | None = None) -> Entry:
        """Return the entry of that name or alias.

        Raises:
            WeightsError: No entry has that name; the message lists those there are.
        """
        entry = self.find(name, task)
        if entry is None:
            names = [entry.name for entry in self.entries]
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise WeightsError(
                f"no weights are called '{name}': {hint}the known ones are {', '.join(names)}"
            )
        return entry

    def default(self, task: str | Task) -> Entry:
        """Return the default of a task: the first entry that lists it.

        Raises:
            WeightsError: No entry lists the task.
        """
        name = get_task(task).name
        for entry in self.entries:
            if name in entry.tasks:
                return entry
        raise WeightsError(f"no weights are known for {name}: give a file with --weights")

    def by_sha256(self, sha256: str, task: str | Task | None = None) -> Entry | None:
        """Return the entry whose source file has this hash, if there is one.

        Args:
            sha256: The hash.
            task: Decides where entries for several tasks share a file.
        """
        found = [entry for entry in self.entries if entry.sha256 == sha256]
        if task is not None:
            found.sort(key=lambda entry: get_task(task).name not in entry.tasks)
        return found[0] if found else None


def built_in_path() -> Path:
    """Return the built-in manifest: inside an installed package, at the top of a checkout.

    Raises:
        WeightsError: It is in neither place.
    """
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent
    if (package / "weights.json").is_file():
        return package / "weights.json"
    if (checkout / "pyproject.toml").is_file() and (checkout / "weights.json").is_file():
        return checkout / "weights.json"
    raise WeightsError(f"{package / 'weights.json'} is missing: install lkcfuse again")


def load_manifest(
    extra: str | os.PathLike[str] | None = None, *, notify: Notify | None = None
) -> Manifest:
    """Read the built-in manifest and merge the user's over it.

    The user's are the files in ``LKCFUSE_MANIFEST`` (several are separated as in ``PATH``), then
    `extra`; the last one to name an entry wins, in the place the entry had.

    Args:
        extra: A further manifest, from ``--manifest``.
        notify: Told, in one line each, of the built-in entries that are overridden.

    Raises:
        WeightsError: A manifest cannot be read or an entry is not valid; the message names the
            file, the entry and the field.
    """
    merged = {entry.name: entry for entry in read_manifest(built_in_path(), built_in=True)}
    built_in = set(merged)
    paths = [name for name in os.environ.get("LKCFUSE_MANIFEST", "").split(os.pathsep) if name]
    for path in [*paths, *([extra] if extra is not None else [])]:
        for entry in read_manifest(Path(path)):
            if entry.name in built_in and notify is not None:
                notify(f"{path} overrides the built-in weights '{entry.name}'")
            merged[entry.name] = entry
    manifest = Manifest(tuple(merged.values()))
    _check_aliases(manifest)
    return manifest


def read_manifest(path: Path, *, built_in: bool = False) -> tuple[Entry, ...]:
    """Read the entries of one manifest.

    Args:
        path: The JSON file.
        built_in: Whether entries may name files inside the package.

    Raises:
        WeightsError: The file cannot be read or is not valid.
    """
    try:
        data = strict_json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
    except OSError as error:
        raise WeightsError(f"{path}: the manifest cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise WeightsError(f"{path}: the manifest is not valid JSON: {error}") from None
    fields = Fields(data, str(path))
    schema = fields.whole("schema")
    if schema != SCHEMA:
        raise WeightsError(
            f"{path}: schema {schema} is not understood (this version reads {SCHEMA}): "
            "upgrade lkcfuse"
        )
    items = fields.raw("weights")
    if not isinstance(items, list):
        raise fields.fail("weights", "expected a list of entries")
    fields.has("$schema")
    fields.has("comment")
    fields.finish()
    entries: dict[str, Entry] = {}
    for index, item in enumerate(items):
        entry = read_whole(item, f"{path}: {_label(item, index)}", read_entry)
        if entry.name in entries:
            raise WeightsError(f"{path}: the name '{entry.name}' appears twice")
        if isinstance(entry.source, PackagedSource) and not built_in:
            raise WeightsError(
                f"{path}: weights '{entry.name}': only lkcfuse itself can name packaged files; "
                "give a 'url' or a 'hub' source"
            )
        entries[entry.name] = entry
    return tuple(entries.values())


def _check_aliases(manifest: Manifest) -> None:
    """An alias must pick one entry for a task, and must not hide behind an entry's name."""
    names = {entry.name for entry in manifest}
    taken: dict[tuple[str, str], str] = {}
    for entry in manifest:
        for alias in entry.aliases:
            if alias in names or alias in RESERVED:
                raise WeightsError(f"weights '{entry.name}': the alias '{alias}' is taken")
            for task in entry.tasks:
                other = taken.setdefault((alias, task), entry.name)
                if other != entry.name:
                    raise WeightsError(
                        f"weights '{other}' and '{entry.name}' share the alias '{alias}' for {task}"
                    )


def _label(item: object, index: int) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    return f"weights '{name}'" if isinstance(name, str) else f"weights[{index}]"


def _no_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key '{key}' appears twice in one object")
        result[key] = value
    return result
