from __future__ import annotations

import csv
import io
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, wilcoxon

from lkcfuse.metrics.comparison import Comparison, Made, ranks
from lkcfuse.metrics.scoring import Score
from lkcfuse.metrics.table import Table
from lkcfuse.version import __version__

UNDEFINED = math.nan


def compare(values, metric="VIF"):
    """Compare methods by one metric: {method: {pair: value}}."""
    return Comparison(
        Table.of(
            [metric],
            [
                Score(name, method, {metric: value})
                for method, by_name in values.items()
                for name, value in by_name.items()
            ],
        )
    )


def test_means_are_over_the_pairs_that_all_methods_have():
    """A method that is undefined where the others are bad does not win by it."""
    found = compare(
        {
            "ours": {"1": 0.9, "2": 0.8, "3": 0.1},
            "copy": {"1": 0.7, "2": 0.6, "3": UNDEFINED},
        }
    )
    ours, copy = (found.summaries["VIF", method] for method in ("ours", "copy"))
    assert (ours.mean, copy.mean) == (0.85, 0.65)
    assert (ours.count, ours.values) == (2, 3)
    assert (copy.count, copy.values) == (2, 2)
    assert (ours.rank, copy.rank) == (1, 2)
    assert found.missing == (
        "VIF is undefined for copy on 1 of 3 pairs: 3",
        "means and ranks are over the pairs for which every method has a value: 2 of 3",
    )


def test_a_pair_that_a_method_has_no_image_of():
    found = compare({"ours": {"a": 1.0, "b": 3.0}, "theirs": {"b": 2.0}}, "MSE")
    assert found.summaries["MSE", "ours"].mean == 3
    assert found.summaries["MSE", "ours"].rank == 2
    assert found.missing[0] == "theirs has no scores for 1 of 2 pairs: a"


def test_a_method_without_any_value_takes_no_pair_from_the_others():
    found = compare(
        {
            "ours": {"1": 0.5, "2": 0.7},
            "theirs": {"1": 0.4, "2": 0.8},
            "copy": {"1": UNDEFINED, "2": UNDEFINED},
        },
        "SCD",
    )
    assert found.summaries["SCD", "ours"].mean == pytest.approx(0.6)
    assert found.summaries["SCD", "ours"].count == 2
    copy = found.summaries["SCD", "copy"]
    assert (copy.mean, copy.rank, copy.count, copy.values) == (None, None, 0, 0)
    assert found.missing == ("SCD is undefined for copy on all its pairs, which is left out there",)


def test_what_is_undefined_for_all_says_why():
    found = compare({"ours": {"1": UNDEFINED}, "theirs": {"1": UNDEFINED}}, "MS-SSIM")
    assert found.missing[0] == (
        "MS-SSIM is undefined for all pairs: it is for images under 161 pixels in height or width"
    )
    assert found.summaries["MS-SSIM", "ours"].mean is None


def test_metrics_that_differ_in_their_pairs_are_told():
    values = {"EN": 1.0, "VIF": 1.0, "SCD": 1.0}
    scores = [Score(n, m, dict(values)) for m in ("ours", "theirs") for n in ("1", "2", "3")]
    scores[0].values["SCD"] = UNDEFINED
    assert Comparison(Table.of([*values], scores)).missing[-1].endswith("3 of 3 (SCD: 2)")


def test_ranks_are_averaged_and_ties_shared():
    found = compare(
        {"a": {"1": 3.0, "2": 1.0}, "b": {"1": 2.0, "2": 1.0}, "c": {"1": 1.0, "2": 2.0}}, "MSE"
    )
    assert [found.summaries["MSE", m].rank for m in "abc"] == [2.25, 1.75, 2.0]


def test_no_ranks_where_there_is_nothing_to_rank():
    assert compare({"ours": {"1": 1.0}}).summaries["VIF", "ours"].rank is None
    by_noise = compare({"ours": {"1": 1.0}, "theirs": {"1": 2.0}}, "EN")
    assert by_noise.summaries["EN", "ours"].rank is None


def test_median_and_csv():
    found = compare({"ours": {"1": 1.0, "2": 2.0, "3": 9.0, "4": 4.0}}, "MSE")
    assert found.to_csv().decode().splitlines() == [
        "metric,method,better,mean,std,median,count,values,rank,p,"
        "weights,weights_sha256,settings,lkcfuse,table_sha256",
        f"MSE,ours,lower,4,3.559026084,3,4,4,,,,,,{__version__},{found.table.sha256}",
    ]


