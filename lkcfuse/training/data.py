"""Pairs of image files as training data: found, checked, decoded once, split and fingerprinted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkcfuse.errors import InputError
from lkcfuse.pairs import read_pair
from lkcfuse.pairs.pairing import match_stems
from lkcfuse.tasks import Task, get_task
from lkcfuse.training.defocus import focus_pair

# Decoded pairs are kept in memory up to this; the rest is read again each time.
CACHE_BYTES = 4 << 30
# Where a task's pairs are made of pictures and maps of their regions: the folders of the two.
MADE_OF = {"mff": ("sharp", "labels")}
HELD_OUT_SHARE = 10

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """Two registered files of one scene.

    Attributes:
        task: Name of the task.
        first: The infrared or MRI image.
        second: The visible, CT, PET or SPECT image.
        dataset: Name of the set it belongs to: the first sub-folder of the task's folders that it
            lies in. Pairs without one form a set together, of an empty name.
        made: Whether the pair is yet to be made: `first` is a picture that is sharp everywhere,
            and `second` has the number of a region in each pixel. See `lkcfuse.training.defocus`.
    """

    task: str
    first: Path
    second: Path
    dataset: str = ""
    made: bool = False

    @property
    def name(self) -> str:
        """What the pair is called in tables."""
        return f"{self.dataset}/{self.first.stem}" if self.dataset else self.first.stem


@dataclass
class PairSet:
    """Pairs of one or more tasks, decoded on demand and then kept.

    Attributes:
        pairs: The pairs.
        notify: Told, in a line each, what the user should know of the images as they are read.
        baselines: Scores of the pairs' baselines, by pair and metrics, once they are computed.
    """

    pairs: list[Pair]
    notify: Callable[[str], None] = lambda _: None
    baselines: dict[tuple[Pair, tuple[str, ...]], dict[str, dict[str, float]]] = field(
        default_factory=dict
    )
    _cache: dict[Pair, NDArray[np.uint16]] = field(default_factory=dict)
    _cached_bytes: int = 0

    def __len__(self) -> int:
        return len(self.pairs)

    def of_task(self, task: str) -> list[Pair]:
        """Return the pairs of one task."""
        return [pair for pair in self.pairs if pair.task == task]

    def datasets(self, task: str) -> dict[str, list[Pair]]:
        """Return the pairs of one task by the set that they belong to."""
        return by_dataset(self.of_task(task))

    def load(self, pair: Pair) -> Plane:
        """Return the luma of both sources as (2, H, W) float32 in [0, 1], the first source first.

        A pair that is to be made is the same each time.

        Raises:
            InputError: A file cannot be read, or the two differ in size.
        """
        if pair.made:
            seed = int.from_bytes(hashlib.sha256(_bytes(pair.first.stem)).digest()[:8], "big")
            sharp, labels = self._levels(pair)
            return focus_pair(_unit(sharp), labels, np.random.default_rng(seed))[:2]
        return _unit(self._levels(pair))

    def load_crop(self, pair: Pair, top: int, left: int, side: int) -> Plane:
        """Return `load(pair)[:, top : top + side, left : left + side]`, converting no more.

        Of a pair that is to be made it is the sharp picture and the regions' numbers.
        """
        levels = self._levels(pair)[:, top : top + side, left : left + side]
        if pair.made:
            return np.stack([_unit(levels[0]), levels[1].astype(np.float32)])
        return _unit(levels)

    def size(self, pair: Pair) -> tuple[int, int]:
        """Return height and width of a pair."""
        _, height, width = self._levels(pair).shape
        return height, width

    def _levels(self, pair: Pair) -> NDArray[np.uint16]:
        """Return the pair in 65536 levels: exact for 8 and 16 bits, at half of float's memory."""
        if pair in self._cache:
            return self._cache[pair]
        images = read_pair(pair.first, pair.second)
        for note in images.notes(get_task(pair.task)):
            self.notify(note)
        levels = np.rint(images.stack(("first", "second")) * 65535).astype(np.uint16)
        if pair.made:
            levels[1] //= 257  # the numbers of the regions, 0 to 255
        if self._cached_bytes + levels.nbytes <= CACHE_BYTES:
            self._cache[pair] = levels
            self._cached_bytes += levels.nbytes
        return levels


