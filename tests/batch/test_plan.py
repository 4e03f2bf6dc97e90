from __future__ import annotations

import os

import pytest

from lkcfuse.batch import Listed, plan_folders, plan_list
from lkcfuse.errors import InputError, UsageError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_outputs_are_called_as_the_first_folder_s_files(tmp_path):
    a = touch(tmp_path / "a", "day/ir_1.v2.jpg", "ir_2.png")
    b = touch(tmp_path / "b", "day/vis_1.v2.png", "vis_2.bmp", "odd.png")
    plan = plan_folders(a, b, tmp_path / "out", pattern="ir_{}=vis_{}", format="tif")
    assert [(p.name, p.output) for p in plan.pairs] == [
        ("day/ir_1.v2", tmp_path / "out" / "day" / "ir_1.v2.tif"),
        ("ir_2", tmp_path / "out" / "ir_2.tif"),
    ]
    assert plan.only_second == (b / "odd.png",)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["a", "a/sub", "b", "link/sub"])
def test_an_output_inside_an_input_is_refused(tmp_path, place):
    a, b = touch(tmp_path / "a", "1.png"), touch(tmp_path / "b", "1.png")
    (tmp_path / "link").symlink_to(b)
    with pytest.raises(UsageError, match="inside the input folder"):
        plan_folders(a, b, tmp_path / place)


def test_the_same_folder_twice_is_refused_unless_a_pattern_tells_its_files_apart(tmp_path):
    a = touch(tmp_path / "a", "ir_1.png", "vis_1.png")
    (tmp_path / "again").symlink_to(a)
    with pytest.raises(UsageError, match="same folder"):
        plan_folders(a, tmp_path / "again", tmp_path / "out")
    (pair,) = plan_folders(a, a, tmp_path / "out", pattern="ir_{}=vis_{}").pairs
    assert (pair.first.name, pair.second.name) == ("ir_1.png", "vis_1.png")
    with pytest.raises(UsageError, match="same file"):
        plan_folders(a, a, tmp_path / "out", pattern="{}={}")


def test_folders_without_a_pair(tmp_path):
    a, b = touch(tmp_path / "a", "1.png"), touch(tmp_path / "b", "2.png")
    with pytest.raises(InputError, match=r"hold no pair: .*--match"):
        plan_folders(a, b, tmp_path / "out")
    with pytest.raises(InputError, match="no names fit the pattern"):
        plan_folders(a, b, tmp_path / "out", pattern="x{}=y{}")


def test_shards_share_the_pairs(tmp_path):
    names = [f"{number}.png" for number in range(10)]
    plan = plan_folders(
        touch(tmp_path / "a", *names), touch(tmp_path / "b", *names), tmp_path / "o"
    )
    parts = [plan.part(k, 3) for k in (1, 2, 3)]
    assert sorted(len(part.pairs) for part in parts) == [3, 3, 4]
    assert {p for part in parts for p in part.pairs} == set(plan.pairs)
    assert parts[1].shard == (2, 3)
    assert plan.part(12, 12).pairs == ()
    for wrong in ((0, 3), (4, 3), (1, 0)):
        with pytest.raises(UsageError, match="shard"):
            plan.part(*wrong)


def names(listed, folder, **options):
    return [pair.name for pair in plan_list(listed, folder, **options).pairs]


def test_names_of_listed_pairs(tmp_path):
    pair = Listed("ir/day/1.png", "vis/1.png")
    assert names([pair], tmp_path / "o") == ["1"]
    folders = (tmp_path / "in", tmp_path / "in")
    assert names([pair], tmp_path / "o", folders=folders) == ["ir/day/1"]
    outside = Listed("../else/1.png", "vis/1.png")
    assert names([outside], tmp_path / "o", folders=folders) == ["1"]
    named = Listed("1.png", "2.png", "sub/new.v2")
    assert names([named], tmp_path / "o") == ["sub/new.v2"]
    assert names([Listed("1.png", "2.png", "new.png")], tmp_path / "o") == ["new"]


def test_two_pairs_that_would_write_one_file(tmp_path):
    listed = [Listed("day/1.png", "a.png"), Listed("night/1.png", "b.png")]
    with pytest.raises(UsageError, match=r"day/1\.png and night/1\.png .*1\.png.*third column"):
        plan_list(listed, tmp_path)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", ".hidden", "a/.lkcfuse/run", "."])
def test_names_that_lead_astray(tmp_path, name):
    with pytest.raises(UsageError, match="cannot be called"):
        plan_list([Listed("1.png", "2.png", name)], tmp_path)


def test_a_source_is_never_an_output(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "1.png", "2.png"))
    with pytest.raises(UsageError, match=r"1\.png is a source"):
        plan_list([Listed("1.png", "2.png")], tmp_path)


def sources_of(listed, folder, **options):
    (pair,) = plan_list([listed], folder / "out", **options).pairs
    return pair.first, pair.second, pair.name


def test_backslashes_and_homes_in_lists(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folders = (tmp_path / "a", tmp_path / "b")
    windows = Listed("day\\1.png", "day\\1.jpg", "x\\one")
    expected = (tmp_path / "a" / "day" / "1.png", tmp_path / "b" / "day" / "1.jpg", "x/one")
    assert sources_of(windows, tmp_path, folders=folders) == expected
    unnamed = Listed("day\\1.png", "day\\1.jpg")
    assert sources_of(unnamed, tmp_path, folders=folders)[2] == "day/1"
    at_home = Listed("~/ir/1.png", "~\\vis\\1.png")
    home = tmp_path / "home"
    assert sources_of(at_home, tmp_path) == (home / "ir" / "1.png", home / "vis" / "1.png", "1")


@pytest.mark.skipif(os.name != "posix", reason="a backslash is no letter elsewhere")
def test_a_file_whose_name_has_a_backslash_or_a_tilde(tmp_path):
    touch(tmp_path / "a", "x\\1.png", "~/2.png")
    folders = (tmp_path / "a", tmp_path / "b")
    odd = Listed("x\\1.png", "1.png", "one")
    assert sources_of(odd, tmp_path, folders=folders)[0] == tmp_path / "a" / "x\\1.png"
    assert sources_of(Listed("x\\1.png", "1.png"), tmp_path, folders=folders)[2] == "x\\1"
    odd = Listed("~/2.png", "2.png", "two")
    assert sources_of(odd, tmp_path, folders=folders)[0] == tmp_path / "a" / "~" / "2.png"


@pytest.mark.parametrize("word", [".", "..", "/", "a/..", "a/", "\\", "~/"])
def test_listed_folders_are_refused(tmp_path, word):
    for listed in (Listed(word, "1.png"), Listed("1.png", word)):
        with pytest.raises(InputError, match="in the list is a folder"):
            plan_list([listed], tmp_path)


def test_nothing_listed(tmp_path):
    with pytest.raises(InputError, match="the list is empty"):
        plan_list([], tmp_path)