def test_the_csv_can_be_read_by_its_columns():
    found = compare({"ours": {"1": 0.5}, "the,irs": {"1": 0.25}})
    rows = [*csv.DictReader(io.StringIO(found.to_csv().decode(), newline=""))]
    assert {row["method"]: row["mean"] for row in rows} == {"ours": "0.5", "the,irs": "0.25"}
    assert {row["std"] for row in rows} == {""}  # of one value there is none


def test_json():
    record = compare({"ours": {"1": 0.5, "2": UNDEFINED}}).to_record()
    assert record["rows"][1] == {"name": "2", "method": "ours", "VIF": None}
    assert record["summary"] == [
        {
            "metric": "VIF", "method": "ours", "better": "higher", "mean": 0.5, "std": None,
            "median": 0.5, "count": 1, "values": 1, "rank": None, "p": None,
        }
    ]  # fmt: skip
    assert record["missing"] == ["VIF is undefined for ours on 1 of 2 pairs: 2"]


FINITE = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@given(st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=2, max_size=8))
def test_statistics_are_those_of_the_library(rows):
    columns = {
        m: dict(enumerate(column)) for m, column in zip("abc", zip(*rows, strict=True), strict=True)
    }
    found = compare(columns)
    for method, column in columns.items():
        values, summary = [*column.values()], found.summaries["VIF", method]
        spread = max(1, *map(abs, values))
        for name, of_library in (
            ("mean", statistics.fmean), ("std", statistics.stdev), ("median", statistics.median)
        ):  # fmt: skip
            expected = of_library(values)
            assert getattr(summary, name) == pytest.approx(expected, abs=1e-8 * spread)
    assert sum(found.summaries["VIF", m].rank for m in "abc") == pytest.approx(6)


@given(st.lists(FINITE, min_size=1, max_size=8), st.booleans())
def test_ranks_are_those_of_scipy(values, higher):
    sign = -1 if higher else 1
    expected = rankdata([sign * value for value in values])
    assert ranks(values, higher_is_better=higher) == [*expected]


HUGE = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(st.lists(st.just(1.7e308) | st.just(-1.7e308) | HUGE, min_size=1, max_size=6))
def test_numbers_of_any_size_have_a_summary(values):
    summary = compare({"ours": dict(enumerate(values))}, "MSE").summaries["MSE", "ours"]
    for value in (summary.mean, summary.std, summary.median):
        assert value is None or math.isfinite(value)


def test_the_summary_of_huge_numbers():
    values = dict(enumerate((3e300, 1e300, 1e300, 3e300)))
    summary = compare({"ours": values}, "MSE").summaries["MSE", "ours"]
    assert summary.mean == pytest.approx(2e300)
    assert summary.std == pytest.approx(1e300 * math.sqrt(4 / 3))
    assert summary.median == pytest.approx(2e300)


def test_how_images_were_made_is_told():
    table = Table.of(["VIF"], [Score("1", m, {"VIF": 1.0}) for m in ("ours", "theirs")])
    made = {"ours": Made("lkcfuse-ir-vis", "c0ffee", "task ir-vis")}
    found = Comparison(table, made)
    rows = [*csv.DictReader(io.StringIO(found.to_csv().decode(), newline=""))]
    assert rows[0]["weights_sha256"] == "c0ffee"
    assert rows[0]["settings"] == "task ir-vis"
    assert rows[1]["weights"] == ""
    assert found.to_record()["made"]["ours"]["weights"] == "lkcfuse-ir-vis"


def test_tests_are_against_the_best_mean_and_corrected():
    numbers = np.random.default_rng(0)
    base = numbers.random(12)
    columns = {
        "worst": base - 0.2 - 0.01 * numbers.random(12),
        "best": base,
        "near": base + 0.1 * (numbers.random(12) - 0.8),
    }
    values = {m: dict(enumerate(map(float, column))) for m, column in columns.items()}
    table = compare(values).table
    assert all(s.p is None for s in Comparison(table).summaries.values())
    found = Comparison(table, tests=True).summaries
    assert found["VIF", "best"].p is None
    worst, near = (
        wilcoxon(columns["best"], columns[method]).pvalue for method in ("worst", "near")
    )
    assert worst < near
    assert found["VIF", "worst"].p == pytest.approx(2 * worst)
    assert found["VIF", "near"].p == pytest.approx(max(near, 2 * worst))


def test_overall_ranks_are_those_of_metrics_that_rank():
    scores = [
        Score("1", "a", {"EN": 9.0, "VIF": 1.0, "MSE": 1.0}),
        Score("1", "b", {"EN": 1.0, "VIF": 2.0, "MSE": 2.0}),
        Score("1", "c", {"EN": 1.0, "VIF": 3.0, "MSE": UNDEFINED}),
    ]
    found = Comparison(Table.of(["EN", "VIF", "MSE"], scores))
    assert found.overall_ranks == {"a": 2.0, "b": 2.0}
