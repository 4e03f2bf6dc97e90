"""Write the cards of the packaged weights into docs/models.md, from weights.json.

python benchmarks/model_cards.py           # after the scores in weights.json have changed
python benchmarks/model_cards.py --check   # exits with 1 where the page is out of date
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
            cells = (f"{values[metric]:.4g}" for metric in METRICS)
            yield f"| {name} | " + " | ".join(cells) + " |"
    yield ""


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    entries = json.loads((ROOT / "weights.json").read_text(encoding="utf-8"))["weights"]
    rendered = render(page, entries)
    if not check:
        PAGE.write_text(rendered, encoding="utf-8")
    elif rendered != page:
        print(f"{PAGE} is out of date: run python benchmarks/model_cards.py")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
