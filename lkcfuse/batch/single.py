"""One folder whose files are pairs by themselves: a thermal camera's, or of four channels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lkcfuse.batch.plan import Plan, check_outside, check_pairs, planned_pair
from lkcfuse.errors import InputError
from lkcfuse.images.formats import choose_format
from lkcfuse.images.reading import radiometric_kind
from lkcfuse.pairs.listing import scan_folder
from lkcfuse.remote import Location

# Headers are small, so that their time is spent waiting for a disk or a store.
_THREADS = 16


def plan_folder(
    folder: Location,
    output: Location,
    *,
    split: bool,
    prefer: str | None = None,
    format: str = "png",  # noqa: A002 - the option's name
) -> Plan:
    """Plan to fuse the files of one folder, each with itself.

    Args:
        folder: The folder.
        output: Folder for the fused images; it need not exist.
        split: Every image holds both sources, in four channels; else radiometric JPEGs alone do,
            and other images are skipped.
        prefer: Which of two files of one stem is taken, as `scan_folder` takes it.
        format: Format of the outputs.

    Returns:
        The plan; outputs are called as the files, sub-folders kept.

    Raises:
        InputError: The folder cannot be used, two files have one stem, or none holds a pair.
        UsageError: The output is inside the folder, or the format is unknown.
    """
    chosen = choose_format(None, format)
    check_outside(output, folder)
    listing = scan_folder(folder, prefer=prefer)
    images = dict(listing.images)
    notes = []
    if words := listing.skipped.describe():
        notes.append(f"skipped in {folder}: {words}")
    if not split:
        with ThreadPoolExecutor(_THREADS) as threads:
            kinds = list(threads.map(_kind, images.values()))
        others = len(kinds) - kinds.count("FLIR")
        if others == len(kinds):
            dji = "; DJI saves the visible pictures as files of their own" if "DJI" in kinds else ""
            raise InputError(
                f"{folder} is one folder, and none of its images holds a pair, as FLIR's "
                f"radiometric JPEGs do: name the folder of the visible images after it{dji}"
            )
        if others:
            files = "1 image that is not" if others == 1 else f"{others} images that are not"
            notes.append(f"skipped in {folder}: {files} a radiometric FLIR file")
        images = {
            stem: path
            for (stem, path), kind in zip(images.items(), kinds, strict=True)
            if kind == "FLIR"
        }
    pairs = [planned_pair(stem, path, path, output, chosen) for stem, path in images.items()]
    check_pairs(pairs, alone=True)
    return replace(Plan(output, chosen, tuple(pairs)), notes=tuple(notes))


def _kind(path: Location) -> str | None:
    try:
        return radiometric_kind(path)
    except InputError:
        return None
