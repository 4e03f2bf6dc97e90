from __future__ import annotations

import json
import math
import os

import pytest
from hypothesis import given
from score_tables import SCORES, TABLE, tables

from lkcfuse.errors import UsageError
from lkcfuse.metrics.comparison import Comparison
from lkcfuse.metrics.scoring import Score
from lkcfuse.metrics.table import Table
from lkcfuse.metrics.table_files import (
    check_table,
    is_older,
    is_own_table,
    summary_path,
    to_json,
    write_table,
)

COMPARISON = Comparison(TABLE)
OTHER = Comparison(Table.of(["EN"], SCORES))


@given(tables())
def test_every_table_knows_itself(table):
    comparison = Comparison(table)
    assert is_own_table(table.to_csv(), comparison.to_csv())
    assert is_own_table(to_json(comparison))


CHANGES = [
    lambda text: text + "\n",
    lambda text: text.rstrip("\n"),
    lambda text: text.replace("7.25", "7.26"),
    lambda text: text.replace("7.25", "7.250"),
    lambda text: text.replace("day/2,ours", "day/3,ours,"),
    lambda text: text.replace("EN", "EN "),
    lambda text: text.replace("EN", "mine"),
    lambda text: text.replace("day/2", "day/7"),
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\n".join(text.split("\n")[:-2]),
    lambda text: text.split("\n")[0] + "\n",
    lambda text: "# notes\n" + text,
    *(
        lambda text, cell=cell: text.replace("7.25", cell)
        for cell in ("1e200", "-1e308", "1e999", "inf", "nan", "9" * 400, "1e-999")
    ),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_that_was_changed_is_not_ours(change):
    summary = COMPARISON.to_csv()
    assert not is_own_table(change(TABLE.to_csv().decode()).encode(), summary)
    before = to_json(COMPARISON).decode()
    changed = change(before)
    assert changed == before or not is_own_table(changed.encode())


@pytest.mark.parametrize("change", [*CHANGES[:2], CHANGES[5], CHANGES[8], CHANGES[10]])
def test_a_summary_that_was_changed_is_not_ours(change):
    assert not is_own_table(TABLE.to_csv(), change(COMPARISON.to_csv().decode()).encode())
    mean = COMPARISON.to_csv().decode().replace("MSE,ours,lower,", "MSE,ours,lower,1")
    assert not is_own_table(TABLE.to_csv(), mean.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}",
        b'{"rows": []}',
        b'{"rows": [1]}',
        b'{"rows": {"a": 1}}',
        b"[" * 100_000,
        b"{" * 100_000,
        b"name,method\n",
        b"name,method,EN\nmean,,\nstd,,\n",
        b"\xff\xfe\0",
        b"\x89PNG\r\n",
    ],
)
def test_other_files_are_not_ours(data, tmp_path):
    assert not is_own_table(data, b"")
    assert not is_own_table(data, COMPARISON.to_csv())
    path = tmp_path / "file"
    path.write_bytes(data)
    assert not is_older(path)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".txt", ""])
def test_writing(tmp_path, suffix):
    path = tmp_path / f"metrics{suffix}"
    beside = tmp_path / f"metrics.summary{suffix}"

    def check(comparison):
        if suffix == ".json":
            assert path.read_bytes() == to_json(comparison)
            assert [*tmp_path.iterdir()] == [path]
        else:
            assert path.read_bytes() == comparison.table.to_csv()
            assert beside.read_bytes() == comparison.to_csv()
            assert sorted(tmp_path.iterdir()) == sorted([path, beside])

    write_table(COMPARISON, path)
    check(COMPARISON)
    check_table(path)
    write_table(OTHER, path)  # our own table is replaced
    check(OTHER)

    path.write_text("somebody's work\n")
    for attempt in (lambda: check_table(path), lambda: write_table(COMPARISON, path)):
        with pytest.raises(UsageError, match=r"was not written by eval.*--force"):
            attempt()
        assert path.read_text() == "somebody's work\n"
    write_table(COMPARISON, path, force=True)
    check(COMPARISON)


def test_a_summary_of_somebody_else_is_not_replaced(tmp_path):
    path, beside = tmp_path / "m.csv", tmp_path / "m.summary.csv"
    beside.write_text("mine\n")
    with pytest.raises(UsageError, match=r"m\.summary\.csv exists.*--force"):
        write_table(COMPARISON, path)
    assert [*tmp_path.iterdir()] == [beside]
    write_table(COMPARISON, path, force=True)

    beside.write_bytes(COMPARISON.to_csv().replace(b"7", b"8"))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="was changed since"):
        write_table(OTHER, path)
    beside.unlink()
    with pytest.raises(UsageError, match=r"without m\.summary\.csv beside it.*--force"):
        write_table(OTHER, path)
    assert path.read_bytes() == before


def test_a_pipe_gets_the_rows_alone(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names")
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_table(COMPARISON, path)
        assert os.read(reader, 1 << 16) == TABLE.to_csv()
    finally:
        os.close(reader)
    assert [*tmp_path.iterdir()] == [path]
    assert summary_path(path) is None


def test_a_folder_or_an_absent_folder_is_no_place(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        check_table(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        check_table(tmp_path / "absent" / "metrics.csv")


OLDER = """name,method,EN,MSE
1,ours,7.25,1487.472168
2,ours,6.25,1
1,theirs,1.5,
mean,ours,6.75,744.236084
mean,theirs,1.5,
std,ours,0.7071067812,1051.09455
std,theirs,,
"""


def older_json():
    """Return the same table as JSON was once written."""
    header, *lines = (line.split(",") for line in OLDER.splitlines())
    rows = [
        {
            **dict(zip(header[:2], line[:2], strict=True)),
            **{m: float(v) if v else None for m, v in zip(header[2:], line[2:], strict=True)},
        }
        for line in lines
    ]
    return json.dumps({"rows": rows[:3], "summary": rows[3:]}, indent=1) + "\n"


@pytest.mark.parametrize(("name", "text"), [("m.csv", OLDER), ("m.json", older_json())])
def test_a_table_with_means_among_its_rows_is_known_and_replaced(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert is_older(path)
    check_table(path)
    write_table(COMPARISON, path)
    assert not is_older(path)
    for old, new in (("6.75", "6.76"), ("7.25", "7.26"), ("1.5", "1.25"), ("mean", "Mean")):
        path.write_text(text.replace(old, new, 1))
        assert not is_older(path)
        with pytest.raises(UsageError, match="--force"):
            check_table(path)


def test_a_pair_called_mean_is_a_pair(tmp_path):
    path = tmp_path / "m.csv"
    scores = [Score(name, "ours", {"EN": 1.0}) for name in ("mean", "std")]
    write_table(Comparison(Table.of(["EN"], scores)), path)
    assert not is_older(path)
    check_table(path)
    assert math.isclose(Comparison(Table.of(["EN"], scores)).summaries["EN", "ours"].mean, 1)
