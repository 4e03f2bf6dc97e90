from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from lkcfuse.errors import InputError, UsageError
from lkcfuse.pairs.listing import list_images, scan_folder
from lkcfuse.pairs.pairing import match_stems


@pytest.fixture
def tree(tmp_path):
    """Make empty files at paths below a folder, and return the folder."""

    def make(name, *paths):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
        return folder

    return make


def test_pairs_whatever_the_extensions_with_sub_folders_kept(tree):
    a = tree("a", "1.png", "day/1.JPG", "day/2.tiff", "night/7.bmp")
    b = tree("b", "1.webp", "day/1.png", "day/2.png", "dusk/7.bmp")
    found = match_stems(a, b)
    assert [(p.stem, p.first, p.second) for p in found.pairs] == [
        ("1", a / "1.png", b / "1.webp"),
        ("day/1", a / "day/1.JPG", b / "day/1.png"),
        ("day/2", a / "day/2.tiff", b / "day/2.png"),
    ]
    assert found.only_first == (a / "night/7.bmp",)
    assert found.only_second == (b / "dusk/7.bmp",)


def test_numbers_are_sorted_by_value_and_folders_one_by_one(tree):
    folder = tree("a", "10.png", "2.png", "1.png", "a/3.png", "a b/1.png", "x10y2.png", "x9y11.png")
    assert list(list_images(folder)) == ["1", "2", "10", "a/3", "a b/1", "x9y11", "x10y2"]


def test_a_stem_is_all_but_the_last_suffix(tree):
    assert list(list_images(tree("a", "scan.v2.png", "scan.v1.png"))) == ["scan.v1", "scan.v2"]


def test_hidden_and_other_files_are_passed_over(tree):
    folder = tree(
        "a", "1.png", ".1.png", ".lkcfuse/2.png", "notes.txt", "1.txt", "1.json", "Thumbs.db", "png"
    )
    assert list_images(folder) == {"1": folder / "1.png"}


@pytest.mark.parametrize("which", ["a", "b"])
def test_two_files_of_one_stem_are_an_error_that_names_both(tree, which):
    tree("a", "x/1.png")
    tree("b", "x/1.png")
    folder = tree(which, "x/1.jpg")
    with pytest.raises(InputError) as caught:
        match_stems(folder.parent / "a", folder.parent / "b")
    for path in ("x/1.png", "x/1.jpg"):
        assert str(folder / path) in str(caught.value)


def test_composed_and_decomposed_names_are_one(tree):
    a, b = tree("a", "caf\u00e9.png"), tree("b", "cafe\u0301.png")
    (pair,) = match_stems(a, b).pairs
    assert (pair.first, pair.second) == (a / "caf\u00e9.png", b / "cafe\u0301.png")


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes there alone")
def test_names_that_are_no_text(tmp_path):
    name = os.fsdecode(b"\xff\xfe.png")
    (tmp_path / name).touch()
    (found,) = list_images(tmp_path).values()
    assert found.name == name


def test_links_are_followed_and_loops_end(tree):
    elsewhere = tree("elsewhere", "1.png", "deep/2.png")
    folder = tree("a", "3.png")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "above").symlink_to(folder)
    (elsewhere / "deep" / "back").symlink_to(elsewhere)
    assert list(list_images(folder)) == ["3", "linked/1", "linked/deep/2"]


def test_two_links_to_one_folder_are_two_folders(tree):
    elsewhere = tree("elsewhere", "1.png")
    folder = tree("a", "3.png")
    for name in ("day", "night"):
        (folder / name).symlink_to(elsewhere)
    assert list(list_images(folder)) == ["3", "day/1", "night/1"]


def test_folders_that_cannot_be_used(tree):
    folder = tree("a", "1.png")
    with pytest.raises(InputError, match="absent does not exist"):
        list_images(folder / "absent")
    with pytest.raises(InputError, match=r"1\.png is a file: name the folder"):
        list_images(folder / "1.png")
    with pytest.raises(InputError, match=r"empty contains no images.*\.png"):
        list_images(tree("empty", "readme.md"))


