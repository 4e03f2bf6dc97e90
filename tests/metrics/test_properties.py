"""What holds for every metric, whatever the images."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lkcfuse import metrics
from lkcfuse.errors import InputError, UsageError
from lkcfuse.metrics import METRICS, Needs, Plane, evaluate, select

LEVELS = st.integers(0, 255)


@st.composite
def triples(draw):
    """Draw three images of one size, from 1x1 up, of few or many levels, flat ones included."""
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    values = draw(st.sampled_from([st.just(0), st.just(255), st.sampled_from([0, 200]), LEVELS]))
    return tuple(draw(arrays(np.uint8, shape, elements=values | LEVELS)) for _ in range(3))


@settings(max_examples=150, deadline=None)
@given(triples())
def test_never_a_warning_nor_a_value_out_of_range(images):
    f, a, b = images
    values = evaluate(f, a, b, reference=a)
    assert list(values) == list(METRICS)
    for name, value in values.items():
        low, high = BOUNDS[name]
        assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9, name


BOUNDS = {
    "EN": (0, 8),
    "SD": (0, 127.5),
    "SF": (0, 255 * math.sqrt(2)),
    "AG": (0, 255),
    "MI": (0, 2 * math.log(256)),
    "SCD": (-2, 2),
    "CC": (-1, 1),
    "MSE": (0, 255**2),
    "PSNR": (-math.inf, math.inf),
    "SSIM": (-2, 2),
    "VIF": (0, math.inf),
    "Qabf": (0, 1),
    "NMI": (0, 2),
    "FMI": (-2, 3),  # see its docstring: phi beyond 1
    "Nabf": (0, 1),
    "MS-SSIM": (0, 2),
    "Qcb": (0, 1),
    "Qcv": (0, math.inf),
    "Qs": (-1, 1),
    "Qw": (-1, 1),
    "Qe": (-1, 1),
    "MEF-SSIM": (0, 1),
    "GT_PSNR": (0, math.inf),
    "GT_SSIM": (-1, 1),
    "GT_MS-SSIM": (0, 1),
    "GT_MAE": (0, 255),
}


@settings(max_examples=50, deadline=None)
@given(triples())
def test_the_order_of_the_sources_does_not_matter(images):
    f, a, b = images
    one, other = evaluate(f, a, b), evaluate(f, b, a)
    for name, value in one.items():
        assert value == pytest.approx(other[name], rel=1e-9, abs=1e-9, nan_ok=True), name


# Which metrics are undefined for which images.
BLACK, GREY, NOISE = (
    np.zeros((180, 180)),
    np.full((180, 180), 90.1),
    np.random.default_rng(0).uniform(0, 255, (180, 180)),
)


@pytest.mark.parametrize(
    ("images", "undefined"),
    [
        ((NOISE, NOISE, NOISE[::-1]), {"SCD"}),  # a copy of one source: F - A is 0
        ((NOISE, GREY, NOISE[::-1]), {"SCD", "CC"}),
        ((GREY, NOISE, NOISE[::-1]), {"CC"}),
        ((GREY, GREY, GREY), {"SCD", "CC", "NMI", "Qw", "Qe"}),
        ((BLACK, NOISE, NOISE[::-1]), {"CC", "PSNR"}),
        (
            (BLACK, BLACK, BLACK),
            {"SCD", "CC", "NMI", "PSNR", "Qabf", "Qcv", "Qw", "Qe"},
        ),
        (
            (np.eye(6), np.eye(6)[::-1], np.ones((6, 6)) - np.eye(6)),
            {"SSIM", "VIF", "MS-SSIM", "Qs", "Qw", "Qe", "MEF-SSIM"},
        ),
        (
            ([[1]], [[2]], [[3]]),
            {"SF", "AG", "SCD", "CC", "SSIM", "VIF", "NMI", "FMI", "MS-SSIM", "Qabf", "Qcv"}
            | {"Qs", "Qw", "Qe", "MEF-SSIM"},
        ),
    ],
)
def test_undefined_values(images, undefined):
    values = evaluate(*images)
    assert {name for name, value in values.items() if math.isnan(value)} == undefined


def test_vif_of_sources_without_variance_is_one_each():
    assert evaluate(NOISE, GREY, BLACK, ["VIF"]) == {"VIF": 2.0}


def test_vif_leaves_out_scales_that_do_not_fit():
    small = NOISE[:17, :17]
    assert evaluate(small, small, small, ["VIF"])["VIF"] == pytest.approx(2.0)


def test_psnr_of_equal_images_is_infinite():
    assert evaluate(NOISE, NOISE, NOISE, ["PSNR"]) == {"PSNR": math.inf}


@pytest.mark.parametrize(
    "module",
    [
        "artefacts",
        "correlation",
        "edges",
        "feature_information",
        "multiscale",
        "pixelwise",
        "plane",
        "structural",
        "visual_information",
    ],
)
def test_cutting_into_strips_changes_nothing(module, monkeypatch):
    rng = np.random.default_rng(1)
    images = [rng.uniform(0, 255, (331, 177)) for _ in range(3)]
    strips = list(metrics.plane.strips(331, 177))
    assert len(strips) > 1
    cut = evaluate(*images)
    monkeypatch.setattr(
        f"lkcfuse.metrics.{module}.strips", lambda height, width, **_: [slice(0, height)]
    )
    assert evaluate(*images) == pytest.approx(cut, rel=1e-12)


@pytest.fixture(scope="module")
def plain():
    path = Path(__file__).parents[2] / "benchmarks" / "metrics.py"
    spec = importlib.util.spec_from_file_location("plain_metrics", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("size", [(201, 333), (97, 1030)])
def test_equals_plain_scipy_and_scikit_image(plain, size):
    height, width = size
    f, a, b = plain.scene(width, height, seed=4)
    expected = {name: function(f, a, b) for name, function in plain.PLAIN.items()}
    assert evaluate(f, a, b, expected) == pytest.approx(expected, rel=1e-9)


def test_takes_any_real_type_and_gives_the_same():
    levels = np.random.default_rng(2).integers(0, 256, (3, 30, 40))
    expected = evaluate(*levels.astype(np.float64))
    for dtype in (np.uint8, np.uint16, np.int64, np.float32):
        np.testing.assert_equal(evaluate(*levels.astype(dtype)), expected)
    turned = np.asfortranarray(levels.transpose(1, 2, 0))
    np.testing.assert_equal(evaluate(*(turned[..., i] for i in range(3))), expected)


def test_does_not_touch_its_arguments():
    images = [np.random.default_rng(i).uniform(0, 255, (180, 180)) for i in range(3)]
    copies = [image.copy() for image in images]
    evaluate(*images)
    np.testing.assert_array_equal(images, copies)


def test_planes_serve_several_methods():
    a, b = Plane(NOISE), Plane(NOISE[::-1])
    for fused in ((NOISE + NOISE[::-1]) / 2, np.maximum(NOISE, NOISE[::-1])):
        assert evaluate(fused, a, b) == evaluate(fused, NOISE, NOISE[::-1])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3)), "one luma plane"),
        (np.zeros((0, 4)), "one luma plane"),
        (np.zeros((4, 4), complex), "complex128"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.full((4, 4), np.inf), "not finite"),
        (np.zeros((4, 5)), "is 5x4 but"),
    ],
)
def test_unfit_images_are_named(image, message):
    with pytest.raises(InputError, match=message):
        evaluate(np.zeros((4, 4)), np.zeros((4, 4)), image)


def test_select():
    assert [m.name for m in select(["ssim", "Qabf", "SSIM"])] == ["SSIM", "Qabf"]
    assert all(m.needs is not Needs.REFERENCE for m in select())
    assert len(select(reference=True)) == len(METRICS)
    assert "MEF-SSIM" in {m.name for m in select(task="mef")}
    assert "MEF-SSIM" not in {m.name for m in select(task="ir-vis")}
    assert [m.name for m in select(["MEF-SSIM"], task="ir-vis")] == ["MEF-SSIM"]
    with pytest.raises(UsageError, match="no metric is called 'LPIPS'"):
        select(["LPIPS"])
    with pytest.raises(UsageError, match="ground truth"):
        select(["GT_PSNR"])


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_what_it_is(name):
    metric = METRICS[name]
    assert f"({name})" in metric.summary
    assert f"{name} = " in metric.formula
    assert metric.range
    assert metric.source
    direction = "higher" if metric.higher_is_better else "lower"
    assert f"{direction} is better." in metric.function.__doc__


def test_the_documentation_lists_every_metric():
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 6]
    cells = {
        name: row for row in rows for name in METRICS if name in row[1].replace(",", " ").split()
    }
    for name, metric in METRICS.items():
        _, _, needs, better, _, verified, _ = (cell.strip() for cell in cells[name])
        assert needs == {"reference": "ground truth"}.get(metric.needs.value, metric.needs.value)
        assert better.startswith("higher" if metric.higher_is_better else "lower"), name
        assert better.endswith("*") is not metric.ranks, name
        assert (verified == "yes") is metric.verified, name


def test_the_benchmark_runs_and_agrees():
    path = Path(__file__).parents[2] / "benchmarks" / "metrics.py"
    words = ["--size", "97x64", "--images", "1", "--repeats", "1", "--json"]
    done = subprocess.run([sys.executable, path, *words], capture_output=True, check=True)
    assert json.loads(done.stdout)["largest_difference"] < 1e-9


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 5), 65535, np.uint16), "levels up to 65535"),
        (np.linspace(0, 1, 20).reshape(4, 5), "multiply by 255"),
    ],
)
def test_images_on_another_scale_get_no_scores(image, message):
    level = np.zeros((4, 5), np.uint8)
    with pytest.raises(InputError, match=message):
        evaluate(level, image, level)
    assert evaluate(level, level + 1, level, ["MSE"]) == {"MSE": 0.5}
