from __future__ import annotations

import pytest

from lkcfuse.errors import InputError, UsageError
from lkcfuse.metrics.cases import FusedPair, plan_batch, plan_paths
from lkcfuse.metrics.naming import Naming


@pytest.fixture
def folder(tmp_path):
    """Make a folder of empty files, and return it."""

    def make(name, *files):
        place = tmp_path / name
        for file in files:
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).touch()
        return place

    return make


@pytest.fixture
def sources(folder):
    return folder("ir", "1.png", "day/2.png"), folder("vis", "1.jpg", "day/2.png")


def fused_of(plan, method):
    return {case.name: case.fused[method].name for case in plan.cases}


@pytest.mark.parametrize("pattern", ["{}={}_CBF", "{}_CBF={}", "{}={}={}_CBF"])
def test_fused_images_of_other_names(sources, folder, pattern):
    flat = folder("flat", "1_CBF.png", "1_CNN.png", "day/2_CBF.png", "day/2_CNN.png")
    plan = plan_paths(*sources, [flat], None, Naming(pattern))
    assert fused_of(plan, "flat") == {"1": "1_CBF.png", "day/2": "2_CBF.png"}
    assert plan.notes == ()


def test_a_folder_that_a_pattern_does_not_fit_is_taken_by_its_stems(sources, folder):
    ours = folder("ours", "1.png", "day/2.png")
    theirs = folder("theirs", "1_out.png", "day/2_out.png")
    plan = plan_paths(*sources, [ours, theirs], None, Naming("{}={}_out"))
    assert fused_of(plan, "ours") == {"1": "1.png", "day/2": "2.png"}
    assert fused_of(plan, "theirs") == {"1": "1_out.png", "day/2": "2_out.png"}


def test_sources_of_other_names(folder):
    ir, vis = folder("a", "ir_1.png", "ir_2.png"), folder("b", "vis_1.png", "vis_2.png")
    batch = folder("batch", "ir_1.png", "ir_2.png")
    plan = plan_paths(ir, vis, [batch], None, Naming("ir_{}=vis_{}"))
    assert [(c.first.name, c.second.name) for c in plan.cases] == [
        ("ir_1.png", "vis_1.png"),
        ("ir_2.png", "vis_2.png"),
    ]
    assert fused_of(plan, "batch") == {"ir_1": "ir_1.png", "ir_2": "ir_2.png"}
    theirs = folder("theirs", "1.bmp", "2.bmp")
    plan = plan_paths(ir, vis, [theirs], None, Naming("ir_{}=vis_{}={}"))
    assert fused_of(plan, "theirs") == {"ir_1": "1.bmp", "ir_2": "2.bmp"}


def test_sources_of_one_folder_with_the_modality_between(folder):
    both = folder("all", "s0/lwir/1.png", "s0/visible/1.png", "s1/lwir/1.png", "s1/visible/1.png")
    theirs = folder("theirs", "s0/1_f.png", "s1/1_f.png")
    pattern = "{}/lwir/{}={}/visible/{}={}/{}_f"
    plan = plan_paths(both, both, [theirs], None, Naming(pattern))
    assert [(c.first, c.second, c.fused["theirs"]) for c in plan.cases] == [
        (both / s / "lwir/1.png", both / s / "visible/1.png", theirs / s / "1_f.png")
        for s in ("s0", "s1")
    ]
    with pytest.raises(UsageError, match="with themselves"):
        plan_paths(both, both, [theirs], None, Naming("{}={}"))


def test_a_pattern_that_fits_nothing(sources, folder):
    theirs = folder("theirs", "1_out.png")
    with pytest.raises(InputError, match=r"'1_out' where a pair is called '1'.*--match"):
        plan_paths(*sources, [theirs], None)
    with pytest.raises(InputError, match=r"by the pattern or by their stems, .*'1_out'"):
        plan_paths(*sources, [theirs], None, Naming("{}={}_CBF"))
    with pytest.raises(UsageError, match="three for two sources and the fused"):
        plan_paths(*sources, [theirs], None, Naming("{}={}={}={}"))
    with pytest.raises(InputError, match=r"1_CBF\.png and .*1_CNN\.png both have '1'"):
        plan_paths(*sources, [folder("flat", "1_CBF.png", "1_CNN.png")], None, Naming("{}={}_*"))


def test_single_files_have_no_pattern(sources):
    ir, vis = sources
    with pytest.raises(UsageError, match="single files"):
        plan_paths(ir / "1.png", vis / "1.jpg", [ir / "day/2.png"], None, Naming("{}={}_CBF"))


def test_of_two_files_of_one_stem_one_is_preferred(folder):
    ir, vis = folder("ir", "1.jpg", "1.tif"), folder("vis", "1.png")
    ours = folder("ours", "1.png", "1.tif")
    (case,) = plan_paths(ir, vis, [ours], None, Naming(prefer="tiff")).cases
    assert (case.first.name, case.fused["ours"].name) == ("1.tif", "1.tif")


def test_another_method_beside_a_batch(sources, folder):
    ir, vis = sources
    ours = folder("fused", "1.png")
    theirs = folder("theirs", "1_CBF.png", "9_CBF.png")
    pairs = [FusedPair("1", ir / "1.png", vis / "1.jpg", ours / "1.png")]
    plan = plan_batch(pairs, [ours, theirs], None, naming=Naming("{}={}_CBF"))
    assert plan.cases[0].fused == {"fused": ours / "1.png", "theirs": theirs / "1_CBF.png"}
