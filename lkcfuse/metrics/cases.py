"""What is to be scored: which fused images belong to which pair of sources."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from lkcfuse.atomic import resolve
from lkcfuse.errors import InputError, UsageError
from lkcfuse.metrics.naming import BY_STEM, Naming, by_pair, match_sources
from lkcfuse.pairs.options import PairOptions
from lkcfuse.pairs.pairing import list_images
from lkcfuse.pairs.patterns import Side, parse_pattern
from lkcfuse.remote import Location

MAXIMUM = "maximum"
MEAN = "mean"
BASELINES = (MAXIMUM, MEAN)
"""Methods that need no file: the pixelwise maximum and mean of the two sources."""

_SHOWN = 10


@dataclass(frozen=True)
class Case:
    """One pair of sources, and what methods made of it.

    Attributes:
        name: What tables call it: the relative stem.
        first: File of the first source.
        second: File of the second source.
        fused: Each method's fused image.
        reference: A ground truth, where there is one.
        options: How the sources are read and brought together.
    """

    name: str
    first: Location
    second: Location
    fused: Mapping[str, Location] = field(default_factory=dict)
    reference: Location | None = None
    options: PairOptions = field(default_factory=PairOptions)


@dataclass(frozen=True)
class Plan:
    """Every case of one table.

    Attributes:
        cases: In the order of the table's rows.
        methods: Those that have files, in the order of the table's rows.
        notes: What the user should know: files without a partner, a line each.
        baselines: Those of `BASELINES` to score, after the methods.
    """

    cases: tuple[Case, ...]
    methods: tuple[str, ...]
    notes: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()

    def files(self) -> list[Location]:
        """Return every file that is read."""
        return [
            file
            for case in self.cases
            for file in (case.first, case.second, case.reference, *case.fused.values())
            if file is not None
        ]


class FusedPair(NamedTuple):
    """One pair of a batch, as its journal has it; `fused` is None where the output is gone."""

    name: str
    first: Location
    second: Location
    fused: Location | None


def plan_paths(
    first: Path,
    second: Path,
    fused: Sequence[Path],
    reference: Path | None,
    naming: Naming = BY_STEM,
) -> Plan:
    """Plan to score either folders or single files; see `plan_folders` and `plan_files`.

    Raises:
        InputError: A path does not exist, or as `plan_folders`.
        UsageError: Some are folders and some are files, single files are given a naming, or two
            methods are the same.
    """
    paths = [first, second, *fused, *([reference] if reference is not None else [])]
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist: check the path")
    folders = [path for path in paths if path.is_dir()]
    if folders and len(folders) < len(paths):
        (single, *_) = (path for path in paths if path not in folders)
        raise UsageError(
            f"{folders[0]} is a folder and {single} is a file: give folders, or single files"
        )
    if folders:
        return plan_folders(first, second, fused, reference, naming)
    if naming != BY_STEM:
        raise UsageError("--match and --prefer choose files of folders, and single files are given")
    return plan_files(first, second, fused, reference)


def plan_files(first: Path, second: Path, fused: Sequence[Path], reference: Path | None) -> Plan:
    """Plan to score single files; a method is called by its file's stem.

    Args:
        first: File of the first source; its stem names the case.
        second: File of the second source.
        fused: One file for each method.
        reference: File of the ground truth, if any.

    Raises:
        UsageError: Two methods are the same file.
    """
    methods = dict(zip(_method_names(fused), fused, strict=True))
    return Plan((Case(first.stem, first, second, methods, reference),), tuple(methods))


def plan_folders(
    first: Path,
    second: Path,
    fused: Sequence[Path],
    reference: Path | None,
    naming: Naming = BY_STEM,
) -> Plan:
    """Plan to score folders, whose files belong together by their stems.

    Args:
        first: Folder of the first sources.
        second: Folder of the second sources.
        fused: One folder for each method, which is called by the folder's name.
        reference: Folder of the ground truths, if any.
        naming: How names differ.

    Raises:
        InputError: A folder cannot be used or has two files of one stem (see `scan_folder`), or
            nothing belongs together.
        UsageError: Two methods are the same folder, or the two sources; or the pattern makes no
            sense.
    """
    if resolve(first) == resolve(second) and naming.pattern is None:
        raise UsageError(f"{first} and {second} are the same folder: name both sources")
    found, sides = match_sources(first, second, naming)
    notes = [
        *_listed(f"no partner in {second}", found.only_first),
        *_listed(f"no partner in {first}", found.only_second),
        *found.notes,
    ]
    if not found.pairs:
        raise InputError(f"{first} and {second} hold no pair: {found.reason}")
    sources = [Case(pair.stem, pair.first, pair.second) for pair in found.pairs]
    methods = {
        name: list_images(folder, prefer=naming.prefer)
        for name, folder in zip(_method_names(fused), fused, strict=True)
    }
    return _plan(sources, methods, fused, reference, notes, sides)


def plan_batch(
    pairs: Sequence[FusedPair],
    fused: Sequence[Path],
    reference: Path | None,
    notes: Sequence[str] = (),
    naming: Naming = BY_STEM,
    options: PairOptions | None = None,
) -> Plan:
    """Plan to score a batch by its journal, next to what other methods made of the same pairs.

    Args:
        pairs: The pairs of the journal.
        fused: The batch's folder, then a folder for each other method.
        reference: Folder of the ground truths, if any.
        notes: What the user should know about the batch, a line each.
        naming: How other methods name their files: the batch's name first, or a pair's.
        options: How the batch read its sources and brought them together.

    Raises:
        InputError: The journal has no pairs, or as `plan_folders`.
        UsageError: Two methods are the same folder, or the pattern makes no sense.
    """
    finished = {pair.name: pair.fused for pair in pairs if pair.fused is not None}
    if not finished:
        raise InputError(f"the journal in {fused[0]} has no finished pairs: run the batch first")
    own, *others = _method_names(fused)
    methods: dict[str, Mapping[str, Location]] = {own: finished}
    methods |= {
        name: list_images(folder, prefer=naming.prefer)
        for name, folder in zip(others, fused[1:], strict=True)
    }
    how = options or PairOptions()
    sources = [Case(pair.name, pair.first, pair.second, options=how) for pair in pairs]
    sides = parse_pattern(naming.pattern) if naming.pattern is not None else None
    return _plan(sources, methods, fused, reference, [*notes], sides)


def with_baselines(plan: Plan) -> Plan:
    """Have the pixelwise maximum and mean of the sources scored too.

    Raises:
        UsageError: A method has one of their names.
    """
    for name in BASELINES:
        if name in plan.methods:
            raise UsageError(f"a method is called '{name}' like a baseline: rename its folder")
    return replace(plan, baselines=BASELINES)


def _plan(
    sources: Sequence[Case],
    methods: Mapping[str, Mapping[str, Location]],
    folders: Sequence[Path],
    reference: Path | None,
    notes: list[str],
    sides: tuple[Side, ...] | None = None,
) -> Plan:
    stems = {source.name: None for source in sources}
    if sides is not None:
        methods = {method: by_pair(images, stems, sides) for method, images in methods.items()}
    for images, folder in zip(methods.values(), folders, strict=True):
        missing = [name for name in stems if name not in images]
        if len(missing) == len(stems):
            how = "by their stems" if sides is None else "by the pattern or by their stems"
            raise InputError(
                f"{folder} holds a fused image for none of the {len(stems)} pairs: files belong "
                f"together {how}, and one is called '{next(iter(images))}' where a pair is called "
                f"'{next(iter(stems))}'; say how they differ with --match"
            )
        if missing:
            notes.append(
                f"{folder} holds no fused image for {len(missing)} of {len(stems)} pairs: "
                + _some(missing)
            )
        strangers = [path for stem, path in images.items() if stem not in stems]
        notes += _listed("of no pair", strangers)
    references = list_images(reference) if reference is not None else {}
    missing = [name for name in stems if name not in references]
    if reference is not None and missing:
        if len(missing) == len(stems):
            raise InputError(f"{reference} holds a ground truth for none of the {len(stems)} pairs")
        notes.append(
            f"{reference} holds no ground truth for {len(missing)} of {len(stems)} pairs: "
            + _some(missing)
        )
    cases = (
        Case(
            source.name,
            source.first,
            source.second,
            {
                name: images[source.name]
                for name, images in methods.items()
                if source.name in images
            },
            references.get(source.name),
            source.options,
        )
        for source in sources
    )
    return Plan(tuple(case for case in cases if case.fused), tuple(methods), tuple(notes))


def _method_names(paths: Sequence[Path]) -> list[str]:
    """Call each method by the last part of its path, and by more of it where two are alike.

    Raises:
        UsageError: Two paths are the same.
    """
    if len({resolve(path) for path in paths}) < len(paths):
        raise UsageError("two of the fused images or folders are the same: give each one once")
    # A link has a name of its own, which its owner gave it for a reason.
    absolute = [Path(os.path.normpath(path.absolute())) for path in paths]
    parts = [(path.with_suffix("") if path.is_file() else path).parts for path in absolute]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in absolute]  # they differ in the suffix alone


def _listed(what: str, paths: Sequence[Location]) -> list[str]:
    """Say in one line, or none, what is so of some files, naming the first of them."""
    if not paths:
        return []
    return [f"{what}: {_some(paths)}"]


def _some(things: Sequence[object]) -> str:
    """Name the first of some things, and say how many more there are."""
    more = f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
    return ", ".join(map(str, things[:_SHOWN])) + more
