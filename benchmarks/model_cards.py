"""Write the cards of the packaged weights into docs/models.md, from weights.json.

python benchmarks/model_cards.py           # after the scores in weights.json have changed
python benchmarks/model_cards.py --check   # exits with 1 where the page is out of date
python benchmarks/quality.py DATA --json > report.json
python benchmarks/model_cards.py --scores report.json --title 'Street validation'
                                           # prints the `scores` to put into weights.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- cards: begin", "<!-- cards: end -->"
METRICS = ("VIF", "Qabf", "SSIM", "SCD", "MI", "EN", "SD", "SF", "AG")
# The metrics by which a picture is held against the maximum.
JUDGED = ("VIF", "Qabf", "SSIM", "SCD")
MEASURED = "Measured by benchmarks/quality.py on the luma of the fused 8-bit images."


def render(page: str, entries: list[dict[str, Any]]) -> str:
    """Return the page with the cards of the packaged entries between its two marks."""
    head, _, rest = page.partition(BEGIN)
    mark, _, rest = rest.partition("\n")
    _, _, tail = rest.partition(END)
    cards = "\n".join(
        line for entry in entries if "packaged" in entry["source"] for line in _card(entry)
    )
    return f"{head}{BEGIN}{mark}\n\n{cards}\n{END}{tail}"


def _card(entry: dict[str, Any]) -> Iterator[str]:
    yield f"## {entry['name']}"
    yield ""
    for title, field in (
        ("Intended use", "intended_use"),
        ("Trained on", "trained_on"),
        ("Training", "training"),
        ("Terms", "notice"),
        ("Limitations", "limitations"),
    ):
        yield f"- **{title}**: {entry[field]}"
    for score in entry["scores"]:
        yield ""
        yield f"{score['data']}:"
        yield ""
        yield "| | " + " | ".join(METRICS) + " |"
        yield "|---" * (len(METRICS) + 1) + "|"
        for name, values in {entry["name"]: score["metrics"], **score["baselines"]}.items():
            cells = (f"{values[metric]:.4g}" if metric in values else "-" for metric in METRICS)
            yield f"| {name} | " + " | ".join(cells) + " |"
        if "note" in score:
            yield ""
            yield score["note"]
    yield ""


def scores(report: dict[str, Any], title: str) -> list[dict[str, Any]]:
    """Return the `scores` of an entry in weights.json: the mean over the sets, then each set.

    Args:
        report: What `benchmarks/quality.py --json` prints.
        title: What the data is called.
    """
    sets = report["sets"]
    entries = []
    if len(sets) > 1:
        count = f"{report['mean']['pairs']} pairs"
        data = f"{title}, mean over {len(sets)} sets ({count})"
        entries.append(_score(report["mean"], data, "set", MEASURED))
    for name, table in sets.items():
        data = f"{title}, {name}" if name else title
        note = MEASURED if len(sets) == 1 else ""
        entries.append(_score(table, f"{data}, {table['pairs']} pairs", "picture", note))
    return entries


def _score(table: dict[str, Any], data: str, unit: str, note: str) -> dict[str, Any]:
    """Return one table of scores, with the pictures (or sets) of the lowest gains in its note."""
    metrics = {
        method: {name: round(value, 4) for name, value in values.items()}
        for method, values in table["metrics"].items()
    }
    lowest = {
        metric: table["worst"][f"gain.{metric}"]
        for metric in JUDGED
        if f"gain.{metric}" in table["worst"]
    }
    named = [f"{metric} {low['value']:+.3f} ({low['name']})" for metric, low in lowest.items()]
    if named:
        note = f"{note} The {unit} of the lowest gain over the maximum: {', '.join(named)}."
    baselines = {"pixelwise maximum": metrics["maximum"], "mean": metrics["mean"]}
    score = {"data": data, "metrics": metrics["ours"], "baselines": baselines}
    return score | ({"note": note.strip()} if note else {})


def dump_scores(entries: list[dict[str, Any]], indent: int = 6) -> str:
    """Return scores as they stand in weights.json: a table's row on one line."""
    margin = " " * indent
    tables = []
    for entry in entries:
        rows = (
            f"{margin}      {json.dumps(name)}: {json.dumps(row)}"
            for name, row in entry["baselines"].items()
        )
        fields = [
            f'"data": {json.dumps(entry["data"])}',
            f'"metrics": {json.dumps(entry["metrics"])}',
            '"baselines": {\n' + ",\n".join(rows) + f"\n{margin}    }}",
        ]
        if "note" in entry:
            fields.append(f'"note": {json.dumps(entry["note"])}')
        body = ",\n".join(f"{margin}    {field}" for field in fields)
        tables.append(f"{margin}  {{\n{body}\n{margin}  }}")
    return f'{margin}"scores": [\n' + ",\n".join(tables) + f"\n{margin}]"


def main() -> int:
    """Write the page, check it, or print scores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--scores", type=Path, help="print the scores of a report, write nothing")
    parser.add_argument("--title", default="Validation", help="what the report's data is called")
    options = parser.parse_args()
    if options.scores:
        report = json.loads(options.scores.read_text(encoding="utf-8"))
        print(dump_scores(scores(report, options.title)))
        return 0
    page = PAGE.read_text(encoding="utf-8")
    entries = json.loads((ROOT / "weights.json").read_text(encoding="utf-8"))["weights"]
    rendered = render(page, entries)
    if not options.check:
        PAGE.write_text(rendered, encoding="utf-8")
    elif rendered != page:
        print(f"{PAGE} is out of date: run python benchmarks/model_cards.py")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
