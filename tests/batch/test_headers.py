from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from lkcfuse.batch import plan_folders, plan_list
from lkcfuse.batch.headers import alike, check_files
from lkcfuse.batch.plan import Listed
from lkcfuse.pairs import PairOptions


@pytest.fixture
def folders(tmp_path):
    """Make 8 pairs of one size in two folders."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(8):
            save(tmp_path / folder / f"{number}.png", 6, 7)
    return tmp_path / "a", tmp_path / "b"


def save(path, height, width):
    PIL.Image.fromarray(np.zeros((height, width), np.uint8)).save(path)


def test_nothing_is_wrong_with_pairs_of_one_size(folders, tmp_path):
    seen = []
    plan = plan_folders(*folders, tmp_path / "out")
    assert check_files(plan, PairOptions(), progress=lambda *done: seen.append(done)) == []
    assert seen == [(8, 8)]


def test_what_is_wrong_is_found_in_order_and_told_by_kind(folders, tmp_path):
    a, b = folders
    for number in (5, 1, 3):
        save(b / f"{number}.png", 9, 10 + number)
    (a / "2.png").write_bytes(b"")
    (a / "7.png").write_text("hello")
    troubles = check_files(plan_folders(a, b, tmp_path / "out"), PairOptions())
    assert [trouble.pair.name for trouble in troubles] == ["1", "2", "3", "5", "7"]
    groups = [[trouble.pair.name for trouble in group] for group in alike(troubles)]
    assert groups == [["1", "3", "5"], ["2"], ["7"]]
    resized = check_files(plan_folders(a, b, tmp_path / "out"), PairOptions(resize="first"))
    assert [trouble.pair.name for trouble in resized] == ["2", "7"]


def test_listed_files_that_are_not_there(folders, tmp_path):
    a, b = folders
    listed = [Listed(f"{number}.png", f"no{number}.png") for number in range(8)]
    troubles = check_files(plan_list(listed, tmp_path / "out", folders=(a, b)), PairOptions())
    assert len(troubles) == 8
    assert f"{b / 'no0.png'} does not exist" in troubles[0].message
    assert len(list(alike(troubles))) == 1


def test_sizes_that_the_output_s_format_cannot_hold(tmp_path):
    for name in ("a.png", "b.png"):
        save(tmp_path / name, 1, 16384)
    listed = [Listed(str(tmp_path / "a.png"), str(tmp_path / "b.png"))]
    assert check_files(plan_list(listed, tmp_path / "o"), PairOptions()) == []
    (trouble,) = check_files(plan_list(listed, tmp_path / "o", format="webp"), PairOptions())
    assert "16383" in trouble.message
