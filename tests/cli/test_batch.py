from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pairs import NAMES, contents, make_pairs, write_noise

from lkcfuse.batch.claim import claim
from lkcfuse.cli import output

PATHS = [f"fused/{name}.png" for name in NAMES]


def test_two_folders_in_one_out(lkcfuse, scene, settings):
    write_noise(scene / "ir" / "alone.png", 3, 3)
    write_noise(scene / "vis" / "lonely.png", 3, 3)
    done = lkcfuse("batch", "ir", "vis", *settings)
    assert done.code == 0, done.err
    assert done.text.splitlines() == PATHS
    assert done.err.splitlines()[:2] == [
        "lkcfuse: 6 pairs; 2 files have no partner: ir/alone.png, vis/lonely.png",
        "lkcfuse: fusing into fused with max.safetensors on cpu (1 thread)",
    ]
    assert re.fullmatch(r"lkcfuse: 6 pairs fused in \d+\.\d s", done.err.splitlines()[2])
    for name in NAMES:
        alone = scene / "alone.png"
        pair = (scene / "ir" / f"{name}.png", scene / "vis" / f"{name}.bmp")
        assert lkcfuse("fuse", *pair, "-o", alone, "--force", *settings).code == 0
        assert alone.read_bytes() == (scene / "fused" / f"{name}.png").read_bytes()

    again = lkcfuse("batch", "ir", "vis", *settings)
    assert again.text.splitlines() == PATHS
    assert "0 pairs fused" in again.err
    assert "6 verified and left as they were" in again.err


def test_tiles_and_memory_reach_the_network(lkcfuse, tmp_path, settings, monkeypatch):
    for folder in ("ir", "vis"):
        write_noise(tmp_path / folder / "1.png", 90, 70, seed=len(folder))
    monkeypatch.chdir(tmp_path)
    folders = ("batch", "ir", "vis", *settings)
    assert lkcfuse(*folders).code == 0
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tiled = ("-o", "tiled", "--tile", "32", "--memory", "1GB", "--scratch", scratch)
    assert lkcfuse(*folders, *tiled).code == 0
    assert contents(tmp_path / "tiled") == contents(tmp_path / "fused")
    refused = lkcfuse(*folders, "-o", "small", "--memory", "1KB", "-q")
    assert refused.code == 1
    assert "raise --memory" in refused.err.splitlines()[0]


def test_json_is_a_line_a_pair(lkcfuse, scene, settings):
    (scene / "ir" / "2.png").write_bytes(b"no image")
    done = lkcfuse("batch", "ir", "vis", "--json", "-q", *settings)
    assert done.code == 1
    records = [json.loads(line) for line in done.text.splitlines()]
    assert [record["name"] for record in records] == list(NAMES)
    assert [record["status"] for record in records].count("fused") == 5
    assert records[0]["output"] == "fused/1.png"
    assert (records[0]["width"], records[0]["height"]) == (17, 12)
    assert re.fullmatch("[0-9a-f]{64}", records[0]["sha256"])
    assert records[0]["seconds"].keys() == {"read", "fuse", "encode"}
    assert records[1]["status"] == "failed"
    assert "ir/2.png is a text file, not an image" in records[1]["error"]
    assert done.err.splitlines() == [
        f"lkcfuse: error: 2: {records[1]['error']}",
        "lkcfuse: error: 1 of 6 pairs failed: 2; the others are done, and running again does "
        "only these",
    ]


def test_quiet(lkcfuse, scene, settings):
    done = lkcfuse("batch", "ir", "vis", "-q", *settings)
    assert (done.code, done.out, done.err) == (0, b"", "")
    assert len(contents(scene / "fused")) == 6


UNFIT = ["--weights", __file__]


def test_dry_run_shows_pairs_and_outputs_and_writes_nothing(lkcfuse, scene):
    before = contents(scene)
    done = lkcfuse("batch", "ir", "vis", "--dry-run", "--shard", "1/2")
    assert done.code == 0, done.err
    assert done.text.splitlines() == [
        f"ir/{name}.png\tvis/{name}.bmp\tfused/{name}.png" for name in NAMES[::2]
    ]
    (record, *_) = map(
        json.loads, lkcfuse("batch", "ir", "vis", "--dry-run", "--json").text.splitlines()
    )
    assert record == {
        "name": "1", "status": "planned", "first": "ir/1.png", "second": "vis/1.bmp",
        "output": "fused/1.png",
    }  # fmt: skip
    lkcfuse("batch", "ir", "vis", "--dry-run", "-q", *UNFIT).assert_fails(4, __file__)
    absent = ("batch", "ir", "vis", "--dry-run", "--weights", "lkc-funet-vif")
    done = lkcfuse(*absent)
    assert (done.code, len(done.text.splitlines())) == (0, len(NAMES))
    assert "the run fetches them first" in done.err
    assert lkcfuse(*absent, "--offline").code == 4
    assert contents(scene) == before
    assert not (scene / "fused").exists()


