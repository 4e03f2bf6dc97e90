from __future__ import annotations

import json
import re
import sys
import threading

import pytest

from lkcfuse.cli.output import Output, Warnings, error
from lkcfuse.notes import CodedWarning, Note

ROWS = [{"name": "a", "size": 1, "hash": "x"}, {"name": "longer"}]


def test_people_get_text(capsys):
    out = Output()
    out.result("done", {"output": "x.png"})
    out.table(("name", "size"), ROWS)
    out.note("took the CPU")
    out.warn("swapped?")
    assert capsys.readouterr() == (
        "done\nNAME    SIZE\na       1\nlonger\n",
        "lkcfuse: took the CPU\nlkcfuse: warning: swapped?\n",
    )


def test_of_what_is_told_all_but_notes_are_warnings(capsys):
    Output().notify(Note("converting"))
    Output().notify("swapped?")
    assert capsys.readouterr().err == "lkcfuse: converting\nlkcfuse: warning: swapped?\n"


def test_programs_get_json_and_nothing_else_on_stdout(capsys):
    out = Output(as_json=True)
    out.result("done", {"output": "x.png"})
    out.note("took the CPU")
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"output": "x.png"}
    assert printed.out.count("\n") == 1
    assert printed.err == "lkcfuse: took the CPU\n"
    out.table(("name",), ROWS)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_quiet_leaves_json_and_errors(capsys):
    out = Output(quiet=True)
    out.result("done", {})
    out.table(("name",), ROWS)
    out.note("x")
    out.warn("x")
    assert capsys.readouterr() == ("", "")
    Output(as_json=True, quiet=True).result("done", {"a": 1})
    error("it broke")
    assert capsys.readouterr() == ('{"a": 1}\n', "lkcfuse: error: it broke\n")


def test_a_table_without_rows_still_has_its_head(capsys):
    Output().table(("name", "size"), [])
    assert capsys.readouterr().out == "NAME  SIZE\n"


@pytest.mark.parametrize("out", [Output(), Output(quiet=True)])
def test_progress_is_silent_where_there_is_no_terminal(capsys, out):
    with out.progress("working") as report:
        report(1, 2)
    assert capsys.readouterr() == ("", "")


def test_progress_ends_with_its_work(monkeypatch, capsys):
    """The bar comes up after a moment, is on stderr alone, and is gone when the block fails."""
    be_a_terminal(monkeypatch)
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError), Output().progress("working") as report:  # noqa: PT012
        wait_for_timers()
        report(1, 4)
        raise ZeroDivisionError
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "working" in printed.err
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)  # rich's own is told to end, and does when it next wakes
        assert not thread.is_alive()


def test_alike_warnings_are_one_line(capsys):
    warn = Warnings(Output())
    for index in range(12):
        warn(CodedWarning("palette", f"ir/{index}.png shows heat: it is turned back"))
    for index in range(2):
        warn(CodedWarning("no-data", f"vis/{index}.png has no data: taken from the other"))
    for index in range(13):
        warn(f"line {index}")
    warn(Note("a note"))
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "lkcfuse: warning: ir/0.png shows heat: it is turned back",
        "lkcfuse: warning: vis/0.png has no data: taken from the other",
        *(f"lkcfuse: warning: line {index}" for index in range(10)),
        "lkcfuse: a note",
    ]
    warn.close()
    assert capsys.readouterr().err.splitlines() == [
        "lkcfuse: warning: 12 warnings of this kind (palette), the first: ir/0.png shows heat",
        "lkcfuse: warning: vis/1.png has no data: taken from the other",
        "lkcfuse: warning: 3 more warnings like these",
    ]


@pytest.mark.parametrize("columns", [10, 20, 28, 40, 200])
def test_a_table_is_split_by_columns_on_a_narrow_terminal(monkeypatch, capsys, columns):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [
        {"name": "lkc-funet", "size": "165 MB", "licence": "none stated"},
        {"name": "mine", "size": "5 MB", "licence": "Apache-2.0"},
    ]
    Output().table(("name", "size", "licence"), rows)
    parts = capsys.readouterr().out.split("\n\n")
    assert len(parts) == (1 if columns >= 30 else 2)
    for part in parts:
        names = [line.split()[0] for line in part.splitlines()]
        assert names == ["NAME", "lkc-funet", "mine"]
    assert "none stated" in parts[-1]


def be_a_terminal(monkeypatch):
    """Make stderr a terminal; in the test itself, since pytest changes stderr after fixtures."""
    monkeypatch.setattr("lkcfuse.cli.output._PROGRESS_DELAY_SECONDS", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")


def wait_for_timers():
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()


def test_bytes_that_nobody_counts_show_no_progress(monkeypatch, capsys):
    be_a_terminal(monkeypatch)
    with Output().progress("loading weights", in_bytes=True):
        wait_for_timers()
    assert capsys.readouterr().err == ""
    with Output().progress("loading weights", in_bytes=True) as report:
        wait_for_timers()
        report(1000, 5000)
    assert "loading weights" in capsys.readouterr().err


@pytest.mark.parametrize("unit", [{"in_bytes": True}, {"unit": "pairs"}, {}])
def test_progress_is_one_line_at_40_columns(monkeypatch, capsys, unit):
    be_a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "40")
    with Output().progress("looking at all values", **unit) as report:
        wait_for_timers()
        report(12_345, 23_456)
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    lines = [line for line in re.split(r"[\r\n]+", printed) if line.strip()]
    assert lines
    for line in lines:
        assert line.lstrip().startswith("looking")
        assert len(line.rstrip()) <= 40
        assert "53%" in line or "0%" in line or "--:--" in line
