from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkcfuse import strict_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=100,
)


@given(VALUES, st.booleans())
def test_what_json_writes_is_read(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert strict_json.loads(text) == value
    assert strict_json.loads(text.encode()) == value


def test_a_file_name_that_is_not_text_is_read():
    name = os.fsdecode(b"caf\xe9.png")
    assert strict_json.loads(json.dumps({name: [name]})) == {name: [name]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        "[Infinity]",
        '{"a": -Infinity}',
        "1e999",
        "-1e400",
        "9" * 400,
        "9" * 5000,
        "-" + "9" * 20,
        str(2**63),
        r'"\ud800"',
        r'{"\udfff": 1}',
        r'[["\udc00\ud800"]]',
        "[" * 100_000,
        "[" * 60 + "]" * 60,
        '{"a":' * 60 + "1" + "}" * 60,
        "[" * 900 + "]" * 900,
        b"\xff",
        b'"\xed\xa0\x80"',
    ],
)
def test_whatever_is_wrong_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - of whatever kind, with whatever words
        strict_json.loads(text)


def test_depth_is_counted_and_not_length():
    assert len(strict_json.loads(json.dumps([[[{}]]] * 10_000))) == 10_000
    assert strict_json.loads("[" * 50 + "]" * 50)


def test_keys_that_stand_twice_are_the_callers_to_refuse():
    pairs = strict_json.loads('{"a": 1, "a": 2}', object_pairs_hook=list)
    assert pairs == [("a", 1), ("a", 2)]
