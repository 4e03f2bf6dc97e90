from __future__ import annotations

import json
import sys
import threading

import pytest

from lkcfuse.cli.output import Output, error
from lkcfuse.notes import Note

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
    monkeypatch.setattr("lkcfuse.cli.output._PROGRESS_DELAY_SECONDS", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError), Output().progress("working") as report:  # noqa: PT012
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join()
        report(1, 4)
        raise ZeroDivisionError
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "working" in printed.err
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)  # rich's own is told to end, and does when it next wakes
        assert not thread.is_alive()
