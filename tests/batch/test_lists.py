from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkcfuse.batch import Listed
from lkcfuse.batch.lists import parse_lines, parse_null, read_csv
from lkcfuse.errors import InputError


def csv_of(tmp_path, data: bytes):
    path = tmp_path / "pairs.csv"
    path.write_bytes(data)
    return read_csv(path)


@pytest.mark.parametrize(
    "data",
    [
        b"1.png,a.png\nd/2.png,b.jpg,two\n",
        b"ir,vis,name\n1.png,a.png,\nd/2.png,b.jpg,two",
        b"\xef\xbb\xbf1.png, a.png\r\n\r\nd/2.png,b.jpg,two\r\n,,\r\n",
    ],
)
def test_csv(tmp_path, data):
    assert csv_of(tmp_path, data) == [Listed("1.png", "a.png"), Listed("d/2.png", "b.jpg", "two")]


def test_csv_with_commas_and_newlines_in_names(tmp_path):
    assert csv_of(tmp_path, b'"1,2.png","a ""b"".png"\n') == [Listed("1,2.png", 'a "b".png')]


@pytest.mark.parametrize("row", [b"2.png", b"2.png,b.png,n,x", b"2.png,,n", b",b.png"])
def test_csv_rows_that_are_no_pair_are_named(tmp_path, row):
    with pytest.raises(InputError, match=r"pairs\.csv, line 2: .*commas"):
        csv_of(tmp_path, b"1.png,a.png\n" + row + b"\n")


def test_a_csv_of_a_header_alone_lists_nothing(tmp_path):
    for data in (b"ir,vis\n", b"\n7,7\n\n"):
        with pytest.raises(InputError, match=r"pairs\.csv lists no pairs: .*header"):
            csv_of(tmp_path, data)


def test_csv_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv does not exist"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_csv(tmp_path)


def test_lines():
    data = b"a 1.png\tb.png\r\n\nc.png\td.png\tname\n"
    assert parse_lines(data) == [Listed("a 1.png", "b.png"), Listed("c.png", "d.png", "name")]
    with pytest.raises(InputError, match=r"standard input, line 2: .*tabs"):
        parse_lines(b"a\tb\na b\n")


@given(st.lists(st.binary(min_size=1).filter(lambda b: b"\0" not in b), max_size=8))
def test_null_ended_names_are_any_bytes(names):
    data = b"".join(name + b"\0" for name in names)
    if len(names) % 2:
        with pytest.raises(InputError, match=f"has {len(names)} names"):
            parse_null(data)
        return
    listed = parse_null(data)
    assert parse_null(data.removesuffix(b"\0")) == listed
    assert [os.fsencode(n) for pair in listed for n in (pair.first, pair.second)] == names


def test_empty_names():
    with pytest.raises(InputError, match="empty one"):
        parse_null(b"a\0\0")
    assert parse_null(b"") == parse_lines(b"") == []
