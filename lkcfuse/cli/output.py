"""The one place that prints: human text, JSON or nothing, decided once per run.

Results go to stdout, everything else to stderr. Notes, warnings and progress vanish with
`--quiet`; progress shows on a terminal alone.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lkcfuse.cli.streams import escape, for_stdout
from lkcfuse.notes import Note

if TYPE_CHECKING:
    from rich.progress import Progress

# A bar that comes and goes within a moment is noise: it appears when work takes longer than this.
_PROGRESS_DELAY_SECONDS = 1.0

# Thousands of pairs have the same to say about each: the first few tell.
_WARNINGS_SHOWN = 10

ReportProgress = Callable[[float, float], None]
"""Called with (done, total), in any unit, as work goes on."""


def error(message: str) -> None:
    """Print the one line that a failed run leaves on stderr."""
    _say(f"error: {message}")


def _say(message: str) -> None:
    print(f"lkcfuse: {escape(message)}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Output:
    """How a command talks.

    Attributes:
        as_json: Results are JSON on stdout instead of text.
        quiet: Nothing is printed but errors, and JSON if asked for.
    """

    as_json: bool = False
    quiet: bool = False

    def result(
        self,
        text: str,
        record: Mapping[str, object],
        *,
        end: str = "\n",
        styled: bool = False,
    ) -> None:
        """Print one result: its text for people, or its record as one line of JSON.

        Args:
            text: For people. On a terminal, control characters in it are escaped.
            record: For programs.
            end: What ends the text; JSON always ends in a newline.
            styled: The text has a terminal's escape sequences that are meant; names in it are
                escaped already.
        """
        if self.as_json:
            print(json.dumps(record), flush=True)
        elif not self.quiet:
            print(text if styled else for_stdout(text), end=end, flush=True)

    def table(self, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
        """Print rows as aligned columns for people, or as one JSON array of objects.

        Args:
            columns: The keys of each row to show, in order; they head the columns.
            rows: The rows; JSON gets all their keys, a key that is missing shows empty.
        """
        if self.as_json:
            print(json.dumps([dict(row) for row in rows], indent=2), flush=True)
        elif not self.quiet:
            cells = [
                [column.upper() for column in columns],
                *([for_stdout(str(row.get(column, ""))) for column in columns] for row in rows),
            ]
            widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
            for line in cells:
                padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
                print("  ".join(padded).rstrip())
            sys.stdout.flush()

    def note(self, message: str) -> None:
        """Say on stderr what was chosen or done."""
        if not self.quiet:
            _say(message)

    def warn(self, message: str) -> None:
        """Say on stderr what the user may want to look at."""
        if not self.quiet:
            _say(f"warning: {message}")

    def notify(self, message: str) -> None:
        """Say what came through a `notify` callback: as a note if it is one, else as a warning."""
        (self.note if isinstance(message, Note) else self.warn)(message)

    @contextmanager
    def progress(
        self, description: str, *, in_bytes: bool = False, unit: str | None = None
    ) -> Iterator[ReportProgress]:
        """Show progress on a terminal once the work inside takes more than a moment.

        Args:
            description: What is being done, in a word or two.
            in_bytes: The unit is bytes: sizes and the rate are shown too.
            unit: What is counted (`pairs`): the count and the rate are shown too.

        Yields:
            A function to call with (done, total); without a call the bar only pulses.
        """
        if self.quiet or not sys.stderr.isatty():
            yield lambda _done, _total: None
            return
        bar = _DelayedBar(description, in_bytes, unit)
        try:
            yield bar.report
        finally:
            bar.close()


class Warnings:
    """A `notify` callback that shows the first warnings, and at the end how many more there were.

    Args:
        out: How the command talks.
        once: What was told before is not told again.
    """

    def __init__(self, out: Output, *, once: bool = False) -> None:
        self._out = out
        self._count = 0
        self._told: set[str] | None = set() if once else None

    def __call__(self, message: str) -> None:
        """Show a line, if few warnings came before it or it is a note."""
        if self._told is not None:
            if message in self._told:
                return
            self._told.add(message)
        self._count += not isinstance(message, Note)
        if isinstance(message, Note) or self._count <= _WARNINGS_SHOWN:
            self._out.notify(message)

    def close(self) -> None:
        """Say how many were not shown."""
        if self._count > _WARNINGS_SHOWN:
            self._out.warn(f"{self._count - _WARNINGS_SHOWN} more warnings like these")


class _DelayedBar:
    """A rich progress bar that a timer brings up, so that short work shows none."""

    def __init__(self, description: str, in_bytes: bool, unit: str | None) -> None:
        self._description = description
        self._in_bytes = in_bytes
        self._unit = unit
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._position: tuple[float, float | None] = (0.0, None)
        self._closed = False
        self._timer = threading.Timer(_PROGRESS_DELAY_SECONDS, self._show)
        self._timer.daemon = True
        self._timer.start()

    def report(self, done: float, total: float) -> None:
        with self._lock:
            self._position = (done, total)
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._closed = True
            if self._bar is not None:
                self._bar.stop()

    def _show(self) -> None:
        # rich is imported here, on the timer's thread, so that a quick run never pays for it.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.text import Text

        class Count(ProgressColumn):
            """How many are done, and how many a second."""

            def __init__(self, unit: str) -> None:
                self._unit = unit
                super().__init__()

            def render(self, task: Task) -> Text:
                speed = task.finished_speed or task.speed
                rate = "" if speed is None else f", {speed:.3g} {self._unit}/s"
                total = "?" if task.total is None else f"{task.total:.0f}"
                return Text(f"{int(task.completed)}/{total} {self._unit}{rate}")

        with self._lock:
            if self._closed:
                return
            transfer: tuple[ProgressColumn, ...] = ()
            if self._in_bytes:
                transfer = (DownloadColumn(), TransferSpeedColumn())
            elif self._unit is not None:
                transfer = (Count(self._unit),)
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                *transfer,
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                # On a terminal, results go above the bar. Elsewhere they are let alone, being the
                # bytes of an image perhaps.
                redirect_stdout=sys.stdout.isatty(),
            )
            done, total = self._position
            task = self._bar.add_task(escape(self._description), total=total)
            self._bar.update(task, completed=done)
            self._bar.start()


def count(number: int, noun: str) -> str:
    """Return a number and what is counted: `1 pair`, `2 pairs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