def test_dry_run_looks_at_every_file_and_tells_what_is_alike_once(lkcfuse, scene, settings):
    for name in ("1", "2", "day/1"):
        write_noise(scene / "vis" / f"{name}.bmp", 40, 50)
    (scene / "ir" / "day" / "2.png").write_bytes(b"no image")
    before = contents(scene)
    done = lkcfuse("batch", "ir", "vis", "--dry-run", *settings)
    assert done.code == 1
    assert len(done.text.splitlines()) == len(NAMES) - 4
    sizes, kind, end = done.err.splitlines()[1:]
    assert "1: ir/1.png has" in sizes
    assert sizes.endswith("(likewise 2 more pairs: 2, day/1)")
    assert "day/2: ir/day/2.png is a text file" in kind
    assert end == "lkcfuse: error: 4 of 6 pairs would fail"
    assert contents(scene) == before
    records = lkcfuse("batch", "ir", "vis", "--dry-run", "--json", *settings).text.splitlines()
    statuses = [json.loads(record)["status"] for record in records]
    assert (statuses.count("failed"), statuses.count("planned")) == (4, 2)
    run = lkcfuse("batch", "ir", "vis", *settings)
    assert run.code == 1
    assert "4 of 6 pairs failed" in run.err


def test_dry_run_names_listed_files_that_are_not_there(lkcfuse, scene):
    Path("win.csv").write_text("ir\\1.png,vis\\1.bmp\nir\\no.png,vis\\no.bmp\n")
    done = lkcfuse("batch", "--pairs", "win.csv", "--dry-run")
    assert (done.code, done.text) == (1, "ir/1.png\tvis/1.bmp\tfused/1.png\n")
    assert "no: ir/no.png does not exist" in done.err


def test_strict(lkcfuse, scene):
    assert lkcfuse("batch", "ir", "vis", "--strict", "--dry-run").code == 0
    (scene / "vis" / "2.bmp").unlink()
    done = lkcfuse("batch", "ir", "vis", "--strict", *UNFIT)
    done.assert_fails(3, "5 pairs", "no partner", "ir/2.png")
    assert not (scene / "fused").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, ["--from-stdin"]),
        (("ir",), 3, ["ir is one folder", "name the folder of the visible images"]),
        (("ir", "no"), 3, ["no does not exist"]),
        (("ir", "ir"), 2, ["same folder"]),
        (("ir", "vis", "-o", "ir/fused"), 2, ["inside the input folder ir"]),
        (("ir", "vis", "-o", "no/fused"), 2, ["mkdir -p no"]),
        (("ir", "vis", "-o", "file"), 2, ["is a file"]),
        (("ir", "vis", "-o", "file", "--dry-run"), 2, ["is a file"]),
        (("ir", "vis", "-o", "no/such/out", "--dry-run"), 2, ["mkdir -p no/such"]),
        (("ir", "vis", "-o", "file/out"), 2, ["file is a file"]),
        (("ir/1.png", "vis/1.bmp"), 2, ["two folders", "ir/1.png", "lkcfuse batch ir vis"]),
        (("ir/1.png", "vis"), 2, ["two folders", "ir/1.png", "lkcfuse batch ir vis"]),
        (("ir", "vis", "--task", "ir-viz"), 2, ["ir-viz"]),
        (("ir", "vis", "--format", "gif"), 2, ["gif"]),
        (("ir", "vis", "--match", "x"), 2, ["pattern"]),
        (("ir", "vis", "--match", "a{}=b{}"), 3, ["fit the pattern"]),
        (("ir", "vis", "--shard", "3"), 2, ["K/N"]),
        (("ir", "vis", "--shard", "3/2"), 2, ["shards count from 1"]),
        (("ir", "vis", "--pairs", "no.csv"), 3, ["no.csv does not exist"]),
        (("ir", "vis", "--pairs", "no.csv", "--match", "{}={}"), 2, ["give one"]),
        (("ir", "vis", "--from-stdin"), 2, ["--from-stdin"]),
        (("ir", "vis", "--pairs", "no.csv", "--prefer", "tiff"), 2, ["--prefer", "list"]),
        (("ir", "vis", "--prefer", "doc"), 2, ["--prefer doc"]),
        (("ir", "vis", "--match", "{}={}={}"), 2, ["cannot be used"]),
        (("ir", "vis", "--metrics", "-"), 2, ["--metrics"]),
        (("ir", "vis", "--tile", "big"), 2, ["--tile big"]),
        (("ir", "vis", "--memory", "much"), 2, ["--memory much"]),
        (("ir", "vis", "--precision", "fp8"), 2, ["fp8"]),
        (("ir", "vis", "--metrics", "file"), 2, ["file exists", "--force"]),
        (("ir", "vis", "--metrics", "no/m.csv"), 2, ["no/m.csv"]),
        (("ir", "vis", "--metrics", "s3://b/m.csv"), 2, ["s3://b/m.csv is a URL"]),
        (("ir", "vis", "--metrics", "ir/1.png", "--force"), 2, ["ir/1.png is CSV or JSON"]),
        (("ir", "vis"), 4, [__file__]),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(lkcfuse, scene, words, code, message):
    (scene / "file").write_text("precious")
    before = contents(scene)
    lkcfuse("batch", *words, *UNFIT, "-q").assert_fails(code, *message)
    assert contents(scene) == before


