"""Files of the Hugging Face Hub, through `huggingface_hub` with its own cache and tokens."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from lkcfuse.errors import NotCachedError, ResourceError, WeightsError
from lkcfuse.models.hashing import Progress
from lkcfuse.models.manifest import Notify
from lkcfuse.models.source import HubSource
from lkcfuse.models.transport import check_address

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class _UnreachableError(WeightsError):
    """The Hub did not answer; what is cached may serve."""


def fetch(
    source: HubSource, *, offline: bool, notify: Notify, progress: Progress | None = None
) -> Path:
    """Return a file of the Hub from its cache, fetched if it is not there yet.

    A branch or tag is asked for each time, since it may have moved; where the Hub cannot be
    reached, the file it led to last is taken.

    Args:
        source: Repository, file and revision.
        offline: Take it from the cache, or not at all.
        notify: Told that the Hub was not reached and what is taken instead.
        progress: Called with (done, total) bytes.

    Raises:
        WeightsError: There is no such file, it needs a login, or it cannot be reached.
        ResourceError: The Hub's cache cannot be written.
    """
    from huggingface_hub import constants, hf_hub_download

    cached = _cached(source) if offline or _COMMIT.fullmatch(source.revision) else None
    if cached is not None:
        return cached
    if offline:
        raise NotCachedError(
            f"{source} is not in the Hub's cache ({constants.HF_HUB_CACHE}) and the network is "
            f"off: fetch {download_page(source)} elsewhere and give the file's path"
        )
    check_address(constants.ENDPOINT, source="HF_ENDPOINT")
    try:
        with _explained(source):
            _check_names(source)
            with _bars(hf_hub_download, progress) as options:
                path = hf_hub_download(
                    source.repo, source.file, revision=source.revision, **options
                )
            return Path(path)
    except _UnreachableError as error:
        cached = _cached(source)
        if cached is None:
            raise WeightsError(str(error)) from None
        notify(f"{error}: taking {cached}")
        return cached


def download_page(source: HubSource) -> str:
    """Return the address at which a browser fetches the file."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(source.repo, source.file, revision=source.revision)


def _cached(source: HubSource) -> Path | None:
    """Look into the Hub's cache alone; `local_files_only` may still ask the Hub who is calling."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(source.repo, source.file, revision=source.revision)
    return Path(path) if isinstance(path, str) else None


def _check_names(source: HubSource) -> None:
    """Refuse a server whose headers would make names outside the Hub's cache.

    `huggingface_hub` calls the files in its cache after the server's ETag and commit.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(source.repo, source.file, revision=source.revision)
    metadata = get_hf_file_metadata(url)
    for name in (metadata.etag, metadata.commit_hash):
        if name is not None and not _SAFE_NAME.fullmatch(name):
            raise WeightsError(f"{url}: the server's answer carries the name '{name}': refused")


@contextmanager
def _explained(source: HubSource) -> Iterator[None]:
    """Turn whatever `huggingface_hub` raises into one line and its cure."""
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{source.repo}"
    try:
        yield
        return
    except WeightsError:
        raise
    except errors.GatedRepoError:
        problem = f"access has to be granted: ask for it at {page}, then 'hf auth login'"
    except errors.RepositoryNotFoundError:
        problem = f"{page} does not exist, or needs 'hf auth login'"
    except errors.RevisionNotFoundError:
        problem = f"{page} has no revision '{source.revision}'"
    except errors.LocalEntryNotFoundError as error:
        raise _unreachable(source, error.__cause__ or error) from None
    except errors.EntryNotFoundError:
        problem = f"{page} has no file '{source.file}' at revision '{source.revision}'"
    except errors.HfHubHTTPError as error:
        problem = f"the Hub answers: {_first_line(error)}"
    except Exception as error:
        # What else is raised depends on the HTTP client of the Hub's version; a full or
        # forbidden disk has a number in all of them.
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            raise ResourceError(
                f"the Hub's cache {constants.HF_HUB_CACHE} cannot be written ({error.strerror}): "
                "make room, or set HF_HOME to another folder"
            ) from error
        raise _unreachable(source, error) from None
    raise WeightsError(f"{source}: {problem}") from None


def _unreachable(source: HubSource, error: BaseException) -> _UnreachableError:
    from huggingface_hub import constants

    return _UnreachableError(
        f"{source}: {constants.ENDPOINT} cannot be reached ({_first_line(error)})"
    )


@contextmanager
def _bars(download: Any, progress: Progress | None) -> Iterator[dict[str, Any]]:
    """Silence the Hub's own progress bars and report to ours, where its version allows."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if progress is not None and "tqdm_class" in inspect.signature(download).parameters:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - not a path of a file
            yield {"tqdm_class": _reporting_bar(progress, nowhere)}
        return
    silenced = not are_progress_bars_disabled()
    if silenced:
        disable_progress_bars()
    try:
        yield {}
    finally:
        if silenced:
            enable_progress_bars()


def _reporting_bar(progress: Progress, nowhere: TextIO) -> Any:
    """Return a bar that the Hub draws nowhere, and that passes its position on."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "file": nowhere, "disable": False})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> Any:
            shown = super().update(n)
            if self.total:
                progress(self.n, self.total)
            return shown

    return Bar


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
