from __future__ import annotations

import csv
import io
import json
import math
import os
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkcfuse.errors import UsageError
from lkcfuse.metrics import METRICS
from lkcfuse.metrics.scoring import Score
from lkcfuse.metrics.table import Table, _from_csv, check_table, is_own_table, write_table

SCORES = [
    Score("day/1", "ours", {"EN": 7.25, "SCD": math.nan, "MSE": 1487.4721679}),
    Score("day/2", "ours", {"EN": 6.25, "SCD": math.nan, "MSE": 1.0}),
    Score("day/1", "theirs", {"EN": 1.5, "SCD": 1.25, "MSE": math.inf}),
]
TABLE = Table.of(["EN", "SCD", "MSE"], SCORES)


def test_csv():
    assert TABLE.to_csv().decode().splitlines() == [
        "name,method,EN,SCD,MSE",
        "day/1,ours,7.25,,1487.472168",
        "day/2,ours,6.25,,1",
        "day/1,theirs,1.5,1.25,",
        "mean,ours,6.75,,744.236084",
        "mean,theirs,1.5,1.25,",
        "std,ours,0.7071067812,,1051.09455",
        "std,theirs,,,",
    ]


def test_json():
    record = json.loads(TABLE.to_json())
    assert record["rows"][2] == {
        "name": "day/1", "method": "theirs", "EN": 1.5, "SCD": 1.25, "MSE": None
    }  # fmt: skip
    assert record["summary"][0] == {
        "name": "mean", "method": "ours", "EN": 6.75, "SCD": None, "MSE": 744.236084
    }  # fmt: skip
    assert [(row["name"], row["method"]) for row in record["summary"]] == [
        ("mean", "ours"), ("mean", "theirs"), ("std", "ours"), ("std", "theirs")
    ]  # fmt: skip


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
VALUES = st.floats(-1e9, 1e9).map(lambda value: round(value, 6)) | st.just(math.nan)


@st.composite
def tables(draw):
    metrics = draw(st.lists(st.sampled_from(list(METRICS)), min_size=1, max_size=4, unique=True))
    names = draw(st.lists(NAMES, min_size=1, max_size=4))
    methods = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    return Table.of(
        metrics,
        [Score(n, m, {c: draw(VALUES) for c in metrics}) for m in methods for n in names],
    )


@given(tables())
def test_every_table_knows_itself(table):
    assert is_own_table(table.to_csv())
    assert is_own_table(table.to_json())


@given(tables())
def test_the_summary_is_that_of_the_written_numbers(table):
    _, *lines = csv.reader(io.StringIO(table.to_csv().decode(), newline=""))
    body, summary = lines[: len(table.rows)], lines[len(table.rows) :]
    assert len(summary) == 2 * len(table.methods)
    for name, method, *cells in summary:
        for column, cell in enumerate(cells, start=2):
            values = [float(r[column]) for r in body if r[1] == method and r[column]]
            if len(values) < (1 if name == "mean" else 2):
                assert cell == ""
                continue
            expected = {"mean": statistics.fmean, "std": statistics.stdev}[name](values)
            spread = max(abs(v) for v in values)
            assert float(cell) == pytest.approx(expected, rel=1e-6, abs=1e-6 * spread)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n",
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("7.25", "7.26"),
        lambda text: text.replace("7.25", "7.250"),
        lambda text: text.replace("day/2,ours", "day/3,ours,"),
        lambda text: text.replace("EN", "EN "),
        lambda text: text.replace("EN", "mine"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\n".join(text.split("\n")[:-2]),
        lambda text: text.split("\n")[0] + "\n",
        lambda text: "# notes\n" + text,
    ],
)
def test_a_table_that_was_changed_is_not_ours(change):
    assert not is_own_table(change(TABLE.to_csv().decode()).encode())
    changed = change(TABLE.to_json().decode())
    assert changed == TABLE.to_json().decode() or not is_own_table(changed.encode())


