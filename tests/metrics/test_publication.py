from __future__ import annotations

import html.parser
import math
import re

import pytest

from lkcfuse.errors import UsageError
from lkcfuse.metrics.comparison import Comparison, Made
from lkcfuse.metrics.publication import FORMATS, caption, to_html, to_latex, to_markdown
from lkcfuse.metrics.publication_files import (
    check_publication,
    is_own,
    write_publication,
)
from lkcfuse.metrics.scoring import Score
from lkcfuse.metrics.table import Table


def study(pairs=10, tests=True, names=("ours", "CBF_1", "mean & max")):
    """Return a comparison in which the first method is the best, and the last one the worst."""
    scores = [
        Score(
            str(pair),
            name,
            {
                "EN": 7 + place,
                "VIF": 0.9 - 0.2 * place - 0.01 * pair,
                "MSE": 1000.4 + 500 * place + pair,
                "SSIM": math.nan if pair == 9 and place == 1 else 1.25 - 0.00001 * place,
            },
        )
        for place, name in enumerate(names)
        for pair in range(pairs)
    ]
    made = {"ours": Made("lkcfuse-ir-vis", "c0ffee", '{"task": "ir-vis"}')}
    table = Table.of(["EN", "VIF", "MSE", "SSIM"], scores)
    return Comparison(table, made, tests=tests)


def test_latex():
    text = to_latex(study())
    assert r"Method & EN* $\uparrow$ & VIF $\uparrow$ & MSE $\downarrow$ & SSIM $\uparrow$" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert rows[1] == (
        r"ours & 7.000 & \textbf{0.8550} & \textbf{1005} & \textbf{1.25000} & \textbf{1.00} \\"
    )
    assert rows[2] == (
        r"CBF\_1 & 8.000 & \underline{0.6550}$^{\dagger}$ & \underline{1505}$^{\dagger}$ & "
        r"\underline{1.24999}$^{\dagger}$ & \underline{2.00} \\"
    )
    assert rows[3].startswith(r"mean \& max & 9.000 & 0.4550$^{\dagger}$ & 2005$^{\dagger}$")
    # What is not a row of the table is a comment or a rule.
    others = [line for line in text.splitlines() if line not in rows]
    assert all(re.match(r"%|\\(begin|end|(top|mid|bottom)rule)", line) for line in others)
    assert "% ours: weights lkcfuse-ir-vis, SHA-256 c0ffee" in text
    assert "% SSIM: a sum over the two sources, up to 2" in text
    assert "% SSIM is undefined for CBF_1 on 1 of 10 pairs: 9" in text


def test_latex_prints_names_as_they_are():
    text = to_latex(study(names=("a_b^c~d\\e", "100% #1 ${x}$", "z")))
    names = [line.split(" & ")[0] for line in text.splitlines() if line.endswith("\\\\")][1:3]
    assert names == [
        r"a\_b\textasciicircum{}c\textasciitilde{}d\textbackslash{}e",
        r"100\% \#1 \$\{x\}\$",
    ]


def test_markdown():
    lines = to_markdown(study(names=("ours", "a|b", "c*d"))).splitlines()
    assert lines[0] == "| Method | EN\\* ↑ | VIF ↑ | MSE ↓ | SSIM ↑ | Rank ↓ |"
    assert lines[2] == "| ours | 7.000 | **0.8550** | **1005** | **1.25000** | **1.00** |"
    assert lines[3].startswith("| a\\|b | 8.000 | <ins>0.6550</ins>† |")
    assert len({re.sub(r"\\.", "", line).count("|") for line in lines[:5]}) == 1
    assert lines[6].startswith("Means over 9 to 10 pairs. Best in bold, second underlined. †")


class Cells(html.parser.HTMLParser):
    """Gathers the text of cells, and checks that elements nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


def test_html():
    text = to_html(study(names=("ours", "<script>", "夜")))
    assert text.isascii()
    assert "<script>" not in text
    cells = Cells(text).cells
    assert cells[:3] == ["Method", "EN* ↑", "VIF ↑"]
    assert cells[6:9] == ["ours", "7.000", "0.8550"]
    assert cells[12] == "<script>"
    assert "夜" in cells
    assert "<b>0.8550</b>" in text
    assert "<u>0.6550</u><sup>&#8224;</sup>" in text


def test_marks_without_tests_or_other_methods():
    assert "dagger" not in to_latex(study(tests=False))
    assert "†" not in caption(study(tests=False))
    alone = to_latex(study(names=("ours",)))
    assert "textbf" not in alone
    assert "Best" not in alone
    assert "Rank" not in alone


def test_ties_share_the_first_place():
    values = {"a": 0.5, "b": 0.5, "c": 0.25}
    table = Table.of(["VIF"], [Score("1", m, {"VIF": v}) for m, v in values.items()])
    lines = to_markdown(Comparison(table)).splitlines()
    assert lines[2:5] == ["| a | **0.5000** |", "| b | **0.5000** |", "| c | <ins>0.2500</ins> |"]


@pytest.mark.parametrize("suffix", [".tex", ".md", ".html"])
def test_own_tables_are_replaced_and_changed_ones_are_not(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    write_publication(study(), path)
    assert is_own(path.read_bytes())
    write_publication(study(pairs=4), path)
    for change in (b"8", b"x"):
        path.write_bytes(path.read_bytes().replace(b"0.6", b"0." + change, 1))
        assert not is_own(path.read_bytes())
        with pytest.raises(UsageError, match=r"was changed since.*--force"):
            check_publication(path)
    write_publication(study(), path, force=True)
    assert is_own(path.read_bytes())


def test_a_summary_in_csv_is_that_of_the_table(tmp_path):
    path = tmp_path / "s.csv"
    write_publication(study(), path)
    assert path.read_bytes() == study().to_csv() == FORMATS["csv"](study()).encode()
    with pytest.raises(UsageError, match="exists"):
        check_publication(path)


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"end its name in \.tex, \.md"):
        check_publication(tmp_path / "table.docx")
