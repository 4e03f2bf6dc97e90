from __future__ import annotations

import pytest

from lkcfuse.errors import UsageError
from lkcfuse.remote import as_location
from lkcfuse.report import MAX_PAIRS, check_report, check_report_size, is_own_report, write_report


def test_a_report_is_replaced_by_the_next_and_nothing_else_is(scene, tmp_path):
    scene.add("1")
    path = tmp_path / "report.html"
    size = write_report(scene.report(), path)
    assert size == path.stat().st_size
    assert is_own_report(path.read_bytes())
    write_report(scene.report(title="Another"), path)
    assert b"Another" in path.read_bytes()

    changed = path.read_bytes().replace(b"Another", b"A note of mine")
    for foreign in (changed, b"<html>mine</html>", b""):
        path.write_bytes(foreign)
        with pytest.raises(UsageError, match="--force"):
            check_report(path)
        with pytest.raises(UsageError, match="--force"):
            write_report(scene.report(), path)
        assert path.read_bytes() == foreign
    write_report(scene.report(), path, force=True)
    assert is_own_report(path.read_bytes())
    assert [entry.name for entry in tmp_path.glob("*.html*")] == ["report.html"]


def test_places_where_no_report_can_be_are_refused_before_the_work(tmp_path):
    taken = tmp_path / "page.html"
    for path, used, words in (
        (tmp_path / "report.txt", [], "ends in .html"),
        (tmp_path / "no" / "report.html", [], "no"),
        (taken, [tmp_path / "other.png", tmp_path / "." / "page.html"], "another part"),
        (as_location("s3://bucket/report.html"), [], "URL"),
    ):
        with pytest.raises(UsageError, match=words):
            check_report(path, used=used)
    check_report(taken, used=[tmp_path / "other.png"])


def test_a_page_has_its_bounds():
    check_report_size(MAX_PAIRS)
    with pytest.raises(UsageError, match=str(MAX_PAIRS)):
        check_report_size(MAX_PAIRS + 1)


def test_what_goes_wrong_while_it_is_written_leaves_the_old_one(scene, tmp_path):
    scene.add("1")
    path = tmp_path / "report.html"
    write_report(scene.report(), path)
    before = path.read_bytes()

    def interrupt(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(scene.report(title="Never"), path, progress=interrupt)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["images", "report.html"]
