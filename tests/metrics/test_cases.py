from __future__ import annotations

import pytest

from lkcfuse.errors import InputError, UsageError
from lkcfuse.metrics.cases import FusedPair, plan_batch, plan_paths, with_baselines


@pytest.fixture
def folder(tmp_path):
    """Make a folder of empty files, and return it."""

    def make(name, *files):
        place = tmp_path / name
        place.mkdir(parents=True)
        for file in files:
            (place / file).parent.mkdir(exist_ok=True)
            (place / file).touch()
        return place

    return make


@pytest.fixture
def sources(folder):
    return folder("ir", "day/1.png", "2.png", "3.png"), folder("vis", "day/1.jpg", "2.bmp", "4.png")


def test_folders(sources, folder):
    ours, theirs = folder("ours", "day/1.png", "2.png"), folder("theirs", "2.tiff", "9.png")
    truth = folder("truth", "day/1.png")
    ir, vis = sources
    plan = plan_paths(ir, vis, [ours, theirs], truth)
    assert plan.methods == ("ours", "theirs")
    second, first = plan.cases
    assert (first.name, first.first, first.second) == ("day/1", ir / "day/1.png", vis / "day/1.jpg")
    assert first.fused == {"ours": ours / "day/1.png"}
    assert first.reference == truth / "day/1.png"
    assert second.fused == {"ours": ours / "2.png", "theirs": theirs / "2.tiff"}
    assert second.reference is None
    assert plan.notes == (
        f"no partner in {vis}: {ir / '3.png'}",
        f"no partner in {ir}: {vis / '4.png'}",
        f"{theirs} holds no fused image for 1 of 2 pairs: day/1",
        f"of no pair: {theirs / '9.png'}",
        f"{truth} holds no ground truth for 1 of 2 pairs: 2",
    )


def test_long_lists_are_cut(folder):
    ir = folder("ir", "x.png", *(f"{i}.png" for i in range(15)))
    (note,) = plan_paths(ir, folder("vis", "x.png"), [folder("ours", "x.png")], None).notes
    assert note.count(".png") == 10
    assert note.endswith(" and 5 more")


def test_single_files(folder):
    place = folder("all", "ir.png", "vis.png", "ours.png", "theirs.png", "truth.png")
    ir, vis, *fused, truth = (place / f"{n}.png" for n in ("ir", "vis", "ours", "theirs", "truth"))
    plan = plan_paths(ir, vis, fused, truth)
    (case,) = plan.cases
    assert (case.name, case.reference) == ("ir", truth)
    assert case.fused == dict(zip(("ours", "theirs"), fused, strict=True))


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("a/fused", "b/fused"), ("a/fused", "b/fused")),
        (("x/a/fused", "y/a/fused", "other"), None),
        (("ours", "theirs"), ("ours", "theirs")),
    ],
)
def test_methods_are_told_apart_by_as_much_of_their_paths_as_it_takes(
    sources, folder, tmp_path, paths, names
):
    names = names or ("x/a/fused", "y/a/fused", f"{tmp_path.name}/other")
    folders = [folder(path, "2.png") for path in paths]
    if len({len(name.split("/")) for name in names}) > 1:
        names = tuple("/".join((tmp_path / path).parts[-3:]) for path in paths)
    assert plan_paths(*sources, folders, None).methods == names


def test_files_that_differ_in_their_suffix_alone(folder):
    place = folder("all", "ir.png", "vis.png", "x.png", "x.bmp")
    fused = [place / "x.png", place / "x.bmp"]
    plan = plan_paths(place / "ir.png", place / "vis.png", fused, None)
    assert plan.methods == tuple(map(str, fused))


def test_what_cannot_be_planned(sources, folder, tmp_path):
    ir, vis = sources
    ours = folder("ours", "2.png")
    with pytest.raises(InputError, match="absent does not exist"):
        plan_paths(ir, vis, [tmp_path / "absent"], None)
    with pytest.raises(UsageError, match=r"is a folder and .*2\.png is a file"):
        plan_paths(ir, vis, [ours / "2.png"], None)
    with pytest.raises(UsageError, match="the same"):
        plan_paths(ir, vis, [ours, tmp_path / "vis" / ".." / "ours"], None)
    with pytest.raises(InputError, match="strangers holds a fused image for none of the 2 pairs"):
        plan_paths(ir, vis, [ours, folder("strangers", "7.png")], None)
    with pytest.raises(InputError, match="holds a ground truth for none of the 2 pairs"):
        plan_paths(ir, vis, [ours], folder("truth", "7.png"))
    with pytest.raises(InputError, match=r"ir and .*elsewhere hold no pair: .*with the same stem"):
        plan_paths(ir, folder("elsewhere", "7.png"), [ours], None)


def test_batch_next_to_another_method(sources, folder):
    ir, vis = sources
    ours, theirs = folder("fused", "2.png", "day/1.png"), folder("theirs", "2.png")
    pairs = [
        FusedPair("2", ir / "2.png", vis / "2.bmp", ours / "2.png"),
        FusedPair("day/1", ir / "day/1.png", vis / "day/1.jpg", ours / "day/1.png"),
    ]
    plan = plan_batch(pairs, [ours, theirs], None)
    assert plan.methods == ("fused", "theirs")
    assert [case.fused for case in plan.cases] == [
        {"fused": ours / "2.png", "theirs": theirs / "2.png"},
        {"fused": ours / "day/1.png"},
    ]
    with pytest.raises(InputError, match="no finished pairs"):
        plan_batch([], [ours], None)


def test_an_output_that_is_gone_leaves_its_pair_to_the_others(sources, folder):
    ir, vis = sources
    ours, theirs = folder("fused", "2.png"), folder("theirs", "2.png", "day/1.png")
    pairs = [
        FusedPair("2", ir / "2.png", vis / "2.bmp", ours / "2.png"),
        FusedPair("day/1", ir / "day/1.png", vis / "day/1.jpg", None),
    ]
    plan = plan_batch(pairs, [ours, theirs], None, ["a note"])
    assert [list(case.fused) for case in plan.cases] == [["fused", "theirs"], ["theirs"]]
    (first, second) = plan.notes
    assert first == "a note"
    assert f"{ours} holds no fused image for 1 of 2 pairs" in second
    with pytest.raises(InputError, match="no finished pairs"):
        plan_batch(pairs[1:], [ours, theirs], None)


def test_a_link_is_called_by_its_own_name(sources, folder, tmp_path):
    theirs = folder("run-42", "2.png")
    (tmp_path / "ours").symlink_to(theirs)
    assert plan_paths(*sources, [tmp_path / "ours"], None).methods == ("ours",)
    with pytest.raises(UsageError, match="the same"):
        plan_paths(*sources, [tmp_path / "ours", theirs], None)


def test_baselines(sources, folder):
    plan = plan_paths(*sources, [folder("ours", "2.png")], None)
    assert with_baselines(plan).methods == plan.methods == ("ours",)
    assert with_baselines(plan).baselines == ("maximum", "mean")
    plan = plan_paths(*sources, [folder("mean", "2.png")], None)
    with pytest.raises(UsageError, match="'mean'"):
        with_baselines(plan)
