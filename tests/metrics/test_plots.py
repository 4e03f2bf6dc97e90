from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET

import pytest

from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.metrics.comparison import Comparison
from lkcfuse.metrics.plots import _pages, _ranked, check_plot, write_plot
from lkcfuse.metrics.scoring import Score
from lkcfuse.metrics.table import Table

VALUES = {
    "ours": {"EN": 7.0, "VIF": 0.9, "MSE": 1500.0, "MS-SSIM": float("nan")},
    "$theirs_1": {"EN": 6.0, "VIF": 0.7, "MSE": 1000.0, "MS-SSIM": float("nan")},
    "copy": {"EN": 6.5, "VIF": 0.8, "MSE": 2000.0, "MS-SSIM": float("nan")},
}


def study(methods=VALUES, pairs=6):
    scores = [
        Score(str(pair), method, {m: v + 0.01 * pair for m, v in VALUES[method].items()})
        for method in methods
        for pair in range(pairs)
    ]
    return Comparison(Table.of(["EN", "VIF", "MSE", "MS-SSIM"], scores))


def lines_of(comparison):
    """Return what the parallel plot draws: {method: heights}."""
    shown = [metric for metric in comparison.metrics if comparison.common[metric.name]]
    axes = _pages(comparison, shown)[1].axes[0]
    drawn = [line for line in axes.lines if not line.get_label().startswith("_")]
    return {line.get_label(): [*line.get_ydata()] for line in drawn}


def test_every_line_runs_from_the_worst_to_the_best_mean():
    found = lines_of(study())
    assert found["ours"] == pytest.approx([1, 0.5])  # VIF, and MSE of which less is better
    assert found["$theirs_1"] == pytest.approx([0, 1])
    assert found["copy"] == pytest.approx([0.5, 0])


def test_one_box_per_method_and_metric():
    comparison = study()
    (boxes, _) = _pages(comparison, comparison.metrics[:3])
    titles = [axes.get_title() for axes in boxes.axes]
    assert titles == ["EN* ↑", "VIF ↑", "MSE ↓"]
    assert [len(axes.patches) for axes in boxes.axes] == [3, 3, 3]
    assert [label.get_text() for label in boxes.axes[0].get_yticklabels()] == [*VALUES]


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".PDF"])
def test_files(tmp_path, suffix):
    path, again = tmp_path / f"plot{suffix}", tmp_path / f"again{suffix}"
    write_plot(study(), path)
    write_plot(study(), again)
    data = path.read_bytes()
    assert data == again.read_bytes()
    if suffix == ".svg":
        assert ET.fromstring(data).tag == "{http://www.w3.org/2000/svg}svg"
    else:
        assert data.startswith(b"%PDF")
        assert len(re.findall(rb"/Type /Page\b", data)) == 2
    with pytest.raises(UsageError, match=r"exists.*--force"):
        check_plot(path)
    write_plot(study(pairs=1), path, force=True)
    assert path.read_bytes() != data


def test_one_method_has_boxes_alone(tmp_path):
    path = tmp_path / "plot.pdf"
    comparison = study(["ours"])
    assert _ranked(comparison, comparison.metrics) == []
    write_plot(comparison, path)
    assert len(re.findall(rb"/Type /Page\b", path.read_bytes())) == 1


def test_refusals(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"ends in \.svg or \.pdf"):
        check_plot(tmp_path / "plot.png")
    nothing = Comparison(Table.of(["SCD"], [Score("1", "ours", {})]))
    with pytest.raises(UsageError, match="no pair has a value"):
        write_plot(nothing, tmp_path / "plot.svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ResourceError, match=r"pip install 'lkcfuse\[plot\]'"):
        check_plot(tmp_path / "plot.svg")
    assert not [*tmp_path.iterdir()]
