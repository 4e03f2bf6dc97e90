from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from lkcfuse.images import image_from_array, image_to_array, read_image, write_image


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def pair(tmp_path):
    """A folder with ir.png and vis.png, and the paths of both."""
    for name, array in (("ir.png", noise(12, 9)), ("vis.png", noise(12, 9, 3, seed=1))):
        write_image(image_from_array(array), tmp_path / name)
    return tmp_path / "ir.png", tmp_path / "vis.png"


@pytest.fixture
def settings(maximum_weights):
    """Options that make a run quick, with a known answer: the maximum of the lumas."""
    return ["--weights", maximum_weights, "--device", "cpu", "--threads", "1"]


def assert_is_maximum(fused, pair):
    wanted = np.maximum(*(read_image(path).luma for path in pair)) * 255
    assert np.abs(fused.luma * 255 - wanted).max() <= 0.52


def test_two_files_in_one_out(lkcfuse, pair, settings, tmp_path):
    output = tmp_path / "out.png"
    done = lkcfuse("fuse", *pair, "-o", output, *settings)
    assert done.code == 0, done.err
    assert done.text == f"{output}\n"
    assert done.err == "lkcfuse: fusing 9x12 pixels with max.safetensors on cpu (1 thread)\n"
    assert names(tmp_path) == ["ir.png", "out.png", "vis.png"]
    fused = read_image(output)
    assert fused.chroma is not None
    assert_is_maximum(fused, pair)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (2, 1), (33, 17)])
def test_odd_sizes(lkcfuse, settings, tmp_path, size):
    for name in ("a.png", "b.png"):
        write_image(image_from_array(noise(*size, seed=len(name))), tmp_path / name)
    output = tmp_path / "out.png"
    assert (
        lkcfuse("fuse", tmp_path / "a.png", tmp_path / "b.png", "-o", output, *settings).code == 0
    )
    np.testing.assert_array_equal(image_to_array(read_image(output)), noise(*size, seed=5))


def test_tasks_without_colour(lkcfuse, pair, settings, tmp_path):
    output = tmp_path / "out.png"
    assert lkcfuse("fuse", *pair, "-o", output, "--task", "mri-ct", *settings).code == 0
    assert read_image(output).chroma is None


def test_black_hot(lkcfuse, pair, settings, tmp_path):
    white = tmp_path / "white.png"
    write_image(image_from_array(np.full((12, 9), 255, np.uint8)), white)
    output = tmp_path / "out.png"
    assert lkcfuse("fuse", white, pair[0], "-o", output, "--invert-first", *settings).code == 0
    np.testing.assert_array_equal(read_image(output).luma, read_image(pair[0]).luma)


def test_format_wins_over_suffix(lkcfuse, pair, settings, tmp_path):
    output = tmp_path / "out"
    assert lkcfuse("fuse", *pair, "-o", output, "--format", "webp", *settings).code == 0
    with PIL.Image.open(output) as written:
        assert written.format == "WEBP"


def test_json(lkcfuse, pair, settings, tmp_path):
    done = lkcfuse("fuse", *pair, "-o", tmp_path / "out.png", "--json", *settings)
    record = json.loads(done.text)
    assert record.pop("seconds") > 0
    assert re.fullmatch("[0-9a-f]{64}", record.pop("weights_sha256"))
    assert record == {
        "output": str(tmp_path / "out.png"),
        "first": str(pair[0]),
        "second": str(pair[1]),
        "task": "ir-vis",
        "weights": "max.safetensors",
        "device": "cpu",
        "threads": 1,
        "width": 9,
        "height": 12,
        "warnings": [],
    }


def test_quiet(lkcfuse, pair, settings, tmp_path):
    done = lkcfuse("fuse", *pair, "-o", tmp_path / "out.png", "--quiet", *settings)
    assert (done.code, done.out, done.err) == (0, b"", "")


def test_swapped_sources_get_a_warning(lkcfuse, pair, settings, tmp_path):
    done = lkcfuse("fuse", pair[1], pair[0], "-o", tmp_path / "out.png", *settings)
    assert done.code == 0
    assert re.search(r"^lkcfuse: warning: .*swapped\?", done.err, re.MULTILINE)


# What can be known to be wrong before torch is imported is tested with a file that is not a
# checkpoint: an error about anything else shows that it was found first.
UNFIT = ["--weights", __file__]


def test_missing_file(lkcfuse, pair, tmp_path):
    done = lkcfuse("fuse", tmp_path / "nope.png", pair[1], "-o", tmp_path / "out.png", *UNFIT)
    done.assert_fails(3, "nope.png", "does not exist")