def test_ambiguous_stems_are_an_error(lkcfuse, scene):
    write_noise(scene / "ir" / "day" / "1.jpg", 3, 3)
    lkcfuse("batch", "ir", "vis", *UNFIT).assert_fails(3, "the same stem, 'day/1'", "ir/day/1.jpg")


def test_outputs_of_others_and_other_settings_need_force(lkcfuse, scene, settings, make_weights):
    (scene / "fused").mkdir()
    (scene / "fused" / "1.png").write_bytes(b"precious")
    for words in (UNFIT, ["--dry-run"]):
        done = lkcfuse("batch", "ir", "vis", "-q", *words)
        done.assert_fails(2, "fused/1.png exists", "--force")
    assert lkcfuse("batch", "ir", "vis", "--force", *settings).code == 0
    other = ["--weights", make_weights("none"), *settings[2:]]
    for words in ([], ["--dry-run"]):
        done = lkcfuse("batch", "ir", "vis", "-q", *words, *other)
        done.assert_fails(2, "made with weights max", "--force")
    assert lkcfuse("batch", "ir", "vis", "--force", *other).code == 0


def test_a_list_of_pairs(lkcfuse, scene, settings):
    Path("pairs.csv").write_text("ir,vis,name\n1.png,10.bmp,\nday/2.png,2.bmp,new/two\n")
    write_noise(scene / "vis" / "10.bmp", 12, 17)
    write_noise(scene / "vis" / "2.bmp", 13, 17)
    write_noise(scene / "ir" / "day" / "2.png", 13, 17)
    done = lkcfuse("batch", "ir", "vis", "--pairs", "pairs.csv", *settings)
    assert done.code == 0, done.err
    assert done.text.splitlines() == ["fused/1.png", "fused/new/two.png"]


def test_a_pattern(lkcfuse, scene, settings):
    for index, name in enumerate(("a_1.png", "b_1.png")):
        write_noise(scene / "mixed" / name, 5, 4, seed=index)
    done = lkcfuse("batch", "mixed", "mixed", "--match", "a_{}=b_{}", *settings)
    assert (done.code, done.text) == (0, "fused/a_1.png\n"), done.err


def test_what_is_skipped_is_counted_and_prefer_chooses(lkcfuse, scene):
    for name in ("notes.txt", "clip.mp4"):
        (scene / "ir" / name).touch()
    done = lkcfuse("batch", "ir", "vis", "--dry-run")
    assert "6 pairs; skipped in ir: 2 files by their suffix (.mp4, .txt)\n" in done.err
    write_noise(scene / "vis" / "1.tif", 12, 17)
    lkcfuse("batch", "ir", "vis", "--dry-run").assert_fails(3, "--prefer bmp or --prefer tif")
    done = lkcfuse("batch", "ir", "vis", "--dry-run", "--prefer", "tiff")
    assert done.text.splitlines()[0] == "ir/1.png\tvis/1.tif\tfused/1.png"
    assert "skipped in vis: 1 by --prefer" in done.err


def test_pairs_from_stdin_and_paths_for_xargs(lkcfuse_process, scene, settings):
    odd = "day/new\nline\udcff.png"
    for folder in ("ir", "vis"):
        write_noise(scene / folder / odd, 6, 5, seed=len(folder))
    names = [f"{folder}/{odd}" for folder in ("ir", "vis")] + ["ir/1.png", "vis/1.bmp"]
    stdin = b"".join(os.fsencode(name) + b"\0" for name in names)
    done = lkcfuse_process("batch", "--from-stdin", "-0", *settings, stdin=stdin, cwd=scene)
    assert done.code == 0, done.err
    assert done.out == b"fused/new\nline\xff.png\0fused/1.png\0"
    assert all(os.path.exists(path) for path in done.out.split(b"\0")[:-1])  # noqa: PTH110


