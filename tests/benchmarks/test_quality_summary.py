"""Pictures add up to sets, sets to a mean, and bars are missed where they are."""

import json
import math

import numpy as np
import pytest
from quality_bars import BARS, Bar, label, missed, not_judged
from quality_picture import METRICS, Picture
from quality_report import describe, table_of_sets
from quality_summary import gains, mean_over_sets, summarize, to_json

from lkcfuse.tasks import TASKS

CHECKS = {"quarter": 1.0, "tone": -1.0, "darkening.mean": 0.5, "darkening.far_below": 0.0}


def picture(name, ours=0.0, *, checks=None, flat=(), **metrics):
    """A picture whose maximum has 1 in every metric and the result `ours` more."""
    scores = {
        "ours": {metric: 1 + metrics.get(metric, ours) for metric in METRICS},
        "maximum": dict.fromkeys(METRICS, 1.0),
        "mean": dict.fromkeys(METRICS, 0.5),
    }
    return Picture(name, scores, {**CHECKS, **(checks or {})}, np.array(flat, np.float32))


def test_a_gain_is_what_is_better_and_the_lowest_one_is_named():
    day = summarize("day", [picture("a", 0.3), picture("b", 0.1), picture("c", 0.2)])
    assert day.figures["gain.VIF"] == pytest.approx(0.2)
    assert (day.worst["gain.VIF"], day.lowest["VIF"]) == ("b", pytest.approx(0.1))
    # Of errors less is better: the most of it is the lowest gain.
    assert day.figures["gain.MSE"] == pytest.approx(-0.2)
    assert (day.worst["gain.MSE"], day.lowest["MSE"]) == ("a", pytest.approx(-0.3))


def test_a_metric_that_is_undefined_on_a_picture_leaves_that_picture_out_of_its_mean():
    odd = picture("b", SCD=math.nan, VIF=0.4)
    day = summarize("day", [picture("a", 0.2), odd])
    assert "SCD" not in gains(odd)
    assert day.figures["gain.SCD"] == pytest.approx(0.2)
    assert day.figures["gain.VIF"] == pytest.approx(0.3)
    assert (
        json.loads(json.dumps(to_json(day, [odd]), allow_nan=False))["pictures"][0]["name"] == "b"
    )
    none = summarize("day", [odd])
    assert "gain.SCD" not in none.figures
    assert any("SCD" in line and "undefined" in line for line in describe(none, TASKS["ir-vis"]))


def test_each_set_counts_once_in_the_mean_whatever_its_size():
    large = summarize("large", [picture(str(i), 0.1) for i in range(9)])
    small = summarize("small", [picture("x", 0.5, checks={"tone": -9.0, "quarter": 4.0})])
    mean = mean_over_sets([large, small])
    assert mean.pairs == 10
    assert mean.figures["gain.VIF"] == pytest.approx(0.3)
    assert mean.metrics["ours"]["VIF"] == pytest.approx(1.3)
    assert (mean.worst["gain.VIF"], mean.lowest["VIF"]) == ("large", pytest.approx(0.1))
    # A worst picture is no mean.
    assert (mean.figures["tone"], mean.figures["tone.worst"]) == (-5, -9)
    assert (mean.figures["quarter.worst"], mean.worst["quarter.worst"]) == (4, "small")


def test_detail_is_averaged_over_the_pictures_that_show_it_which_are_counted():
    seen = [picture(n, checks={"detail.first.ours": v}) for n, v in (("a", 0.2), ("b", 0.4))]
    day = summarize("day", [*seen, picture("c")])
    night = summarize("night", [picture("d")])
    assert day.figures["detail.first.ours"] == pytest.approx(0.3)
    assert day.figures["detail.first.pictures"] == 2
    mean = mean_over_sets([day, night])
    assert mean.figures["detail.first.ours"] == pytest.approx(0.3)
    assert mean.figures["detail.first.pictures"] == 2


