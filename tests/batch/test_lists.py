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
        b"ir;vis;name\r\n1.png;a.png;\r\nd/2.png;b.jpg;two\r\n",
        b"sep=;\r\n1.png;a.png;\r\nd/2.png;b.jpg;two\r\n",
        b"sep=|\n1.png|a.png\nd/2.png|b.jpg|two\n",
        b"1.png\ta.png\nd/2.png\tb.jpg\ttwo\n",
    ],
)
def test_csv(tmp_path, data):
    assert csv_of(tmp_path, data) == [Listed("1.png", "a.png"), Listed("d/2.png", "b.jpg", "two")]


def test_csv_with_commas_and_newlines_in_names(tmp_path):
    assert csv_of(tmp_path, b'"1,2.png","a ""b"".png"\n') == [Listed("1,2.png", 'a "b".png')]


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("separator", ["\t", ";"])
def test_csv_with_a_byte_order_mark(tmp_path, mark, separator):
    text = separator.join(["\u7ea2\u5916.png", "caf\u00e9.png"]) + "\r\n"
    assert csv_of(tmp_path, text.encode(mark)) == [Listed("\u7ea2\u5916.png", "caf\u00e9.png")]


def test_a_byte_order_mark_of_the_other_order(tmp_path):
    for mark, encoding in (("utf-16-be", "\ufeffa.png,b.png"), ("utf-32-be", "\ufeffa.png,b.png")):
        assert csv_of(tmp_path, encoding.encode(mark)) == [Listed("a.png", "b.png")]


@pytest.mark.parametrize(
    ("encoding", "name", "said"),
    [("gbk", "\u7ea2\u5916", "GBK"), ("big5", "\u7d05", "Big5"), ("cp1252", "stra\u00dfe", "1252")],
)
def test_csv_of_an_older_encoding_is_told(tmp_path, encoding, name, said):
    data = f"1.png,a.png\n{name}.png,b.png\n".encode(encoding)
    with pytest.raises(InputError, match=rf"pairs\.csv, line 2 is not UTF-8.*{said}.*CSV UTF-8"):
        csv_of(tmp_path, data)


def test_csv_in_utf_16_without_a_mark_or_cut_off(tmp_path):
    data = "a.png,b.png\n".encode("utf-16-le")
    with pytest.raises(InputError, match="UTF-16 without a byte order mark"):
        csv_of(tmp_path, data)
    with pytest.raises(InputError, match="damaged UTF-16-LE"):
        csv_of(tmp_path, b"\xff\xfe" + data[:-1])


def test_a_separator_that_stands_in_names_too(tmp_path):
    assert csv_of(tmp_path, b"a;1.png,b;1.png\n") == [Listed("a;1.png", "b;1.png")]
    assert csv_of(tmp_path, b"a,1.png;b,1.png\n") == [Listed("a,1.png", "b,1.png")]


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
    marked = "\ufeffa.png\tb.png\r\n".encode("utf-16-le")
    assert parse_lines(marked) == [Listed("a.png", "b.png")]


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
