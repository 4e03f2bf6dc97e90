from __future__ import annotations

import json
import re

from pairs import NAMES, write_noise

from lkcfuse.report import is_own_report


def record_of(path):
    data = path.read_bytes()
    assert is_own_report(data)
    found = re.search(rb'<script type="application/json" id="data">(.*?)</script>', data, re.DOTALL)
    return json.loads(found[1])


def test_a_batch_and_then_a_resumed_one_report_all_their_pairs(lkcfuse, scene, settings):
    done = lkcfuse("batch", "ir", "vis", "--report", "report.html", *settings)
    assert done.code == 0, done.err
    assert "wrote report.html: 6 pairs" in done.err
    first = record_of(scene / "report.html")
    assert [pair["name"] for pair in first["pairs"]] == list(NAMES)
    assert [method["name"] for method in first["methods"]] == ["fused", "maximum", "mean"]
    assert all(len(pair["pictures"]) == 3 for pair in first["pairs"])
    entries = dict(entry for part in first["settings"] for entry in part["entries"])
    assert entries["weights"] == "max.safetensors"
    assert entries["lkcfuse"] == first["version"]
    # This network gives the maximum, so the two have the same scores.
    for pair in first["pairs"]:
        assert pair["scores"][0] == pair["scores"][1]

    (scene / "fused" / "2.png").unlink()
    again = lkcfuse("batch", "ir", "vis", "--report", "report.html", *settings)
    assert again.code == 0, again.err
    second = record_of(scene / "report.html")
    assert [pair["scores"] for pair in second["pairs"]] == [p["scores"] for p in first["pairs"]]


def test_a_pair_that_fails_is_in_the_report(lkcfuse, scene, settings):
    broken = scene / "ir" / "2.png"
    broken.write_bytes(broken.read_bytes()[:60])
    done = lkcfuse("batch", "ir", "vis", "--report", "report.html", *settings)
    assert done.code == 1
    pairs = {pair["name"]: pair for pair in record_of(scene / "report.html")["pairs"]}
    assert "2.png" in pairs["2"]["error"]
    assert set(pairs["2"]["pictures"]) == {"second"}
    assert [name for name, pair in pairs.items() if pair["error"]] == ["2"]


def test_nothing_starts_where_the_report_could_not_be_written(lkcfuse, scene, settings):
    (scene / "mine.html").write_text("mine")
    for report, words in (
        ("mine.html", "--force"),
        ("no/report.html", "no"),
        ("report.pdf", ".html"),
        ("s3://bucket/report.html", "URL"),
    ):
        done = lkcfuse("batch", "ir", "vis", "--quiet", "--report", report, *settings)
        done.assert_fails(2, words)
    assert (scene / "mine.html").read_text() == "mine"
    assert not (scene / "fused").exists()


def test_an_evaluation_compares_methods_and_baselines(lkcfuse, scene):
    for seed, method in enumerate(("ours", "theirs")):
        for index, name in enumerate(NAMES):
            write_noise(scene / method / f"{name}.png", 12 + index % 3, 17, seed=50 * seed + index)
    words = ("eval", "--fused", "ours", "--fused", "theirs", "--a", "ir", "--b", "vis")
    done = lkcfuse(*words, "--report", "report.html", "--gt-free", "scores.csv")
    assert done.code == 0, done.err
    record = record_of(scene / "report.html")
    methods = [(method["name"], method["baseline"]) for method in record["methods"]]
    assert methods == [("ours", False), ("theirs", False), ("maximum", True), ("mean", True)]
    assert all(len(pair["pictures"]) == 4 for pair in record["pairs"])
    # The table has what was asked for, and no more for the report's sake.
    header, *rows = (scene / "scores.csv").read_text().splitlines()
    assert header.startswith("name,method,EN,")
    assert {row.split(",")[1] for row in rows} == {"ours", "theirs"}


def test_methods_are_in_the_order_given_whatever_is_missing(lkcfuse, scene):
    for seed, method in enumerate(("zebra", "ant")):
        for index, name in enumerate(NAMES):
            write_noise(scene / method / f"{name}.png", 12 + index % 3, 17, seed=50 * seed + index)
    (scene / "zebra" / f"{NAMES[0]}.png").unlink()
    words = ("eval", "--fused", "zebra", "--fused", "ant", "--a", "ir", "--b", "vis")
    assert lkcfuse(*words, "--metrics", "VIF", "--report", "report.html").code == 0
    record = record_of(scene / "report.html")
    assert [method["name"] for method in record["methods"][:2]] == ["zebra", "ant"]
    assert record["title"].endswith(": zebra, ant")


def test_table_and_report_go_into_the_folder_that_is_made(lkcfuse, scene, settings):
    words = ("batch", "ir", "vis", *settings, "-o", "new")
    done = lkcfuse(*words, "--metrics", "new/m.csv", "--report", "new/r.html")
    assert done.code == 0, done.err
    assert record_of(scene / "new/r.html")["pairs"]
    assert (scene / "new/m.csv").read_text().startswith("name,method,")
    for option, name in (("--metrics", "m.csv"), ("--report", "r.html")):
        elsewhere = ("-o", "other", option, f"absent/{name}", "--quiet")
        done = lkcfuse("batch", "ir", "vis", *settings, *elsewhere)
        done.assert_fails(2, f"absent/{name}", "mkdir")
        assert not (scene / "other").exists()