@pytest.fixture
def unprivileged():
    """Act as a user whom permissions bind."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield
    if is_root:
        os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_sub_folder_that_cannot_be_read_is_named(unprivileged):
    with tempfile.TemporaryDirectory() as name:
        closed = Path(name) / "closed"
        closed.mkdir(mode=0)
        with pytest.raises(InputError, match="closed cannot be read: Permission denied"):
            list_images(Path(name))


def test_every_ambiguous_stem_is_named(tree):
    folder = tree("a", "1.png", "1.jpg", "x/2.png", "x/2.bmp", "x/2.tif", "3.png")
    with pytest.raises(InputError, match=r"the same stem, '1'.*stems 'x/2'\)$"):
        list_images(folder)


def test_a_pattern_pairs_names_that_differ(tree):
    a = tree("a", "ir_1.png", "day/ir_1.png", "day/ir_.png", "other.png")
    b = tree("b", "vis_1.jpg", "day/vis_1.png", "vis_2.png")
    found = match_stems(a, b, pattern="ir_{}=vis_{}")
    assert [(p.stem, p.first, p.second) for p in found.pairs] == [
        ("day/ir_1", a / "day/ir_1.png", b / "day/vis_1.png"),
        ("ir_1", a / "ir_1.png", b / "vis_1.jpg"),
    ]
    assert set(found.only_first) == {a / "day/ir_.png", a / "other.png"}
    assert found.only_second == (b / "vis_2.png",)


def test_a_pattern_with_folders_stands_for_the_whole_stem(tree):
    a = tree("a", "ir/1.png", "ir/deep/2.png", "vis/1.png", "3.png", "vis/deep/2.png", "vis/9.png")
    found = match_stems(a, a, pattern="ir/{}=vis/{}")
    assert [(p.stem, p.second) for p in found.pairs] == [
        ("ir/1", a / "vis/1.png"),
        ("ir/deep/2", a / "vis/deep/2.png"),
    ]
    assert found.only_first == (a / "3.png", a / "vis/9.png")
    assert found.only_second == ()


def test_the_fixed_parts_of_a_pattern_do_not_overlap(tree):
    a, b = tree("a", "aba.png", "abxba.png"), tree("b", "x.png", "a.png")
    assert [p.stem for p in match_stems(a, b, pattern="ab{}ba={}").pairs] == ["abxba"]


def test_stars_stand_for_what_names_do_not_share(tree):
    """A camera stamps the time, which differs by a second, and then counts."""
    shots = ("101010_0001", "101014_0002", "101018_0003"), ("101010_0001", "101013_0002")
    paths = [f"CAM_{shot}_{side}.JPG" for side, these in zip("TV", shots, strict=True)
             for shot in these]  # fmt: skip
    folder = tree("a", *paths)
    found = match_stems(folder, folder, pattern="CAM_*_{}_T=CAM_*_{}_V")
    assert [(p.stem, p.second.name) for p in found.pairs] == [
        ("CAM_101010_0001_T", "CAM_101010_0001_V.JPG"),
        ("CAM_101014_0002_T", "CAM_101013_0002_V.JPG"),
    ]
    assert found.only_first == (folder / "CAM_101018_0003_T.JPG",)


def test_a_star_ends_at_a_folder(tree):
    a, b = tree("a", "x/y/1.png", "x/2.png"), tree("b", "1.png", "2.png")
    assert [p.stem for p in match_stems(a, b, pattern="x/{}={}").pairs] == ["x/2"]
    found = match_stems(a, tree("c", "1.png", "2.png", "y/1.png"), pattern="*/{}={}")
    assert [p.stem for p in found.pairs] == ["x/2", "x/y/1"]


def test_two_placeholders_with_a_folder_between(tree):
    frames = ("set00/V000/{}/I1.jpg", "set00/V000/{}/I2.jpg", "set01/V000/{}/I1.jpg")
    folder = tree("a", *(frame.format(side) for side in ("lwir", "visible") for frame in frames))
    found = match_stems(folder, folder, pattern="{}/lwir/{}={}/visible/{}")
    assert [(p.first, p.second) for p in found.pairs] == [
        (folder / frame.format("lwir"), folder / frame.format("visible")) for frame in frames
    ]
    assert found.only_first == found.only_second == ()


def test_a_pattern_that_fits_several_files_alike_is_refused(tree):
    a, b = tree("a", "ir_1_x.png", "ir_1_y.png"), tree("b", "vis_1.png")
    with pytest.raises(InputError, match=r"ir_1_x\.png and .*ir_1_y\.png both have '1' in place"):
        match_stems(a, b, pattern="ir_{}_*=vis_{}")


def test_a_pattern_that_pairs_nothing_says_why(tree):
    a, b = tree("a", "IR_3210.png"), tree("b", "DC_3211.png")
    found = match_stems(a, b, pattern="IR_{}=DC_{}")
    assert found.pairs == ()
    assert "but no two have the same in place of {}" in found.reason
    assert "'3210' in 'IR_3210', and '3211' in 'DC_3211'" in found.reason
    found = match_stems(a, b, pattern="IR_{}=RGB_{}")
    assert f"'RGB_{{}}' fits none in {b}, where one is 'DC_3211'" in found.reason


def test_names_that_differ_by_case_or_leading_zeros_get_a_hint(tree):
    a = tree("a", "parkGate.png", "1.png", "day/a07.png", "same.png", "odd.png")
    b = tree("b", "parkgate.png", "0001.png", "day/a7.png", "same.png", "10.png")
    found = match_stems(a, b)
    assert [p.stem for p in found.pairs] == ["same"]
    (note,) = found.notes
    assert "1.png and" in note
    assert "and of 2 more, differ only in upper and lower case or leading zeros" in note
    found = match_stems(tree("c", "ir_1.png"), tree("d", "VIS_001.png"), pattern="ir_{}=VIS_{}")
    assert found.pairs == ()
    assert "leading zeros" in found.reason
    assert match_stems(a, a).notes == ()


def test_what_is_skipped_in_a_folder_is_counted(tree):
    a = tree("a", "1.png", "Thumbs.db", "clip.mp4", "clip2.MP4", "README", ".hidden", ".x/1.doc")
    b = tree("b", "1.jfif")
    found = match_stems(a, b)
    assert [p.second for p in found.pairs] == [b / "1.jfif"]
    assert found.notes == (f"skipped in {a}: 4 files by their suffix (.mp4, none, .db)",)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_pipes_are_skipped_and_links_to_nothing_are_not(tree):
    folder = tree("a", "1.png")
    os.mkfifo(folder / "2.png")
    (folder / "3.png").symlink_to(folder / "absent")
    listing = scan_folder(folder)
    assert list(listing.images) == ["1", "3"]
    assert listing.skipped.describe() == "1 file that is not a regular file"


def test_prefer_chooses_of_two_files_of_one_stem(tree):
    folder = tree("a", "1.jpg", "1.TIF", "2.jpg", "3.png", "3.bmp", "3.tiff")
    for prefer in ("tiff", ".tif", "TIFF"):
        listing = scan_folder(folder, prefer=prefer)
        names = [path.name for path in listing.images.values()]
        assert names == ["1.TIF", "2.jpg", "3.tiff"]
        assert listing.skipped.describe() == "3 by --prefer"
    with pytest.raises(
        InputError, match=r"3\.bmp and .*3\.png have .* --prefer bmp or --prefer png"
    ):
        scan_folder(folder, prefer="jpeg")
    with pytest.raises(UsageError, match=r"--prefer doc: .*tiff"):
        scan_folder(folder, prefer="doc")


def test_prefer_takes_the_suffix_that_is_named_before_its_format(tree):
    folder = tree("a", "1.jpg", "1.jpeg")
    assert list_images(folder, prefer="jpeg") == {"1": folder / "1.jpeg"}


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "ir_{}",
        "ir=vis",
        "{}={}={}",
        "{}{}=x{}",
        "ir_{}.png={}",
        "{}/{}={}",
        "{}/{}/{}={}/{}/{}",
        "*=*",
    ],
)
def test_patterns_that_make_no_sense(tree, pattern):
    folder = tree("a", "1.png")
    with pytest.raises(UsageError, match="the pattern"):
        match_stems(folder, folder, pattern=pattern)
