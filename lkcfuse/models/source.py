"""Where the file of a checkpoint comes from: the package, an https address, or the Hub."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from lkcfuse.errors import WeightsError
from lkcfuse.models.fields import Fields

#: File suffixes a checkpoint may have; anything but safetensors is converted before use.
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")

PRETRAINED_FILE = "model.safetensors"
"""The checkpoint of a model's folder or repository."""

_HUB_PREFIX = "hf://"
_HUB_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_HUB_REVISION = re.compile(r"[A-Za-z0-9][\w./-]*", re.ASCII)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][\w.+-]*", re.ASCII)


@dataclass(frozen=True)
class PackagedSource:
    """A file that travels inside the installed package."""

    file: str

    @property
    def file_name(self) -> str:
        """The bare name of the file."""
        return self.file

    def __str__(self) -> str:
        return f"packaged file {self.file}"


@dataclass(frozen=True)
class UrlSource:
    """A file served over https (over plain http from a loopback address alone)."""

    url: str

    @property
    def file_name(self) -> str:
        """The bare name of the file: the last part of the address's path."""
        return posixpath.basename(unquote(urlsplit(self.url).path))

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class HubSource:
    """A file of a repository on the Hugging Face Hub, at one revision."""

    repo: str
    file: str
    revision: str = "main"

    @property
    def file_name(self) -> str:
        """The bare name of the file, without the repository's folders."""
        return posixpath.basename(self.file)

    def __str__(self) -> str:
        return f"{_HUB_PREFIX}{self.repo}/{self.file}@{self.revision}"


Source = PackagedSource | UrlSource | HubSource


def is_hub_address(text: str) -> bool:
    """Tell whether the text is meant as an address on the Hub."""
    return text.startswith(_HUB_PREFIX)


def parse_hub_address(text: str) -> HubSource:
    """Parse ``hf://owner/repo/file@revision``; the revision is ``main`` unless given.

    Without a file it is ``model.safetensors``, as models of the Hub's own libraries have it.

    Raises:
        WeightsError: The text has another form.

    Example:
        >>> parse_hub_address("hf://someone/fusion/models/ir.safetensors@v2")
        HubSource(repo='someone/fusion', file='models/ir.safetensors', revision='v2')
    """
    path, at, revision = text.removeprefix(_HUB_PREFIX).partition("@")
    owner, _, rest = path.partition("/")
    name, _, file = rest.partition("/")
    try:
        return _hub(f"{owner}/{name}", file or PRETRAINED_FILE, revision if at else "main")
    except ValueError as error:
        raise WeightsError(
            f"'{text}': {error}; write hf://owner/repository/file@revision"
        ) from None


def read_source(fields: Fields) -> Source:
    """Read the ``source`` object of a manifest's entry: exactly one of the three kinds."""
    kinds = [name for name in ("packaged", "url", "hub") if fields.has(name)]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none of them"
        raise WeightsError(
            f"{fields.place}: expected one of 'packaged', 'url' and 'hub', found {found}"
        )
    try:
        if kinds == ["packaged"]:
            return PackagedSource(_plain(fields.text("packaged")))
        if kinds == ["url"]:
            return _url(fields.text("url"))
        return _hub(fields.text("hub"), fields.text("file"), fields.text("revision"))
    except ValueError as error:
        raise WeightsError(f"{fields.place}: {error}") from None


def _plain(name: str) -> str:
    """Accept a file name that is safe in any folder of any system and is a checkpoint's."""
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"'{name}' is not a plain file name")
    if not name.endswith(SUFFIXES):
        raise ValueError(f"'{name}' does not end in one of {', '.join(SUFFIXES)}")
    return name


def _url(url: str) -> UrlSource:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError(f"'{url}' is not an https address")
    if parts.username or parts.password:
        raise ValueError("an address must not carry a user name or password")
    source = UrlSource(url)
    _plain(source.file_name)
    return source


def _hub(repo: str, file: str, revision: str) -> HubSource:
    if not _HUB_REPO.fullmatch(repo):
        raise ValueError(f"'{repo}' is not owner/repository")
    if not _HUB_REVISION.fullmatch(revision) or ".." in revision:
        raise ValueError(f"'{revision}' is not a revision")
    for part in file.split("/"):
        if not _PLAIN_NAME.fullmatch(part):
            raise ValueError(f"'{file}' is not a file of a repository")
    _plain(posixpath.basename(file))
    return HubSource(repo, file, revision)
