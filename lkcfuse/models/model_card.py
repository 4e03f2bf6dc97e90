"""The model card of a checkpoint, as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from lkcfuse.architectures import registry
from lkcfuse.models.entry import Entry, Score
from lkcfuse.tasks import TASKS

_LABEL = 15
_WIDTH = 96


def card(entry: Entry, state: str, path: str = "") -> str:
    """Return the model card: provenance, licence, how to feed it, scores, how to cite.

    Args:
        entry: The checkpoint.
        state: Where it stands (packaged, cached, ...).
        path: The file to load, if there is one.
    """
    lines = [entry.name]
    if entry.description:
        lines += [entry.description]
    lines += ["", *_fields(entry, state, path)]
    if entry.scores:
        lines += ["", "Scores"]
        for score in entry.scores:
            lines += _score(entry, score)
    lines += ["", "How to cite", *_wrap(entry.citation, 2)]
    return "\n".join(lines)


def size_text(size: int) -> str:
    """Return a length in bytes as people read it.

    Example:
        >>> size_text(164813690)
        '164.8 MB'
    """
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _fields(entry: Entry, state: str, path: str) -> Iterator[str]:
    yield from _field("Tasks", ", ".join(entry.tasks))
    width = "" if entry.width is None else f", width {entry.width}"
    yield from _field("Network", registry.title(entry.architecture) + width)
    yield from _field("State", f"{state}: {path}" if path else state)
    yield from _field("Source", str(entry.source))
    yield from _field("Size", f"{size_text(entry.bytes)} ({entry.bytes} bytes)")
    yield from _field("SHA-256", entry.sha256)
    yield from _field(
        "Value ranges", f"in {_range(entry.input_range)}, out {_range(entry.output_range)}"
    )
    yield from _field("Channels", _channels(entry))
    yield from _field("Licence", entry.licence)
    yield from _field("Notice", entry.notice)
    yield from _field("Home", entry.homepage)
    yield from _field("Trained on", entry.trained_on)
    yield from _field("Training", entry.training)
    yield from _field("Intended use", entry.intended_use)
    yield from _field("Limitations", entry.limitations)
    yield from _field("Also called", ", ".join(entry.aliases))


def _field(label: str, text: str) -> Iterator[str]:
    """Yield a labelled paragraph; nothing where there is nothing to say."""
    if text:
        first, *rest = _wrap(text, _LABEL)
        yield label.ljust(_LABEL) + first.lstrip()
        yield from rest


def _channels(entry: Entry) -> str:
    """Name the source of each channel, by the modalities of the tasks."""
    names = []
    for role in entry.channel_order:
        modalities = [getattr(TASKS[task], role) for task in entry.tasks]
        names.append(" or ".join(dict.fromkeys(modalities)))
    return f"0 is {names[0]}, 1 is {names[1]}"


def _score(entry: Entry, score: Score) -> list[str]:
    """Return the table of one set of pairs: a line a method, a column a metric."""
    rows = {entry.name: score.metrics, **score.baselines}
    metrics = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    label = max(len(name) for name in rows)
    width = max(len(metric) for metric in metrics) + 2 if metrics else 0
    width = max(width, 8)
    lines = [f"  {score.data}", " " * (label + 4) + "".join(name.rjust(width) for name in metrics)]
    for name, row in rows.items():
        cells = (f"{row[metric]:.4g}" if metric in row else "" for metric in metrics)
        lines.append(f"    {name.ljust(label)}" + "".join(cell.rjust(width) for cell in cells))
    return lines + _wrap(score.note, 4) if score.note else lines


def _range(values: tuple[float, float]) -> str:
    return f"[{values[0]:g}, {values[1]:g}]"


def _wrap(text: str, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