def test_lines_from_stdin(lkcfuse_process, scene):
    lines = b"ir/1.png\tvis/1.bmp\nir/day/1.png\tvis/day/1.bmp\n"
    words = ("batch", "--from-stdin", "--dry-run")
    lkcfuse_process(*words, stdin=lines, cwd=scene).assert_fails(2, "third column")
    named = lines.replace(b"day/1.bmp", b"day/1.bmp\tday-1")
    done = lkcfuse_process(*words, stdin=named, cwd=scene)
    assert [line.split("\t")[2] for line in done.text.splitlines()] == [
        "fused/1.png",
        "fused/day-1.png",
    ]
    lkcfuse_process(*words, stdin=b"", cwd=scene).assert_fails(3, "the list is empty")


def test_metrics_are_those_of_eval_and_are_not_computed_twice(lkcfuse, scene, settings):
    done = lkcfuse("batch", "ir", "vis", "--metrics", "m.csv", "--json", *settings)
    assert done.code == 0, done.err
    assert "wrote m.csv and m.summary.csv: 6 rows of 21 metrics" in done.err
    records = [json.loads(line) for line in done.text.splitlines()]
    with open("m.csv", newline="") as file:  # noqa: PTH123
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [*NAMES]
    for record, row in zip(records, rows, strict=True):
        assert {
            k: v if v is None else float(f"{v:.10g}") for k, v in record["metrics"].items()
        } == {k: float(v) if v else None for k, v in row.items() if k not in ("name", "method")}
    assert lkcfuse("eval", "-o", "e.csv", "-q").code == 0
    for name in ("csv", "summary.csv"):
        assert Path(f"e.{name}").read_bytes() == Path(f"m.{name}").read_bytes()
    journal = Path("fused/.lkcfuse/run.jsonl")
    before = journal.read_text().count('"metrics"')
    assert lkcfuse("batch", "ir", "vis", "--metrics", "m.csv", *settings).code == 0
    assert Path("e.csv").read_bytes() == Path("m.csv").read_bytes()
    assert journal.read_text().count('"metrics"') == before == 6


def test_shards_side_by_side_make_one_batch(scene, settings):
    words = [sys.executable, "-m", "lkcfuse", "batch", "ir", "vis", "-q", *settings]
    runs = [subprocess.Popen([*words, "--shard", f"{k}/2"], stderr=subprocess.PIPE) for k in (1, 2)]
    for process in runs:
        _, seen = process.communicate(timeout=120)
        assert process.returncode == 0, seen
    assert sorted(contents(scene / "fused")) == sorted(f"{name}.png" for name in NAMES)
    lines = (scene / "fused" / ".lkcfuse" / "run.jsonl").read_text().splitlines()
    assert [json.loads(line)["type"] for line in lines].count("pair") == 6


