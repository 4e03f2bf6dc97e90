"""The journal of an output folder: what was done, by which settings, so that it can go on.

`.lkcfuse/run.jsonl` (at a URL a series of objects: see `segments.py`) only ever grows, a JSON
object a line. A pair's line goes to disk before its output gets its name: an output that stands in
the folder and not in the journal is therefore somebody else's, and a line without its output (a
run that was killed in between) means only that the pair is to be done. A last line that is cut off
is skipped.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from lkcfuse import strict_json
from lkcfuse.batch.records import PairRecord, ScoreRecord
from lkcfuse.batch.settings import Settings
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.metrics.cases import FusedPair
from lkcfuse.pairs.pairing import natural_key
from lkcfuse.plain_files import open_plain, read_plain
from lkcfuse.remote import Location, RemotePath, as_location, read_objects
from lkcfuse.version import __version__

FOLDER = ".lkcfuse"
"""Folder, in the output folder, of what a batch keeps beside the images."""

JOURNAL = "run.jsonl"
SCHEMA = 1


@dataclass
class State:
    """What a journal says, later lines over earlier ones.

    Attributes:
        settings: Of the latest run; None where there was none.
        runs: The settings of every run, by their key.
        pairs: The latest record of every pair, by name.
        scores: The latest metrics of every pair, by name.
        outputs: Every output that was ever written, relative to the folder.
        planned: How many pairs the latest run was to do; for runs of shards, by shard.
        damaged: Lines that make no sense, a last one that is cut off not counted.
    """

    settings: Settings | None = None
    runs: dict[str, Settings] = field(default_factory=dict)
    pairs: dict[str, PairRecord] = field(default_factory=dict)
    scores: dict[str, ScoreRecord] = field(default_factory=dict)
    outputs: set[str] = field(default_factory=set)
    planned: dict[tuple[int, ...], int] = field(default_factory=dict)
    damaged: int = 0


def read_pairs(
    folder: Location, *, notify: Callable[[str], None] = lambda _: None
) -> list[FusedPair]:
    """Return the pairs of the batch that wrote into a folder, in order of their names.

    Those are the pairs fused with the latest run's settings. Whether files have changed since is
    not looked at, only whether the output is there.

    Args:
        folder: The output folder.
        notify: Told in one line of pairs that are left out.

    Raises:
        UsageError: There is no journal, or a newer lkcfuse wrote it.
        ResourceError: It cannot be read.
    """
    state = read_state(folder)
    if state.settings is None:
        raise UsageError(f"{folder} has no batch's journal ({FOLDER}/{JOURNAL})")
    # A run adds lines as it goes; names in their order make every run's list the same.
    ordered = sorted(state.pairs.values(), key=lambda record: natural_key(record.name))
    records = [record for record in ordered if record.settings == state.settings.key]
    there = set(folder.find()) if isinstance(folder, RemotePath) else None
    pairs = []
    for record in records:
        output = folder / record.output.path
        is_there = output.is_file() if isinstance(output, Path) else output in (there or ())
        first, second = as_location(record.first.path), as_location(record.second.path)
        pairs.append(FusedPair(record.name, first, second, output if is_there else None))
    if len(records) < len(ordered):
        left_out = len(ordered) - len(records)
        notify(f"{folder}: {left_out} of {len(ordered)} pairs were fused with other settings")
    planned = sum(state.planned.values())
    if len(records) < planned:
        notify(
            f"{folder}: {planned - len(records)} of {planned} pairs were not fused: "
            "run the batch again for them"
        )
    return pairs


def read_task(folder: Location) -> str | None:
    """Return the task of the batch that wrote into a folder; None without a journal.

    Raises:
        UsageError, ResourceError: As `read_pairs`.
    """
    settings = read_state(folder).settings
    return None if settings is None else settings.task


def read_state(folder: Location) -> State:
    """Read the journal of an output folder; an absent one says nothing.

    Raises:
        UsageError: A newer lkcfuse wrote it.
        ResourceError: It cannot be read.
    """
    path = folder / FOLDER / JOURNAL
    state = State()
    try:
        if isinstance(folder, RemotePath):
            found = [path for path in (folder / FOLDER).find() if path.suffix == ".jsonl"]
            data = b"".join(read_objects(found))
        else:
            data = read_plain(folder / FOLDER / JOURNAL)
    except (FileNotFoundError, NotADirectoryError):
        return state
    except OSError as error:
        raise ResourceError(f"{path} cannot be read: {error.strerror or error}") from None
    *lines, _cut_off = data.split(b"\n")
    for line in lines:
        if not line:
            continue
        try:
            _apply(strict_json.loads(line), state, path)
        except (ValueError, TypeError, KeyError, AttributeError):
            state.damaged += 1
    return state


def _apply(record: Mapping[str, Any], state: State, path: Location) -> None:
    kind = record["type"]
    if kind == "run":
        if record["schema"] > SCHEMA:
            raise UsageError(
                f"{path} was written by lkcfuse {record['lkcfuse']}, which is newer than this "
                "one: update lkcfuse, or choose another folder"
            )
        before, state.settings = state.settings, Settings.from_record(record["settings"])
        part = tuple(record.get("shard") or ())
        # Shards of one number belong together, whichever began first.
        if before != state.settings or not all(p[1:] == part[1:] and p for p in state.planned):
            state.planned.clear()
        state.planned[part] = int(record.get("pairs", 0))
        state.runs[state.settings.key] = state.settings
    elif kind == "pair":
        pair = PairRecord.from_record(record)
        state.pairs[pair.name] = pair
        state.outputs.add(pair.output.path)
    elif kind == "metrics":
        score = ScoreRecord.from_record(record)
        state.scores[score.name] = score


class JournalWriter(ABC):
    """A journal open for writing."""

    def __enter__(self) -> JournalWriter:
        return self

    @abstractmethod
    def __exit__(self, *_error: object) -> None: ...

    def begin(self, settings: Settings, **about: object) -> None:
        """Write the line that opens a run.

        Args:
            settings: What every pair of it is fused with.
            about: What else is worth knowing of it.

        Raises:
            ResourceError: As `append`.
        """
        record = {
            "type": "run",
            "schema": SCHEMA,
            "lkcfuse": __version__,
            "time": round(time.time(), 3),
            "settings": settings.to_record(),
            **about,
        }
        self.append(record)

    def append(self, record: Mapping[str, Any], *, sync: bool = True) -> None:
        """Write one line, whole or not at all.

        Args:
            record: The line's object.
            sync: Wait until it is on disk.

        Raises:
            ResourceError: It cannot be written: disk full, no permission, mount gone.
        """
        self.append_all([record], sync=sync)

    @abstractmethod
    def append_all(self, records: Iterable[Mapping[str, Any]], *, sync: bool = True) -> None:
        """Write several lines at once, all of them or none; they wait for the disk together.

        Raises:
            ResourceError: As `append`.
        """


class Journal(JournalWriter):
    """A journal open for writing; threads, and the runs of other shards, may write beside.

    Args:
        folder: The output folder; its `.lkcfuse` exists.
        lock: Held while a line is written.

    Raises:
        ResourceError: The journal cannot be opened for writing.
    """

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.path = folder / FOLDER / JOURNAL
        self._lock = lock
        self._thread_lock = threading.Lock()
        try:
            # Not opened again for every line: on a vanished mount that would make a new file.
            self._descriptor = open_plain(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        except OSError as error:
            raise self._failed(error) from None

    def __exit__(self, *_error: object) -> None:
        os.close(self._descriptor)

    def append_all(self, records: Iterable[Mapping[str, Any]], *, sync: bool = True) -> None:
        """Write several lines: see `JournalWriter.append_all`."""
        lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        try:
            with self._thread_lock, self._lock:
                self._write(lines)
            if sync:
                self._sync()
        except OSError as error:
            raise self._failed(error) from None

    def _write(self, lines: bytes) -> None:
        end = os.fstat(self._descriptor).st_size
        if end:
            os.lseek(self._descriptor, -1, os.SEEK_END)
            if os.read(self._descriptor, 1) != b"\n":
                # The run before was killed in the middle of a line: it ends here.
                lines = b"\n" + lines
        done = 0
        try:
            while done < len(lines):
                done += os.write(self._descriptor, lines[done:])
        except OSError:
            if done:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, end)
            raise

    def _sync(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            # Some network shares cannot, and a device has nothing to sync.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise

    def _failed(self, error: OSError) -> ResourceError:
        return ResourceError(f"{self.path} cannot be written: {error.strerror or error}")
