from __future__ import annotations

import json

import numpy as np
import PIL.Image
import pytest

from lkcfuse.errors import InputError
from lkcfuse.images.palettes import load_palette
from lkcfuse.images.palettes.known import palettes_called

JET = palettes_called("jet")[0]
TABLE = np.rint(JET.colours).astype(int)


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            PIL.Image.fromarray(content.astype(np.uint8)).save(path)
        return path

    return write


def assert_is_jet(palette):
    assert np.abs(palette.colours - JET.colours).max() <= 6


def rows(separator=",", scale=1.0, index=False):
    return "\n".join(
        separator.join(
            ([str(number)] if index else []) + [f"{value * scale:g}" for value in colour]
        )
        for number, colour in enumerate(TABLE.tolist())
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", rows()),
        ("b.csv", "\ufeffred;green;blue\n" + rows(";")),
        ("c.csv", "level,r,g,b\n" + rows(index=True)),
        ("d.txt", rows(" ", scale=1 / 255)),
        ("e.txt", rows("\t") + "\n\n"),
        ("f.json", json.dumps(TABLE.tolist())),
        ("g.JSON", json.dumps([f"#{bytes(colour.tolist()).hex()}" for colour in TABLE])),
    ],
)
def test_tables(write, name, text):
    assert_is_jet(load_palette(write(name, text)))


def test_a_lying_bar_is_hot_on_the_right_and_an_upright_one_at_the_top(write):
    lying = np.repeat(TABLE[None], 20, axis=0)
    assert_is_jet(load_palette(write("lying.png", lying)))
    upright = np.repeat(TABLE[::-1, None], 20, axis=1)
    assert_is_jet(load_palette(write("upright.png", upright)))


def test_a_bar_with_a_frame(write):
    framed = np.repeat(TABLE[None], 20, axis=0)
    framed[:1] = framed[-1:] = 255
    framed[:4, ::32] = 0
    assert_is_jet(load_palette(write("framed.png", framed)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "1,2\n3,4\n", "row 1 is not a colour"),
        ("b.csv", "0,0,0\n1,two,3\n", "row 2 has a word in it"),
        ("c.csv", "r,g,b\n0,0,0\n", "has 1 colours"),
        ("d.csv", "0,0,0\n0,0,300\n", "beyond 0 and 255"),
        ("e.csv", "0,0,0\n0,0,nan\n", "beyond 0 and 255"),
        ("f.csv", b"\xff\xfe\x00", "not a text file in UTF-8"),
        ("g.csv", "", "has 0 colours"),
        ("h.json", "{", "is not JSON"),
        ("i.json", "{}", "is not a list"),
        ("j.json", '[[0, 0, 0], "red"]', "row 2 is not a colour"),
        ("k.json", "[[0, 0, 0], [0, 0, true]]", "row 2 is not a colour"),
        ("l.png", np.zeros((4, 60, 3)), "is grey"),
        ("m.png", np.full((4, 60, 3), (9, 8, 7)), "has one colour everywhere"),
        (
            "n.png",
            np.random.default_rng(1).integers(0, 256, (40, 60, 3)),
            "is not a picture of a colour bar",
        ),
    ],
)
def test_other_files_are_refused_in_one_line(write, name, content, message):
    path = write(name, content)
    with pytest.raises(InputError) as caught:
        load_palette(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"bar\.png does not exist"):
        load_palette(tmp_path / "bar.png")
    with pytest.raises(InputError, match=r"bar\.csv cannot be read: No such file"):
        load_palette(tmp_path / "bar.csv")
