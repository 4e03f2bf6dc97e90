from __future__ import annotations

import csv
import io
import os

import pytest
from hypothesis import given
from score_tables import TABLE, tables

from lkcfuse.metrics.comparison import Comparison
from lkcfuse.metrics.scoring import Score
from lkcfuse.metrics.table import Row, Table, guarded


def test_csv_has_one_row_per_pair_and_method_and_nothing_else():
    assert TABLE.to_csv().decode().splitlines() == [
        "name,method,EN,SCD,MSE",
        "day/1,ours,7.25,,1487.472168",
        "day/2,ours,6.25,,1",
        "day/1,theirs,1.5,1.25,",
    ]
    assert TABLE.methods == ("ours", "theirs")
    assert TABLE.names == ("day/1", "day/2")


@given(tables())
def test_a_table_read_back_is_the_table_written(table):
    assert Table.from_csv(table.to_csv()) == table
    header, *lines = csv.reader(io.StringIO(table.to_csv().decode(), newline=""))
    assert header == ["name", "method", *table.metrics]
    assert [line[:2] for line in lines] == [
        [guarded(row.name), guarded(row.method)] for row in table.rows
    ]


def test_a_name_that_is_no_text_keeps_its_bytes():
    name = os.fsdecode(b"\xff1")
    table = Table.of(["EN"], [Score(name, "ours", {"EN": 1.0})])
    assert b"\n\xff1,ours,1\n" in table.to_csv()
    assert Table.from_csv(table.to_csv()).rows == (Row(name, "ours", (1.0,)),)


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
    table = Table.of(["EN"], [Score(n, m, {"EN": -1.0}) for n in FORMULAS for m in FORMULAS])
    for data, names in ((table.to_csv(), slice(2)), (Comparison(table).to_csv(), slice(1, 2))):
        cells = list(csv.reader(io.StringIO(data.decode(), newline="")))
        for line in cells[1:]:
            for cell in line[names]:
                assert cell[0] not in "=+-@\t\r\n\uff1d"
        # Where semicolons and tabs separate cells, those in names are within quotes.
        assert b'"a;=1"' in data
        assert b",-1" in data


def test_a_guarded_name_is_read_back_as_it_was():
    names = [*FORMULAS, "a", "a;b", "'"]
    table = Table.of(["EN"], [Score(name, "=x", {"EN": 1.0}) for name in names])
    assert Table.from_csv(table.to_csv()) == table


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"name,method\n",
        b"name,method,EN\n",
        b"name,method\n1,ours\n",
        b"file,method,EN\n1,ours,1\n",
        b"name,method,EN\n1,ours,1,2\n",
        b"name,method,EN\n1,ours\n",
        b"name,method,EN\n1,ours,seven\n",
        b'name,method,EN\n"1,ours,1\n',
    ],
)
def test_other_files_are_not_tables(data):
    with pytest.raises(ValueError):  # noqa: PT011 - it says what is wrong to nobody
        Table.from_csv(data)
