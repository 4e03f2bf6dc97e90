"""What is done to one pair: read, encode, publish. The same here and on another machine."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lkcfuse.atomic import atomic_write
from lkcfuse.batch.files import exists, is_as_recorded, load, make_folders, record_of
from lkcfuse.batch.plan import Plan, PlannedPair
from lkcfuse.batch.records import FileRecord, PairRecord
from lkcfuse.errors import LkcfuseError, ResourceError, UsageError
from lkcfuse.images import Image, check_output, read_image, write_image
from lkcfuse.notes import warning_records
from lkcfuse.pairs import Pair, PairOptions, prepare_pair
from lkcfuse.remote import Location, RemotePath, relative_to

PIXELS_IN_FLIGHT = 1 << 25
"""Pixels of the pairs in memory at a time, about 0.8 GB; one pair is, however large."""


class DiskError(ResourceError):
    """What was to be written could not be: the next pairs would fare no better."""


@dataclass
class Sources:
    """A pair that was read, or found done before.

    Attributes:
        done: The journal's record, where all three files are as it says; nothing else is set then.
        pair: The two images.
        first: What was read of the first file.
        second: Likewise of the second.
        seconds: Seconds it took.
        alignment: How the two were registered, as JSON has it; None where they were not.
    """

    done: PairRecord | None = None
    pair: Pair | None = None
    first: FileRecord | None = None
    second: FileRecord | None = None
    seconds: float = 0.0
    alignment: dict[str, Any] | None = None


@dataclass(frozen=True)
class Stages:
    """The stages a pair goes through, the network left out.

    Attributes:
        folder: The output folder.
        format: Name of the outputs' format.
        settings: Key of the run's settings.
        options: What is done to a pair before and after the network.
    """

    folder: Location
    format: str
    settings: str
    options: PairOptions = field(default_factory=PairOptions)

    @classmethod
    def of(cls, plan: Plan, settings: str, options: PairOptions) -> Stages:
        """Return the stages of a plan's pairs, done with options and the settings of a key."""
        return cls(plan.folder, plan.format.name, settings, options)

    def read(self, pair: PlannedPair, known: PairRecord | None) -> Sources:
        """Read a pair's files, and decode them unless the pair is done.

        Args:
            pair: The pair.
            known: What the journal says of it.

        Raises:
            InputError: A file is missing or unfit, or the two differ in size.
            UsageError: The outputs' format cannot hold that size.
        """
        started = time.perf_counter()
        first, second = load(pair.first), load(pair.second)
        sources = (
            record_of(str(pair.first.absolute()), first),
            record_of(str(pair.second.absolute()), second),
        )
        if known is not None and self._is_done(known, pair, sources):
            return Sources(done=known)
        options = self.options
        images = prepare_pair(
            read_image(io.BytesIO(first), options.first, name=str(pair.first)),
            read_image(io.BytesIO(second), options.second, name=str(pair.second)),
            options,
        )
        check_output(None, format=self.format, size=images.size)
        alignment = None if images.alignment is None else images.alignment.to_record()
        return Sources(None, images, *sources, time.perf_counter() - started, alignment)

    def _is_done(
        self, known: PairRecord, pair: PlannedPair, sources: tuple[FileRecord, FileRecord]
    ) -> bool:
        """Whether a pair was fused with these settings, and its three files are as they were."""
        return (
            known.settings == self.settings
            and known.first.sha256 == sources[0].sha256
            and known.second.sha256 == sources[1].sha256
            and known.output.path == relative_output(self.folder, pair)
            and is_as_recorded(pair.output, known.output)
        )

    def encode(
        self, pair: PlannedPair, sources: Sources, fused: Image, seconds: dict[str, float]
    ) -> tuple[PairRecord, bytes]:
        """Return a fused image's line in the journal, and its file.

        Args:
            pair: The pair.
            sources: What was read of it.
            fused: The fused image.
            seconds: Seconds by stage so far.
        """
        started = time.perf_counter()
        buffer = io.BytesIO()
        write_image(fused, buffer, format=self.format)
        data = buffer.getvalue()
        height, width = fused.size
        assert sources.first is not None
        assert sources.second is not None
        record = PairRecord(
            name=pair.name,
            first=sources.first,
            second=sources.second,
            output=record_of(relative_output(self.folder, pair), data),
            settings=self.settings,
            width=width,
            height=height,
            seconds={
                stage: round(spent, 4)
                for stage, spent in {**seconds, "encode": time.perf_counter() - started}.items()
            },
            time=round(time.time(), 3),
            warnings=tuple(warning_records(fused.notes)),
            alignment=sources.alignment,
        )
        return record, data

    def publish(
        self,
        pair: PlannedPair,
        data: bytes,
        *,
        overwrite: bool,
        before: Callable[[], None] | None = None,
    ) -> None:
        """Write an output.

        Args:
            pair: Whose it is.
            data: The file's bytes.
            overwrite: Whether a file that exists is replaced.
            before: Called when the bytes are in a file, before that gets its name.

        Raises:
            UsageError: There is a file, and `overwrite` is false.
            DiskError: It cannot be written, and nor could others.
        """
        output, folder = pair.output, self.folder
        if isinstance(output, RemotePath):
            _put(output, data, overwrite=overwrite, before=before)
            return
        assert isinstance(folder, Path)
        try:
            make_folders(folder, output.parent)
            with atomic_write(output, overwrite=overwrite) as file:
                file.write(data)
                # A full disk shows here, before the journal says anything.
                file.flush()
                if before is not None:
                    before()
        except UsageError as error:
            if exists(output):
                raise
            raise DiskError(str(error)) from None
        except LkcfuseError as error:
            raise DiskError(str(error)) from None


def _put(
    output: RemotePath, data: bytes, *, overwrite: bool, before: Callable[[], None] | None
) -> None:
    """Write an output that is an object: it appears whole or not at all."""
    try:
        if not overwrite and output.exists():
            raise UsageError(f"{output} exists: use --force to replace it")
        if before is not None:
            before()
        output.write_bytes(data)
    except OSError as error:
        raise DiskError(f"{output} cannot be written: {error}") from None
    except ResourceError as error:
        raise DiskError(str(error)) from None


def relative_output(folder: Location, pair: PlannedPair) -> str:
    """Return an output's path as the journal of its folder has it."""
    return relative_to(pair.output, folder).as_posix()