def test_turns_are_averaged_and_the_largest_difference_is_named():
    turned = {"turn.up-down.mean": 0.2, "turn.up-down.largest": 9.0}
    turned |= {"turn.transpose.mean": 0.4, "turn.transpose.largest": 5.0}
    worse = {**turned, "turn.transpose.mean": 0.6, "turn.transpose.largest": 12.0}
    pictures = [picture("a", checks=turned), picture("b", checks=worse), picture("c")]
    day = summarize("day", pictures)
    assert day.figures["turns.mean"] == pytest.approx((0.2 + 0.5) / 2)
    assert (day.figures["turns.largest"], day.worst["turns.largest"]) == (12, "b")
    assert day.figures["turns.pictures"] == 2


def test_flat_windows_of_all_pictures_are_taken_together():
    day = summarize("day", [picture("a", flat=[0, 0, 0]), picture("b", flat=[2])])
    assert day.figures["flat.windows"] == 4
    assert (day.figures["flat.mean"], day.figures["flat.rougher"]) == (0.5, 0.25)
    assert "flat.mean" not in summarize("day", [picture("a")]).figures


def test_a_bar_is_missed_by_the_sets_that_miss_it_worst_first():
    day = summarize("day", [picture("a", 0.2, checks={"tone": -5.0})])
    night = summarize(
        "night", [picture("b", 0.2, VIF=-0.1), picture("c", 0.2, checks={"tone": -9.0})]
    )
    mean = mean_over_sets([day, night])
    lines = [str(miss) for miss in missed("ir-vis", [day, night], mean)]
    assert lines == [
        "darkest picture's mean less the maximum's, levels: at least -4 is wanted; "
        "night -9 (c), day -5 (a)"
    ]
    bad = summarize("dusk", [picture("d", 0.2, VIF=-0.3)])
    (vif, *rest) = missed("ir-vis", [bad], mean_over_sets([bad]))
    assert str(vif) == "VIF less the maximum's: more than 0 is wanted; dusk -0.3"
    assert [miss.bar for miss in rest] == [Bar("gain.VIF", least=0.05, on_mean=True)]
    assert vif.to_json()["values"] == {"dusk": pytest.approx(-0.3)}


@pytest.mark.parametrize(
    ("bar", "met", "unmet"),
    [
        (Bar("x", above=0), 1e-9, 0),
        (Bar("x", least=0.04), 0.04, 0.0399),
        (Bar("x", most=3), 3, 3.01),
        (Bar("x", least=-2, most=15), -2, -2.1),
        (Bar("x", least=-2, most=15), 15, 15.1),
    ],
)
def test_bounds(bar, met, unmet):
    assert bar.is_met(met)
    assert not bar.is_met(unmet)


def test_a_check_that_no_pair_could_show_is_not_judged_and_not_missed():
    day = summarize("day", [picture("a", 1)])
    assert not list(missed("mri-ct", [day], mean_over_sets([day])))
    assert label("detail.first.ours") in not_judged("mri-ct", [day])
    assert label("gain.SCD") not in not_judged("mri-ct", [day])


@pytest.mark.parametrize("task", BARS)
def test_every_bar_is_on_a_figure_that_people_have_a_name_for(task):
    assert all(label(bar.figure) for bar in BARS[task])


def test_the_text_names_sets_pictures_and_pairs():
    checks = {"detail.first.ours": 0.25, "detail.first.maximum": 0.1}
    day = summarize("day", [picture("noon", 0.2, checks=checks)])
    night = summarize("night", [picture("moon", 0.1)])
    text = "\n".join(describe(day, TASKS["ir-vis"]))
    assert "VIF         1.2000      1.0000      0.5000     +0.2000  +0.2000 noon" in text
    assert (
        "detail of the infrared under a brighter visible: 0.250 (maximum 0.100), on 1 of 1 pair"
        in text
    )
    assert (
        "detail of the visible under a brighter infrared: on too few pixels of every pair" in text
    )
    head, first, second, last = table_of_sets([day, night], mean_over_sets([day, night]))
    assert head.split()[:4] == ["VIF", "Qabf", "SSIM", "SCD"]
    assert first.split()[:6] == ["day", "+0.2000", "+0.2000", "+0.2000", "+0.2000", "0.250"]
    assert second.split()[5] == "-"
    assert last.startswith("mean over the sets  +0.1500".replace("  +", "  +"))
