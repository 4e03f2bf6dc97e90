from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from filelock import FileLock

from lkcfuse.batch.journal import Journal, read_pairs, read_state, read_task
from lkcfuse.batch.records import FileRecord, PairRecord, ScoreRecord
from lkcfuse.batch.settings import Settings
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.pairs import PairOptions

SETTINGS = Settings(
    "mri-pet", "w", "ab" * 32, (0.0, 1.0), (0.0, 1.0), ("second", "first"), PairOptions(), "png"
)


def pair(name, settings=SETTINGS, digest="00" * 32):
    files = [FileRecord(f"/{kind}/{name}.png", digest, 5) for kind in ("a", "b")]
    output = FileRecord(f"{name}.png", digest, 7)
    return PairRecord(name, *files, output, settings.key, 4, 3, {"read": 0.1}, 1e9)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".lkcfuse").mkdir()
    return tmp_path


@pytest.fixture
def journal(folder):
    with Journal(folder, FileLock(folder / ".lkcfuse" / "journal.lock")) as opened:
        yield opened


def test_what_is_written_is_read(folder, journal):
    journal.begin(SETTINGS, pairs=2)
    score = ScoreRecord("x", ("aa", "bb"), "cc", "1.0", {"EN": 7.25, "Qabf": None})
    for record in (pair("x"), pair("d/y"), score, pair("x", digest="11" * 32)):
        journal.append(record.to_record())
    state = read_state(folder)
    assert state.settings == SETTINGS
    assert state.pairs == {"x": pair("x", digest="11" * 32), "d/y": pair("d/y")}
    assert state.scores == {"x": score}
    assert state.outputs == {"x.png", "d/y.png"}
    assert state.damaged == 0


def test_no_journal(tmp_path):
    assert read_state(tmp_path).settings is None
    assert read_task(tmp_path) is None
    with pytest.raises(UsageError, match="no batch's journal"):
        read_pairs(tmp_path)


def test_pairs_are_those_of_the_latest_settings(folder, journal):
    journal.begin(SETTINGS)
    other = Settings.from_record({**SETTINGS.to_record(), "task": "ir-vis"})
    for record in (pair("old", other), pair("10"), pair("2"), pair("gone")):
        journal.append(record.to_record())
    for name in ("old", "10", "2"):
        (folder / f"{name}.png").touch()
    notes = []
    found = read_pairs(folder, notify=notes.append)
    assert notes == [f"{folder}: 1 of 4 pairs were fused with other settings"]
    assert [(p.name, str(p.first), str(p.second), p.fused) for p in found] == [
        ("2", "/a/2.png", "/b/2.png", folder / "2.png"),
        ("10", "/a/10.png", "/b/10.png", folder / "10.png"),
        ("gone", "/a/gone.png", "/b/gone.png", None),
    ]
    assert read_task(folder) == "mri-pet"


@pytest.mark.parametrize(
    ("runs", "missing"),
    [
        ([(5, None)], "3 of 5"),
        ([(5, None), (2, None)], None),
        ([(3, (1, 2)), (4, (2, 2))], "5 of 7"),
        ([(9, None), (3, (1, 2)), (3, (1, 2))], "1 of 3"),
        ([(3, (1, 2)), (3, (1, 3)), (2, (3, 3))], "3 of 5"),
    ],
)
def test_what_was_not_fused_is_told(folder, journal, runs, missing):
    for planned, shard in runs:
        journal.begin(SETTINGS, pairs=planned, shard=shard)
    journal.append_all(pair(name).to_record() for name in "xy")
    notes = []
    assert len(read_pairs(folder, notify=notes.append)) == 2
    assert [note.partition(": ")[2] for note in notes] == (
        [f"{missing} pairs were not fused: run the batch again for them"] if missing else []
    )


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_line_cut_off_at_any_place_harms_no_other(folder, journal, kept):
    journal.begin(SETTINGS)
    journal.append(pair("x").to_record())
    line = json.dumps(pair("cut").to_record()).encode()
    with journal.path.open("ab") as file:
        file.write(line[:kept])
    assert read_state(folder).pairs.keys() == {"x"}
    journal.append(pair("y").to_record())
    assert read_state(folder).pairs.keys() == {"x", "y"}


def test_a_whole_line_without_its_end_is_not_trusted_and_not_lost_in_the_next(folder, journal):
    journal.begin(SETTINGS)
    with journal.path.open("ab") as file:
        file.write(json.dumps(pair("x").to_record()).encode())
    assert read_state(folder).pairs == {}
    journal.append(pair("y").to_record())
    assert read_state(folder).pairs.keys() == {"x", "y"}