def _unit(levels: NDArray[np.uint16]) -> Plane:
    unit: Plane = np.divide(levels, np.float32(65535), dtype=np.float32)
    return unit


def by_dataset(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    """Return pairs by the set that they belong to, in order of its name."""
    sets: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.dataset):
        sets.setdefault(pair.dataset, []).append(pair)
    return sets


def find_pairs(first: Path, second: Path, task: str | Task) -> list[Pair]:
    """Pair the images of two folders by their stems, as a batch does, in order of name.

    The first sub-folder of a stem names the set of the pair.

    Raises:
        InputError: A folder is missing, no pair is found, or an image has no partner.
    """
    if os.path.realpath(first) == os.path.realpath(second):
        raise InputError(f"{first} and {second} are the same folder: give two different folders")
    found = match_stems(first, second)
    if not found.pairs:
        raise InputError(
            f"{first} and {second} hold no two images of the same name: give both of a pair one"
        )
    for alone, folder in ((found.only_first, second), (found.only_second, first)):
        if alone:
            raise InputError(
                f"{alone[0]} has no partner in {folder} "
                f"({len(alone)} such): give both the same name, or move it away"
            )
    name = get_task(task).name
    # By the letter, not by number: recorded curves and fingerprints hang on the order.
    pairs = sorted(found.pairs, key=lambda match: match.stem)
    return [
        Pair(name, Path(str(match.first)), Path(str(match.second)), _dataset_of(match.stem))
        for match in pairs
    ]


def _dataset_of(stem: str) -> str:
    folder, slash, _ = stem.partition("/")
    return folder if slash else ""


def folder_names(task: str | Task) -> tuple[str, str]:
    """Return the names of a task's two folders, `ir` and `vis` for `ir-vis`."""
    first, second = get_task(task).sources
    return first.folder, second.folder


def find_task_pairs(data: Path, task: str | Task, part: str) -> list[Pair] | None:
    """Find the pairs of a task under a data folder.

    Looked for, in this order: DATA/TASK/PART/FIRST, DATA/PART/FIRST and, for the part `train`,
    DATA/TASK/FIRST and DATA/FIRST, where FIRST is `ir` or `mri`, and the second source's folder
    stands beside it. For `mff` the folders `sharp` and `labels` serve where there are no pairs:
    pictures and maps of their regions, of which pairs are made (`lkcfuse.training.defocus`).

    Args:
        data: The data folder.
        task: The task.
        part: `train` or `val`.

    Returns:
        The pairs, or None where there is no such folder.
    """
    name = get_task(task).name
    first, second = folder_names(task)
    places = [data / name / part, data / part]
    if part == "train":
        places += [data / name, data]
    for place in places:
        if (place / first).is_dir():
            return find_pairs(place / first, place / second, task)
        if name in MADE_OF and (place / MADE_OF[name][0]).is_dir():
            pictures, labels = MADE_OF[name]
            found = find_pairs(place / pictures, place / labels, task)
            return [replace(pair, made=True) for pair in found]
    return None


def split(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Split into pairs to train on and pairs kept aside to choose the checkpoint: a tenth of a set.

    The choice depends on the files' names alone, so it is the same on every machine and in every
    stage. A single pair serves as both; of several sets, one with a single pair only trains.
    """
    if len(pairs) < 2:
        return pairs, pairs
    held: set[Pair] = set()
    sets = by_dataset(pairs)
    for members in sets.values():
        if len(members) > 1:
            order = sorted(members, key=lambda p: hashlib.sha256(_bytes(p.first.stem)).hexdigest())
            held.update(order[: max(1, len(members) // HELD_OUT_SHARE)])
    if not held:
        return pairs, pairs
    return [p for p in pairs if p not in held], [p for p in pairs if p in held]


def fingerprint(pairs: list[Pair]) -> str:
    """Return a SHA-256 of the pairs' tasks, stems and bytes, whatever folder they lie in."""
    digest = hashlib.sha256()
    for pair in pairs:
        for path in (pair.first, pair.second):
            try:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror}") from None
            digest.update(_bytes(f"{pair.task}/{path.stem}:{content}\n"))
    return digest.hexdigest()


def _bytes(name: str) -> bytes:
    """A file name's bytes: a name that is not valid text has those it has on the disk."""
    return name.encode("utf-8", "surrogateescape")
