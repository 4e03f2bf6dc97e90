"""From a report of benchmarks/quality.py to weights.json and to the model cards."""

import json
from pathlib import Path

from model_cards import dump_scores, render, scores

from lkcfuse.models.manifest import read_manifest

ROOT = Path(__file__).parents[2]
VALUES = {"VIF": 0.91234, "Qabf": 0.7, "SSIM": 1.4, "SCD": 1.7, "MI": 3.0}


def table(pairs, name):
    metrics = {method: dict(VALUES) for method in ("ours", "maximum", "mean")}
    worst = {
        "gain.VIF": {"name": name, "value": -0.0123},
        "gain.SCD": {"name": "dusk", "value": 0.25},
        "tone.worst": {"name": "dawn", "value": -3.0},
    }
    return {"pairs": pairs, "metrics": metrics, "worst": worst}


REPORT = {
    "sets": {"day": table(3, "noon"), "night": table(4, "moon")},
    "mean": table(7, "night"),
}


def test_scores_are_the_mean_and_each_set_with_its_worst_pictures():
    mean, day, night = scores(REPORT, "Validation")
    assert mean["data"] == "Validation, mean over 2 sets (7 pairs)"
    assert [day["data"], night["data"]] == [
        "Validation, day, 3 pairs",
        "Validation, night, 4 pairs",
    ]
    assert day["note"] == (
        "The picture of the lowest gain over the maximum: VIF -0.012 (noon), SCD +0.250 (dusk)."
    )
    assert "The set of the lowest gain over the maximum: VIF -0.012 (night)" in mean["note"]
    assert day["metrics"]["VIF"] == 0.9123
    assert list(day["baselines"]) == ["pixelwise maximum", "mean"]


def test_pairs_in_no_set_have_one_table():
    (only,) = scores({"sets": {"": table(5, "x")}, "mean": table(5, "")}, "Slices")
    assert only["data"] == "Slices, 5 pairs"
    assert only["note"].startswith("Measured by benchmarks/quality.py")


def test_the_manifest_s_reader_accepts_what_is_printed(tmp_path):
    manifest = json.loads((ROOT / "weights.json").read_text(encoding="utf-8"))
    printed = json.loads("{" + dump_scores(scores(REPORT, "Validation")) + "}")
    manifest["weights"][0]["scores"] = printed["scores"]
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    entry = read_manifest(path, built_in=True)[0]
    assert [score.data for score in entry.scores] == [s["data"] for s in printed["scores"]]
    assert "noon" in entry.scores[1].note


def test_what_is_printed_looks_like_the_manifest():
    text = (ROOT / "weights.json").read_text(encoding="utf-8")
    for entry in json.loads(text)["weights"]:
        if "packaged" in entry["source"]:
            assert dump_scores(entry["scores"]) in text


def test_a_card_has_a_table_per_set_and_names_the_worst_pictures():
    manifest = json.loads((ROOT / "weights.json").read_text(encoding="utf-8"))
    entry = manifest["weights"][0] | {"scores": scores(REPORT, "Validation")}
    page = render("head\n<!-- cards: begin. -->\nold\n<!-- cards: end -->\ntail", [entry])
    assert page.startswith("head\n<!-- cards: begin. -->\n\n## ")
    assert page.endswith("<!-- cards: end -->\ntail")
    assert "old" not in page
    assert page.count("| pixelwise maximum | 0.9123 | 0.7 | 1.4 | 1.7 | 3 | - |") == 3
    assert "Validation, night, 4 pairs:" in page
    assert "VIF -0.012 (moon)" in page
