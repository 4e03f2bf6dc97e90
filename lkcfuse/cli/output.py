"""The one place that prints: human text, JSON or nothing, decided once per run.

Results go to stdout, everything else to stderr. Notes, warnings and progress vanish with
`--quiet`; progress shows on a terminal alone.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lkcfuse.cli.streams import escape, for_stdout
from lkcfuse.notes import CodedWarning, Note

if TYPE_CHECKING:
    from rich.progress import Progress

# A bar that comes and goes within a moment is noise: it appears when work takes longer than this.
_PROGRESS_DELAY_SECONDS = 1.0

# Thousands of pairs have the same to say about each: the first few tell.
_WARNINGS_SHOWN = 10

# Below it, progress has no bar and no rates, so that it stays on one line.
_NARROW_COLUMNS = 72

ReportProgress = Callable[[float, float], None]
"""Called with (done, total), in any unit, as work goes on."""


def error(message: str) -> None:
    """Print the one line that a failed run leaves on stderr."""
    _say(f"error: {message}")


def _say(message: str) -> None:
    print(f"lkcfuse: {escape(message)}", file=sys.stderr, flush=True)


def error_record(message: str, exit_code: int) -> None:
    """Print the one JSON object that a failed run leaves on stdout when JSON was asked for."""
    print(json.dumps({"error": message, "exit_code": exit_code}), flush=True)


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
            for line in _aligned(cells, _terminal_columns()):
                print(line)
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
            A function to call with (done, total). Without a call the bar only pulses; one of
            bytes does not come up at all.
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
    """A `notify` callback for warnings about many files.

    Of those with a code it shows the first one of each code, of others the first few; when it is
    closed it counts those that it did not show.

    Args:
        out: How the command talks.
        once: Do not repeat a line.
    """

    def __init__(self, out: Output, *, once: bool = False) -> None:
        self._out = out
        self._without_code = 0
        self._by_code: dict[str, list[str]] = {}
        self._told: set[str] | None = set() if once else None

    def __call__(self, message: str) -> None:
        """Show a line, unless others like it were shown before."""
        if self._told is not None:
            if message in self._told:
                return
            self._told.add(message)
        if isinstance(message, CodedWarning):
            alike = self._by_code.setdefault(message.code, [])
            alike.append(message)
            shown = len(alike) == 1
        elif isinstance(message, Note):
            shown = True
        else:
            self._without_code += 1
            shown = self._without_code <= _WARNINGS_SHOWN
        if shown:
            self._out.notify(message)

    def close(self) -> None:
        """Print one line for each kind of warning that was not shown every time."""
        for code, alike in self._by_code.items():
            if len(alike) == 2:
                self._out.warn(alike[1])
            elif len(alike) > 2:
                first = alike[0].split(": ")[0]
                self._out.warn(f"{len(alike)} warnings of this kind ({code}), the first: {first}")
        self._by_code.clear()
        if self._without_code > _WARNINGS_SHOWN:
            self._out.warn(f"{self._without_code - _WARNINGS_SHOWN} more warnings like these")


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
        self._waits_for_total = False
        self._timer = threading.Timer(_PROGRESS_DELAY_SECONDS, self._show)
        self._timer.daemon = True
        self._timer.start()

    def report(self, done: float, total: float) -> None:
        with self._lock:
            self._position = (done, total)
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=done, total=total)
                if self._waits_for_total:
                    self._waits_for_total = False
                    self._bar.start()

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
        from rich.table import Column
        from rich.text import Text

        console = Console(stderr=True)
        narrow = console.width < _NARROW_COLUMNS

        class Count(ProgressColumn):
            """How many are done, and how many a second."""

            def __init__(self, unit: str) -> None:
                self._unit = unit
                super().__init__(table_column=Column(no_wrap=True))

            def render(self, task: Task) -> Text:
                total = "?" if task.total is None else f"{task.total:.0f}"
                if narrow:
                    return Text(f"{int(task.completed)}/{total}")
                speed = task.finished_speed or task.speed
                rate = "" if speed is None else f", {speed:.3g} {self._unit}/s"
                return Text(f"{int(task.completed)}/{total} {self._unit}{rate}")

        with self._lock:
            if self._closed:
                return
            transfer: tuple[ProgressColumn, ...] = ()
            if self._in_bytes and not narrow:
                transfer = (DownloadColumn(), TransferSpeedColumn())
            elif self._unit is not None:
                transfer = (Count(self._unit),)
            name = Column(no_wrap=True, overflow="ellipsis", max_width=16 if narrow else None)
            self._bar = Progress(
                TextColumn("{task.description}", markup=False, table_column=name),
                *(() if narrow else (BarColumn(),)),
                TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True)),
                *transfer,
                TimeRemainingColumn(table_column=Column(no_wrap=True)),
                console=console,
                transient=True,
                # On a terminal, results go above the bar. Elsewhere they are let alone, being the
                # bytes of an image perhaps.
                redirect_stdout=sys.stdout.isatty(),
            )
            done, total = self._position
            task = self._bar.add_task(escape(self._description), total=total)
            self._bar.update(task, completed=done)
            # A file on this disk is there before anybody has counted its bytes.
            self._waits_for_total = self._in_bytes and total is None
            if not self._waits_for_total:
                self._bar.start()


def _terminal_columns() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _aligned(cells: Sequence[Sequence[str]], columns: int | None) -> Iterator[str]:
    """Yield the lines of a table; one that is too wide is split into several, by columns.

    Args:
        cells: By line, by column; the first column is repeated in each part.
        columns: Characters in a line of the terminal; None for any number.
    """
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    left = list(range(1, len(widths)))
    while True:
        shown, used = [0], widths[0]
        while left and (
            columns is None or len(shown) == 1 or used + 2 + widths[left[0]] <= columns
        ):
            used += 2 + widths[left[0]]
            shown.append(left.pop(0))
        for line in cells:
            yield "  ".join(line[i].ljust(widths[i]) for i in shown).rstrip()
        if not left:
            return
        yield ""


def count(number: int, noun: str) -> str:
    """Return a number and what is counted: `1 pair`, `2 pairs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