@pytest.fixture
def start(tmp_path, settings):
    """Start a batch of 80 pairs as a process of its own."""
    make_pairs(tmp_path, [f"{number}" for number in range(80)])
    running = []

    def call(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "lkcfuse", "batch", "ir", "vis", *settings, *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        return process

    yield call
    for process in running:
        process.kill()
        process.communicate()


def test_ctrl_c_keeps_what_is_done(start, lkcfuse, tmp_path, settings, monkeypatch):
    process = start()
    assert process.stdout.readline() == b"fused/0.png\n"
    process.send_signal(signal.SIGINT)
    _, seen = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.fullmatch(
        rb"lkcfuse: interrupted: \d+ of 80 pairs done; run the same command to continue",
        seen.splitlines()[-1],
    )
    assert b"Traceback" not in seen
    kept = contents(tmp_path / "fused")
    assert 0 < len(kept) < 80
    assert not [name for name in kept if ".lkcfuse-" in name]
    monkeypatch.chdir(tmp_path)
    done = lkcfuse("batch", "ir", "vis", *settings)
    assert f"{len(kept)} verified" in done.err
    assert len(contents(tmp_path / "fused")) == 80


STALLED = """
import os
from lkcfuse.batch import stages
from lkcfuse.cli import app

load = stages.load

def stall(path):
    # A pipe that nobody writes to stands for a mount that does not answer.
    if path.name == "2.png":
        os.open("stalled", os.O_RDONLY)
    return load(path)

stages.load = stall
app.main()
"""


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_whatever_a_reader_does(tmp_path, settings, signum, code):
    make_pairs(tmp_path, [f"{number}" for number in range(4)])
    (tmp_path / "stalled.py").write_text(STALLED)
    os.mkfifo(tmp_path / "stalled")
    words = [sys.executable, "-m", "stalled", "batch", "ir", "vis", *settings]
    with subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 60
        while not all((tmp_path / "fused" / name).exists() for name in ("0.png", "1.png")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signum)
        _, seen = process.communicate(timeout=60)
    assert process.returncode == code
    last = seen.splitlines()[-1]
    assert re.match(rb"lkcfuse: (interrupted|terminated): \d of \d pairs done; run the same", last)
    assert b"Traceback" not in seen
    assert contents(tmp_path / "fused").keys() == {"0.png", "1.png"}


def test_pipes_that_are_listed_fail_alone(lkcfuse, tmp_path, settings, monkeypatch):
    make_pairs(tmp_path, ["0", "1"])
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "pairs.csv").write_text("pipe.png,vis/0.bmp,p\nir/1.png,vis/1.bmp,q\n")
    monkeypatch.chdir(tmp_path)
    done = lkcfuse("batch", "--pairs", "pairs.csv", *settings)
    assert done.text == "fused/q.png\n"
    assert "pipe.png is not a regular file" in done.err


def test_a_closed_pipe_ends_it_quietly(start, tmp_path):
    process = start("-q", "--json")
    assert json.loads(process.stdout.readline())["name"] == "0"
    process.stdout.close()
    process.stdout = None
    _, seen = process.communicate(timeout=60)
    assert (process.returncode, seen) == (141, b"")
    assert 0 < len(contents(tmp_path / "fused")) < 80


def test_a_second_run_beside_is_refused(start, lkcfuse, tmp_path, monkeypatch, settings):
    process = start()
    process.stdout.readline()
    monkeypatch.chdir(tmp_path)
    done = lkcfuse("batch", "ir", "vis", "-q", *settings)
    done.assert_fails(2, "another run is working in fused")


def test_a_terminal_shows_a_bar_with_pairs_per_second(lkcfuse, scene, settings, monkeypatch):
    monkeypatch.setattr(output, "_PROGRESS_DELAY_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    ours, theirs = pty.openpty()
    seen = []

    def read():
        try:
            while data := os.read(ours, 65536):
                seen.append(data)
        except OSError:
            pass  # the other end is closed

    reader = threading.Thread(target=read)
    reader.start()
    with open(theirs, "w") as terminal:  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(sys, "stdout", terminal)
        from lkcfuse.cli.app import run

        assert run(["batch", "ir", "vis", *settings]) == 0
        monkeypatch.undo()
    reader.join(10)
    os.close(ours)
    text = b"".join(seen).decode()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"fusing .* \d/6 pairs", plain)
    # Every path stands on a line of its own, above the bar.
    lines = [line.strip() for line in re.split(r"[\r\n]+", plain)]
    assert [line for line in lines if line.startswith("fused/")] == PATHS


def test_a_dry_run_refuses_what_the_run_would(lkcfuse, scene):
    words = ("batch", "ir", "vis", "--dry-run", "-q")
    with claim(scene / "fused"):
        lkcfuse(*words).assert_fails(2, "another run is working")
    assert lkcfuse(*words).code == 0
    lkcfuse(*words, "--device", "cuda:99").assert_fails(5, "cuda")


def test_a_list_with_a_nul(lkcfuse_process, scene):
    done = lkcfuse_process("batch", "--from-stdin", stdin=b"a.png\tb.png\0x\n", cwd=scene)
    done.assert_fails(3, "line 1", "-0")


def test_grey_pairs_without_a_task_get_a_line_on_it(lkcfuse, tmp_path, machine, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, seed in (("mri", 0), ("ct", 1)):
        write_noise(tmp_path / folder / "1.png", 9, 8, seed=seed)
    line = "both images are grey and --task was not given"
    dry = lkcfuse("batch", "mri", "ct", "--dry-run", *machine)
    assert line in dry.err
    assert lkcfuse("batch", "mri", "ct", *machine).err.count(line) == 1
    named = lkcfuse("batch", "mri", "ct", "--task", "mri-ct", "-o", "other", *machine)
    assert line not in named.err
    write_noise(tmp_path / "ct" / "1.png", 9, 8, 3, seed=1)
    assert line not in lkcfuse("batch", "mri", "ct", "-o", "coloured", *machine).err