def test_text_named_png(lkcfuse, pair, tmp_path):
    (tmp_path / "text.png").write_text("no pixels here")
    done = lkcfuse("fuse", pair[0], tmp_path / "text.png", "-o", tmp_path / "out.png", *UNFIT)
    done.assert_fails(3, "text.png", "not an image")


def test_truncated_png(lkcfuse, pair, tmp_path):
    (tmp_path / "cut.png").write_bytes(pair[0].read_bytes()[:80])
    done = lkcfuse("fuse", tmp_path / "cut.png", pair[1], "-o", tmp_path / "out.png", *UNFIT)
    done.assert_fails(3, "cut.png", "cut off")
    assert "out.png" not in names(tmp_path)


def test_two_sizes(lkcfuse, pair, tmp_path):
    write_image(image_from_array(noise(10, 20)), tmp_path / "big.png")
    done = lkcfuse("fuse", pair[0], tmp_path / "big.png", "-o", tmp_path / "out.png", *UNFIT)
    done.assert_fails(3, "ir.png has 9x12", "big.png has 20x10")


def test_the_output_folder_is_made_when_there_is_something_to_write(lkcfuse, pair, tmp_path):
    output = tmp_path / "new" / "folder" / "out.png"
    lkcfuse("fuse", *pair, "-o", output, "-q", *UNFIT).assert_fails(4, "safetensors")
    assert not (tmp_path / "new").exists()
    assert lkcfuse("fuse", *pair, "-o", output).code == 0
    assert output.is_file()


@pytest.mark.parametrize("output", ["out.webp", "-"])
def test_an_image_too_large_for_the_format(lkcfuse, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    for name in ("ir.png", "vis.png"):
        write_image(image_from_array(noise(1, 17_000)), name)
    done = lkcfuse("fuse", "ir.png", "vis.png", "-o", output, "--format", "webp", *UNFIT)
    done.assert_fails(2, "webp holds at most 16383", "png or tiff")
    assert names(tmp_path) == ["ir.png", "vis.png"]


def test_existing_output_is_kept_unless_forced(lkcfuse, pair, settings, tmp_path):
    output = tmp_path / "out.png"
    output.write_bytes(b"precious")
    lkcfuse("fuse", *pair, "-o", output, *UNFIT).assert_fails(2, "out.png exists", "--force")
    assert output.read_bytes() == b"precious"
    lkcfuse("fuse", *pair, "-o", output, "--force", *UNFIT).assert_fails(4, __file__)
    assert output.read_bytes() == b"precious"
    assert lkcfuse("fuse", *pair, "-o", output, "--force", *settings).code == 0
    assert_is_maximum(read_image(output), pair)


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (["--task", "ct-mri"], 2, "ct-mri"),
        (["--format", "gif"], 2, "gif"),
        (["--threads", "0"], 2, "--threads"),
        (["--device", "gpu", *UNFIT], 2, "gpu"),
        (["--device", "cuda:99", *UNFIT], 5, "cuda"),
        (["--weights", "no-such-name"], 4, "no-such-name"),
        (["--nope"], 2, "--nope"),
    ],
)
def test_wrong_options(lkcfuse, pair, tmp_path, options, code, word):
    done = lkcfuse("fuse", *pair, "-o", tmp_path / "out.png", *options)
    done.assert_fails(code, word)
    assert names(tmp_path) == ["ir.png", "vis.png"]