HUGE = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(st.lists(st.just(1.7e308) | st.just(-1.7e308) | HUGE, min_size=1, max_size=6))
def test_numbers_of_any_size_have_a_table(values):
    table = Table.of(["MSE"], [Score(str(n), "ours", {"MSE": v}) for n, v in enumerate(values)])
    assert is_own_table(table.to_csv())
    assert is_own_table(table.to_json())
    cells = [row.values[0] for row in (*table.rows, *table.summary)]
    assert all(cell is None or math.isfinite(cell) for cell in cells)


def test_the_summary_of_huge_numbers():
    values = (3e300, 1e300, 1e300, 3e300)
    table = Table.of(["MSE"], [Score(str(n), "ours", {"MSE": v}) for n, v in enumerate(values)])
    mean, deviation = (row.values[0] for row in table.summary)
    assert mean == pytest.approx(2e300)
    assert deviation == pytest.approx(1e300 * math.sqrt(4 / 3))


@pytest.mark.parametrize("cell", ["1e200", "-1e308", "1e999", "inf", "nan", "9" * 400, "1e-999"])
def test_a_cell_out_of_range_is_a_change(cell):
    assert not is_own_table(TABLE.to_csv().decode().replace("7.25", cell).encode())
    assert not is_own_table(TABLE.to_json().decode().replace("7.25", cell).encode())


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
        b"name,method\n",
        b"name,method,EN\nmean,,\nstd,,\n",
        b"\xff\xfe\0",
        b"\x89PNG\r\n",
    ],
)
def test_other_files_are_not_ours(data):
    assert not is_own_table(data)


def test_a_name_that_is_no_text_keeps_its_bytes():
    name = os.fsdecode(b"\xff1")
    table = Table.of(["EN"], [Score(name, "ours", {"EN": 1.0})])
    assert b"\n\xff1,ours,1\n" in table.to_csv()
    assert is_own_table(table.to_csv())
    assert is_own_table(table.to_json())


FORMULAS = (
    "=1+1",
    "-a",
    "+1",
    "@x",
    "\t=1",
    "\r=1",
    "\n=1",
    "'=1",
    "''@",
    "\uff1d1",
    "'plain",
    "a;=1",
)


def test_names_that_are_formulas_are_text_to_a_spreadsheet():
    """Whether a cell is quoted makes no difference to one; what the cell begins with does."""
    table = Table.of(["EN"], [Score(n, m, {"EN": 1.0}) for n in FORMULAS for m in FORMULAS])
    data = table.to_csv()
    cells = list(csv.reader(io.StringIO(data.decode(), newline="")))
    for line in cells[1:]:
        for cell in line[:2]:
            assert cell[0] not in "=+-@\t\r\n\uff1d"
    # Where semicolons and tabs separate cells, those in names are within quotes.
    assert b'"a;=1"' in data
    assert is_own_table(data)


def test_a_guarded_name_is_read_back_as_it_was():
    names = [*FORMULAS, "a", "a;b", "'"]
    table = Table.of(["EN"], [Score(name, "=x", {"EN": 1.0}) for name in names])
    read = _from_csv(table.to_csv())
    assert [row.name for row in read.rows] == names
    assert read.methods == ("=x",)
    # A table without the guards is not one of ours.
    assert not is_own_table(table.to_csv().replace(b"'=1+1", b"=1+1"))


@pytest.mark.parametrize("suffix", [".csv", ".json", ".txt"])
def test_writing(tmp_path, suffix):
    path = tmp_path / f"metrics{suffix}"
    write_table(TABLE, path)
    assert path.read_bytes() == (TABLE.to_json() if suffix == ".json" else TABLE.to_csv())
    assert list(tmp_path.iterdir()) == [path]

    other = Table.of(["EN"], SCORES)
    write_table(other, path)  # our own table is replaced
    assert path.read_bytes() == (other.to_json() if suffix == ".json" else other.to_csv())

    path.write_text("somebody's work\n")
    for attempt in (lambda: check_table(path), lambda: write_table(TABLE, path)):
        with pytest.raises(UsageError, match=r"was not written by eval.*--force"):
            attempt()
        assert path.read_text() == "somebody's work\n"
    write_table(TABLE, path, force=True)
    assert is_own_table(path.read_bytes())


def test_a_folder_or_an_absent_folder_is_no_place(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        check_table(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        check_table(tmp_path / "absent" / "metrics.csv")
