from __future__ import annotations

import base64
import hashlib
import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from lkcfuse.images import image_from_array, write_image
from lkcfuse.report import Pair, pictures

NASTY = '</script><script>alert(1)</script> "quoted" & <b>bold</b> $title 夜 \u2028'


def decode(text):
    return PillowImage.open(io.BytesIO(base64.b64decode(text)))


def test_names_are_data_whatever_they_hold(scene, page_of):
    scene.add(NASTY, error=NASTY)
    page = page_of(scene.report(title=NASTY))
    assert page.title == NASTY
    assert page.record["title"] == NASTY
    (pair,) = page.record["pairs"]
    assert (pair["name"], pair["error"]) == (NASTY, NASTY)
    # The pictures, the data and the page's own script: nothing else is one.
    assert len(page.scripts) == 3 + 2


def test_the_page_asks_nothing_of_any_network_and_runs_nothing_but_its_own(scene, page_of):
    scene.add("1")
    page = page_of(scene.report())
    assert page.addresses
    assert all(address.startswith("#") for address in page.addresses)
    rules = dict(rule.split(" ", 1) for rule in page.policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind, text in (("script-src", page.program), ("style-src", page.style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"


def test_every_pair_has_its_pictures_and_scores(scene, page_of):
    pairs = [scene.add(name) for name in ("1", "2", "day/10")]
    page = page_of(scene.report())
    assert [pair["name"] for pair in page.record["pairs"]] == ["1", "2", "day/10"]
    assert len(page.pictures) == 9
    for pair, shown in zip(pairs, page.record["pairs"], strict=True):
        assert shown["size"] == [64, 48]
        for method, values in zip(("fused", "maximum", "mean"), shown["scores"], strict=True):
            assert values == [pair.scores[method][metric] for metric in page_metrics(page)]
        for key, path in pair.files.items():
            place = shown["pictures"][key]
            picture = decode(page.pictures[place["number"]])
            assert picture.size == (place["width"], place["height"]) == (64, 48)
            with PillowImage.open(path) as file:
                original = np.asarray(file.convert("RGB"), float)
            assert abs(np.asarray(picture.convert("RGB"), float) - original).mean() < 6


def page_metrics(page):
    return [metric["name"] for metric in page.record["metrics"]]


def test_noise_ranks_nothing(scene, page_of):
    scene.add("1")
    metrics = {metric["name"]: metric for metric in page_of(scene.report()).record["metrics"]}
    assert not metrics["EN"]["ranks"]
    assert metrics["VIF"]["ranks"]
    assert metrics["VIF"]["higher"]
    assert not metrics["MSE"]["higher"]


def test_undefined_values_failed_pairs_and_lost_files_are_shown_as_such(scene, page_of):
    scene.add("undefined", scores={"fused": {"EN": None, "SCD": float("nan"), "VIF": 1.0}})
    failed = Pair("failed", scene.pairs[0].files | {"method:fused": scene.folder / "no.png"})
    scene.pairs.append(failed)
    scene.pairs.append(Pair("nothing", {"first": scene.folder / "gone.png"}, error="it is gone"))
    undefined, failed, nothing = page_of(scene.report()).record["pairs"]
    assert undefined["scores"] == [[None, None, None, 1.0], None, None]
    assert set(failed["pictures"]) == {"first", "second"}
    assert "no.png" in failed["missing"]["method:fused"]
    assert nothing["pictures"] == {}
    assert nothing["error"] == "it is gone"


def test_sixteen_bits_and_floats_are_shown_over_their_whole_range(tmp_path, scene, page_of):
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(48, 0)
    for name, pixels in (("deep", (ramp * 65535).round().astype(np.uint16)), ("float", ramp)):
        path = scene.folder / f"{name}.tif"
        write_image(image_from_array(pixels), path)
        scene.pairs.append(Pair(name, {"first": path}))
    page = page_of(scene.report())
    for picture in page.pictures:
        values = np.asarray(decode(picture).convert("L"), float)
        assert abs(values.mean(0) - 255 * ramp[0]).max() < 6


def test_pictures_share_the_room_there_is(scene, page_of, monkeypatch):
    rng = np.random.default_rng(0)
    for index in range(12):
        path = scene.folder / f"noise-{index}.png"
        write_image(image_from_array(rng.integers(0, 256, (256, 200, 3)).astype(np.uint8)), path)
        scene.pairs.append(Pair(str(index), {"first": path, "second": path}))
    monkeypatch.setattr(pictures, "TOTAL_BYTES", 240_000)
    monkeypatch.setattr(pictures, "MIN_PAIR_BYTES", 20_000)
    page = page_of(scene.report())
    assert page.record["pictured"] == 12
    assert 60_000 < sum(map(len, page.pictures)) <= 240_000
    sizes = {decode(picture).size for picture in page.pictures}
    assert all(max(size) < 256 for size in sizes)
    # Too many for even that: fewer pairs have pictures, and all stay in the table.
    monkeypatch.setattr(pictures, "MIN_PAIR_BYTES", 48_000)
    page = page_of(scene.report())
    assert page.record["pictured"] == 5
    assert len(page.record["pairs"]) == 12
    assert len(page.pictures) == 10


@pytest.mark.parametrize("count", [10, 3000])
def test_the_best_and_the_worst_are_among_those_that_are_pictured(count):
    pairs = [Pair(str(index), {}) for index in range(count)]
    ranking = sorted(range(count), key=lambda index: (index * 7919) % 9973)
    chosen = pictures.choose_pictured(pairs, [ranking])
    assert chosen == sorted(set(chosen))
    assert {ranking[0], ranking[-1]} <= set(chosen)
    assert len(chosen) == min(count, pictures.TOTAL_BYTES // pictures.MIN_PAIR_BYTES)


def test_methods_are_compared_over_the_pairs_that_all_have(scene, page_of):
    scores = {
        "1": {"fused": 0.9, "maximum": 0.5, "mean": 0.7},
        "2": {"fused": 0.8, "maximum": 0.6, "mean": 0.6},
        "3": {"fused": None, "maximum": 0.1, "mean": 0.1},
    }
    for name, values in scores.items():
        scene.add(name, scores={method: {"VIF": value} for method, value in values.items()})
    page = page_of(scene.report())
    comparison = page.record["comparison"]
    found = comparison["metrics"][page_metrics(page).index("VIF")]
    assert found["count"] == 2
    fused, maximum, mean = found["methods"]
    assert fused == {"mean": 0.85, "std": 0.07071067812, "median": 0.85, "rank": 1, "p": None}
    assert [maximum["mean"], mean["mean"]] == [0.55, 0.65]
    assert [maximum["rank"], mean["rank"]] == [2.75, 2.25]
    assert maximum["p"] == mean["p"] == 1
    assert "VIF is undefined for fused on 1 of 3 pairs: 3" in comparison["remarks"]