def test_no_output(lkcfuse, pair):
    lkcfuse("fuse", *pair).assert_fails(2, "the output is missing", f"{pair[1]} -o fused.png")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ir/1.png"], "lkcfuse fuse A B -o fused.png"),
        (["ir/1.png", "vis/1.png", "out.png"], "lkcfuse fuse ir/1.png vis/1.png -o out.png"),
        (["ir/1.png", "-o", "out.png"], "got one, ir/1.png"),
        (["ir/1.png", "ir/2.png", "vis/1.png", "vis/2.png"], "lkcfuse batch ir vis"),
        (["ir/1.png", "ir/2.png", "vis/1.png", "-o", "x.png"], "lkcfuse batch ir vis"),
        (["ir/*.tif", "vis/*.tif", "-o", "out.png"], "no file matches ir/*.tif"),
        (["ir", "vis", "-o", "out.png"], "lkcfuse batch ir vis"),
    ],
)
def test_words_that_make_no_pair_are_answered_with_what_to_type(
    lkcfuse, tmp_path, monkeypatch, words, told
):
    monkeypatch.chdir(tmp_path)
    for name in ("ir/1.png", "ir/2.png", "vis/1.png", "vis/2.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
    lkcfuse("fuse", *words).assert_fails(2, told)
    assert not Path("out.png").exists()


@pytest.mark.parametrize("words", [["ir/1.png", "vis/1.png"], ["ir/*.png", "vis/*.png"]])
def test_batch_told_files_names_the_folders(lkcfuse, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for name in ("ir/1.png", "vis/1.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
    lkcfuse("batch", *words, "-o", "out").assert_fails(2, "lkcfuse batch ir vis")


def test_one_file_with_a_fourth_channel_is_split(lkcfuse, pair, tmp_path):
    thermal = read_image(pair[0]).luma_samples
    visible = read_image(pair[1]).luma_samples
    four = np.dstack([*([visible] * 3 if visible.ndim == 2 else [visible]), thermal])
    PIL.Image.fromarray(four).save(tmp_path / "rgbt.png")
    outputs = [tmp_path / "two.png", tmp_path / "one.png"]
    assert lkcfuse("fuse", *pair, "-o", outputs[0]).code == 0
    assert lkcfuse("fuse", tmp_path / "rgbt.png", "--split", "-o", outputs[1]).code == 0
    np.testing.assert_array_equal(*(image_to_array(read_image(path)) for path in outputs))


def test_strength_blends_the_second_source_with_the_fusion(lkcfuse, pair, tmp_path):
    lumas = []
    for strength in ("0", "0.5", "1"):
        output = tmp_path / f"{strength}.tif"
        assert lkcfuse("fuse", *pair, "--strength", strength, "-o", output).code == 0
        lumas.append(read_image(output).luma)
    np.testing.assert_allclose(lumas[0], read_image(pair[1]).luma, atol=0.003)
    np.testing.assert_allclose(lumas[1], (lumas[0] + lumas[2]) / 2, atol=0.005)
    assert np.abs(lumas[2] - lumas[0]).mean() > 0.01


def test_streams_that_cannot_be(lkcfuse, pair):
    lkcfuse("fuse", "-", "-", "-o", "x.png").assert_fails(2, "standard input")
    both = lkcfuse("fuse", *pair, "-o", "-", "--json")
    assert both.code == 2
    assert "--json" in json.loads(both.out)["error"]
    lkcfuse("fuse", *pair, "-o", "-", "--format", "gif").assert_fails(2, "gif")


def test_two_videos_get_the_lines_to_type(lkcfuse, tmp_path):
    ir, vis = tmp_path / "ir.mp4", tmp_path / "vis.MOV"
    for output in ("out.mkv", "out.png"):
        done = lkcfuse("fuse", ir, vis, "-o", output)
        done.assert_fails(2, f"ffmpeg -i {ir} a/%05d.png", "lkcfuse batch a b -o fused")
        last = "out.mkv" if output == "out.mkv" else "fused.mp4"
        assert f"-i fused/%05d.png {last}" in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk(lkcfuse, pair, settings):
    done = lkcfuse("fuse", *pair, "-o", "/dev/full", "--format", "png", "-q", *settings)
    done.assert_fails(5, "/dev/full", "No space left")


def test_pipes(lkcfuse_process, pair, settings):
    words = ["fuse", "-", pair[1], "-o", "-", "--format", "bmp", *settings]
    done = lkcfuse_process(*words, stdin=pair[0].read_bytes())
    assert done.code == 0, done.err
    assert done.out.startswith(b"BM")
    assert_is_maximum(read_image(io.BytesIO(done.out)), pair)
    done = lkcfuse_process(*words, "-q", stdin=b"")
    done.assert_fails(3, "standard input is empty")


@pytest.mark.skipif(os.name != "posix", reason="a shell that closes streams")
@pytest.mark.parametrize(
    ("words", "closed", "code", "said"),
    [
        (["-o", "x.png"], ">&-", 0, ""),
        (["-o", "x.png"], "2>&-", 0, ""),
        (["-o", "x.png"], "<&- >&- 2>&-", 0, ""),
        (["-o", "-"], ">&-", 2, "standard output is closed"),
    ],
)
def test_closed_streams(pair, settings, tmp_path, words, closed, code, said):
    program = [sys.executable, "-m", "lkcfuse", "fuse", *pair, *words, "-q", *settings]
    line = shlex.join(map(str, program))
    done = subprocess.run(
        f"{line} {closed}", shell=True, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr.decode()
    assert done.stderr.count(b"\n") == bool(said)
    if code == 0:
        assert_is_maximum(read_image(tmp_path / "x.png"), pair)


@pytest.mark.skipif(os.name != "posix", reason="a shell that closes streams")
def test_a_closed_input_is_empty(pair, settings):
    program = [sys.executable, "-m", "lkcfuse", "fuse", "-", pair[1], "-o", "x.png", *settings]
    line = shlex.join(map(str, program))
    done = subprocess.run(f"{line} <&-", shell=True, capture_output=True, check=False)
    assert done.returncode == 3
    assert done.stderr == b"lkcfuse: error: standard input is empty: it has no bytes\n"


def test_urls_are_for_batch(lkcfuse, pair):
    lkcfuse("fuse", *pair, "-o", "s3://b/x.png").assert_fails(2, "s3://b/x.png is a URL", "batch")
    lkcfuse("fuse", "gs://b/x.png", pair[1], "-o", "x.png").assert_fails(2, "gs://b/x.png", "URL")


def test_a_closed_pipe_ends_it_quietly(pair, settings):
    reader, writer = os.pipe()
    os.close(reader)
    words = ["fuse", *pair, "-o", "-", "-q", *settings]
    done = subprocess.run(
        [sys.executable, "-m", "lkcfuse", *map(str, words)],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_an_image_is_neither_read_from_nor_written_to_a_terminal(pair):
    main_end, terminal = os.openpty()
    try:
        for words, streams in (
            (["fuse", *pair, "-o", "-"], {"stdout": terminal, "stderr": subprocess.PIPE}),
            (["fuse", "-", pair[0], "-o", "x.png"], {"stdin": terminal, "stderr": subprocess.PIPE}),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "lkcfuse", *map(str, words)], check=False, **streams
            )
            assert done.returncode == 2
            assert re.fullmatch(rb"lkcfuse: error: .*terminal.*\n", done.stderr)
    finally:
        os.close(main_end)
        os.close(terminal)


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_progress_on_a_terminal_and_ctrl_c_leaves_nothing(settings, tmp_path):
    for name in ("a.png", "b.png"):
        write_image(image_from_array(noise(2500, 2500)), tmp_path / name)
    words = ["fuse", tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out.png", *settings]
    main_end, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lkcfuse", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(terminal)
    seen = b""
    deadline = time.monotonic() + 60
    while not re.search(rb"fusing .*%", seen.split(b"pixels")[-1]):
        assert process.poll() is None, seen
        assert time.monotonic() < deadline, seen
        seen += os.read(main_end, 4096)
    process.send_signal(signal.SIGINT)
    try:
        while data := os.read(main_end, 4096):
            seen += data
    except OSError:
        pass  # so Linux says that the other end was closed
    os.close(main_end)
    assert process.communicate(timeout=60)[0] == b""
    assert process.returncode == 130
    assert b"lkcfuse: interrupted" in seen
    assert b"Traceback" not in seen
    assert names(tmp_path) == ["a.png", "b.png"]


def test_a_file_given_twice_is_refused(lkcfuse, pair, tmp_path):
    before = pair[1].read_bytes()
    again = tmp_path / "." / "ir.png"
    lkcfuse("fuse", pair[0], again, "-o", "x.png").assert_fails(2, "ir.png", "the same file")
    done = lkcfuse("fuse", *pair, "-o", pair[1], "--force")
    done.assert_fails(2, "vis.png is a source and would be overwritten")
    assert pair[1].read_bytes() == before
    assert names(tmp_path) == ["ir.png", "vis.png"]


def test_folders_are_pointed_to_what_takes_them(lkcfuse, pair, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b c"]
    for folder in folders:
        folder.mkdir()
    batch = f"lkcfuse batch {folders[0]} '{folders[1]}'"
    lkcfuse("fuse", *folders, "-o", tmp_path / "x.png").assert_fails(2, batch)
    lkcfuse("fuse", *pair, "-o", folders[0]).assert_fails(2, "a is a folder: name a file in it")


def test_two_sizes_are_refused_with_the_cure_and_scaled_when_asked(lkcfuse, settings, tmp_path):
    for name, array in (("ir.png", noise(12, 9)), ("vis.png", noise(24, 18, 3, seed=1))):
        write_image(image_from_array(array), tmp_path / name)
    words = ["fuse", tmp_path / "ir.png", tmp_path / "vis.png", "-o", tmp_path / "out.png"]
    lkcfuse(*words, *settings).assert_fails(3, "ir.png", "9x12", "--resize", "--transform")
    lkcfuse(*words, *settings, "--resize", "larger").assert_fails(2, "--resize larger", "first")
    (tmp_path / "rig.json").write_text('{"transform": [[0.5, 0, -0.25], [0, 0.5, -0.25], [0,0,1]]}')
    rig = ["--transform", tmp_path / "rig.json"]
    lkcfuse(*words, *settings, "--resize", "first", *rig).assert_fails(2, "exclude each other")
    for chosen in (["--resize"], [*rig, "--grid"]):
        for which, size in (("first", (12, 9)), ("second", (24, 18))):
            done = lkcfuse(*words, *settings, "--force", *chosen, which)
            assert done.code == 0, done.err
            assert read_image(tmp_path / "out.png").size == size
