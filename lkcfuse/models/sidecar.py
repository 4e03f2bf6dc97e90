"""The sidecar of a cached checkpoint: where it came from, and both its hashes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lkcfuse import strict_json
from lkcfuse.models.fields import Fields, read_whole
from lkcfuse.plain_files import read_plain, write_new
from lkcfuse.version import __version__


@dataclass(frozen=True)
class Record:
    """What is known about a checkpoint that is ready to use.

    Attributes:
        name: The entry's name.
        source: Where the source file came from, in words.
        source_sha256: Hash of the source file, as the manifest gives it.
        source_bytes: Its length.
        file: The file to load: a bare name in the record's folder, or the absolute path of a
            file in the Hub's own cache.
        sha256: Hash of the file to load; differs from the source's where it was converted.
        bytes: Its length.
        lkcfuse: The version that wrote the record.
    """

    name: str
    source: str
    source_sha256: str
    source_bytes: int
    file: str
    sha256: str
    bytes: int
    lkcfuse: str = __version__

    @property
    def converted(self) -> bool:
        """Whether the file to load is another than the source."""
        return self.sha256 != self.source_sha256

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        # Not synced to disk, which can take seconds: what a power cut tears is found by its hash,
        # or by its JSON, and fetched anew.
        temporary = path.with_name(f".{path.name}.part")
        write_new(temporary, (json.dumps(asdict(self), indent=2) + "\n").encode())
        temporary.replace(path)

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a record.

        Raises:
            WeightsError: It is not a valid record.
            OSError: It cannot be read.
            ValueError: It is not JSON.
        """
        return read_whole(strict_json.loads(read_plain(path)), str(path), _read)


def _read(fields: Fields) -> Record:
    file = fields.text("file")
    if not Path(file).is_absolute() and Path(file).name != file:
        raise fields.fail("file", "expected a bare name or an absolute path")
    return Record(
        name=fields.text("name"),
        source=fields.text("source"),
        source_sha256=fields.text("source_sha256"),
        source_bytes=fields.whole("source_bytes"),
        file=file,
        sha256=fields.text("sha256"),
        bytes=fields.whole("bytes"),
        lkcfuse=fields.text("lkcfuse"),
    )