@pytest.mark.parametrize(
    "line", [b"no json", b"[]", b"3", b'{"type": "pair"}', b'{"type": "run"}', b"\xff", b"{}"]
)
def test_lines_that_make_no_sense_are_passed_over(folder, journal, line):
    journal.begin(SETTINGS)
    with journal.path.open("ab") as file:
        file.write(line + b"\n")
    journal.append(pair("x").to_record())
    state = read_state(folder)
    assert (state.settings, state.pairs.keys(), state.damaged) == (SETTINGS, {"x"}, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("height", "1e999"),
        ("height", "-3"),
        ("height", "2.5"),
        ("width", '"4"'),
        ("width", "1" * 30),
        ("time", "9" * 400),
        ("time", "1e999"),
        ("time", "NaN"),
        ("seconds", '{"read": -1e400}'),
        ("seconds", "3"),
        ("name", r'"\ud800"'),
        ("name", "[" * 100_000),
        ("output", r'{"path": "\udfff.png", "sha256": "0", "bytes": 1}'),
        ("output", '{"path": "a.png", "sha256": "0", "bytes": 1e30}'),
    ],
)
def test_a_line_with_a_value_out_of_range_is_damaged(folder, journal, field, value):
    journal.begin(SETTINGS)
    record = json.dumps({**pair("bad").to_record(), field: "HERE"}).replace('"HERE"', value)
    with journal.path.open("a") as file:
        file.write(record + "\n")
    journal.append(pair("x").to_record())
    state = read_state(folder)
    assert (state.settings, state.pairs.keys(), state.damaged) == (SETTINGS, {"x"}, 1)


@pytest.mark.parametrize("value", ["1e999", "9" * 400, "NaN", '"a"', "[]"])
def test_metrics_out_of_range_are_a_damaged_line(folder, journal, value):
    journal.begin(SETTINGS)
    score = ScoreRecord("x", ("aa", "bb"), "cc", "1.0", {"EN": 1.5}).to_record()
    with journal.path.open("a") as file:
        file.write(json.dumps(score).replace("1.5", value) + "\n")
    state = read_state(folder)
    assert (state.scores, state.damaged) == ({}, 1)


def test_kinds_of_line_to_come_are_passed_over(folder, journal):
    journal.append({"type": "report"})
    assert read_state(folder).damaged == 0


def test_a_newer_journal_is_refused(folder, journal):
    journal.append({"type": "run", "schema": 2, "lkcfuse": "9.1", "settings": {}})
    with pytest.raises(UsageError, match=r"lkcfuse 9\.1.*newer"):
        read_state(folder)


def test_many_writers_lose_nothing(folder, journal):
    # The second journal stands for another process: it has a descriptor and a lock of its own.
    lock = FileLock(folder / ".lkcfuse" / "journal.lock", thread_local=False)
    with Journal(folder, lock) as second, ThreadPoolExecutor(6) as pool:
        for number in range(120):
            record = pair(f"{number}").to_record()
            pool.submit((journal, second)[number % 2].append, record, sync=False)
    state = read_state(folder)
    assert (len(state.pairs), state.damaged) == (120, 0)


def test_a_full_disk(folder):
    # The device that has no space left stands for the disk: the failure is the system's own.
    with Journal(folder, FileLock(folder / "lock")) as journal:
        full = os.open("/dev/full", os.O_RDWR)
        os.dup2(full, journal._descriptor)
        os.close(full)
        with pytest.raises(ResourceError, match=r"run\.jsonl cannot be written: No space left"):
            journal.append(pair("x").to_record())


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe"])
def test_what_is_planted_in_the_journals_place_is_neither_read_nor_written(folder, tmp_path, kind):
    path, target = folder / ".lkcfuse" / "run.jsonl", tmp_path / "target"
    if kind == "link":
        target.write_bytes(b"somebody's work\n")
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(target)
    for attempt in (
        lambda: Journal(folder, FileLock(folder / "lock")),
        lambda: read_state(folder),
    ):
        with pytest.raises(ResourceError, match=r"run\.jsonl cannot be .*(link|not a regular)"):
            attempt()
    assert not target.exists() or target.read_bytes() == b"somebody's work\n"
    assert target.exists() == (kind == "link")


def test_a_line_that_half_fits_is_taken_back(folder, journal, monkeypatch):
    journal.begin(SETTINGS)
    before = journal.path.read_bytes()
    write, calls = os.write, []

    def fill(descriptor, data):
        calls.append(len(data))
        if len(calls) == 1:
            return write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(ResourceError, match="No space left"):
        journal.append(pair("x").to_record())
    assert len(calls) == 2
    assert journal.path.read_bytes() == before


def test_settings_that_make_the_same_files_have_one_key():
    assert Settings.from_record(SETTINGS.to_record()) == SETTINGS
    renamed = Settings.from_record({**SETTINGS.to_record(), "weights": "another name"})
    assert renamed.key == SETTINGS.key
    for change in (
        {"task": "ir-vis"},
        {"weights_sha256": "cd" * 32},
        {"input_range": (0.0, 255.0)},
        {"output_range": (-1.0, 1.0)},
        {"channel_order": ("first", "second")},
        {"invert_first": True},
        {"sources": {"first": {"value_range": "full"}}},
        {"format": "tiff"},
    ):
        changed = Settings.from_record({**SETTINGS.to_record(), **change})
        assert changed.key != SETTINGS.key
        assert len(changed.differences(SETTINGS)) == len(SETTINGS.differences(changed)) == 1
