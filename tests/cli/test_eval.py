from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from lkcfuse.cli.summary import draw
from lkcfuse.metrics import METRICS, evaluate, select
from lkcfuse.metrics.comparison import Comparison
from lkcfuse.metrics.scoring import Score
from lkcfuse.metrics.table import Table


def noise(seed=0, shape=(40, 48)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two pairs in `ir/` and `vis/`, results in `ours/` and `theirs/`; work from above them."""
    monkeypatch.chdir(tmp_path)
    for number, folder in enumerate(("ir", "vis", "ours", "theirs")):
        for index, stem in enumerate(("1", "day/2")):
            path = tmp_path / folder / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            PillowImage.fromarray(noise(10 * number + index)).save(path)
    return tmp_path


BOTH = ("--fused", "ours", "--fused", "theirs", "--a", "ir", "--b", "vis")
OURS = ("--fused", "ours/", "--a", "ir/", "--b", "vis/")


def rows_of(data):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_writes_one_row_per_pair_and_method_and_the_summary_beside(lkcfuse, folders):
    done = lkcfuse("eval", "-o", "metrics.csv", *BOTH)
    assert done.code == 0, done.err
    assert done.err == (
        "lkcfuse: wrote metrics.csv and metrics.summary.csv: 4 rows of 21 metrics\n"
    )
    rows = rows_of((folders / "metrics.csv").read_bytes())
    assert [(row["name"], row["method"]) for row in rows] == [
        (name, method)
        for names in (("1", "day/2"),)
        for method in ("ours", "theirs")
        for name in names
    ]
    summary = rows_of((folders / "metrics.summary.csv").read_bytes())
    assert len(summary) == 2 * 21
    vif = next(row for row in summary if (row["metric"], row["method"]) == ("VIF", "theirs"))
    values = [float(row["VIF"]) for row in rows if row["method"] == "theirs"]
    assert float(vif["mean"]) == pytest.approx(np.mean(values), rel=1e-9)
    assert vif["count"] == "2"
    of_task = [metric.name for metric in select(task="ir-vis")]
    expected = evaluate(noise(21), noise(1), noise(11), of_task)
    assert list(rows[1]) == ["name", "method", *expected]
    for name, value in expected.items():
        assert float(rows[1][name] or "nan") == pytest.approx(value, rel=1e-9, nan_ok=True)
    assert rows[0]["MS-SSIM"] == ""  # undefined for so small an image


def test_prints_the_summary(lkcfuse, folders):
    text = lkcfuse("eval", *BOTH, "--metrics", "VIF,mse,EN", "--task", "mri-ct").text
    assert "mri-ct: A MRI, B CT, 2 pairs" in text
    lines = [line.split() for line in text.partition("mean rank")[0].splitlines()]
    assert ["metric", "better", "ours", "theirs"] in lines
    table = {line[0]: line for line in lines if line and line[0] in METRICS}
    assert list(table) == ["VIF", "MSE", "EN"]
    values = [evaluate(noise(20 + i), noise(i), noise(10 + i), ["VIF"])["VIF"] for i in range(2)]
    assert table["VIF"][1:5] == [
        "higher",
        f"{np.mean(values):.4f}",
        "±",
        f"{np.std(values, ddof=1):.4f}",
    ]
    assert table["MSE"][1] == "lower"
    assert table["EN"][1:3] == ["higher", "*"]
    assert "never rank methods by it alone" in text


def test_fused_images_of_other_names(lkcfuse, folders):
    plain = lkcfuse("eval", *OURS, "--metrics", "MI", "--json")
    for path in list(folders.glob("ours/**/*.png")):
        path.rename(path.with_stem(f"{path.stem}_CBF"))
        path.with_stem(f"{path.stem}_other").write_bytes(b"no image, and of no pair")
    lkcfuse("eval", *OURS).assert_fails(3, "none of the 2 pairs", "'1_CBF'", "--match")
    done = lkcfuse("eval", *OURS, "--metrics", "MI", "--json", "--match", "{}={}_CBF")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.text) == json.loads(plain.text)


def test_baselines_and_ground_truths(lkcfuse, folders):
    done = lkcfuse("eval", *OURS, "--baselines", "--gt", "ours", "-o", "-")
    assert done.code == 0, done.err
    rows = rows_of(done.out)
    assert [row["method"] for row in rows[::2]] == ["ours", "maximum", "mean"]
    assert list(rows[0])[-4:] == ["GT_PSNR", "GT_SSIM", "GT_MS-SSIM", "GT_MAE"]
    assert rows[0]["GT_MAE"] == "0"
    assert rows[0]["GT_PSNR"] == ""  # infinite
    assert float(rows[2]["GT_MAE"]) > 10


def test_single_files(lkcfuse, folders):
    done = lkcfuse(
        "eval", "-o", "-", "--fused", "ours/1.png", "--a", "ir/1.png", "--b", "vis/1.png"
    )
    rows = rows_of(done.out)
    assert [(row["name"], row["method"]) for row in rows] == [("1", "1")]


def test_json_by_the_name_and_on_stdout(lkcfuse, folders):
    done = lkcfuse("eval", "-o", "m.json", *OURS, "--metrics", "EN", "--json")
    record = json.loads(done.text)
    written = json.loads((folders / "m.json").read_text())
    assert record == {**written, "failures": []}
    assert [row["name"] for row in written["rows"]] == ["1", "day/2"]
    assert [(row["metric"], row["method"]) for row in written["summary"]] == [("EN", "ours")]


def test_the_older_name_of_output(lkcfuse, folders):
    assert lkcfuse("eval", "--gt-free", "m.csv", *OURS, "--metrics", "EN").code == 0
    assert (folders / "m.csv").exists()
    done = lkcfuse("eval", "--gt-free", "a.csv", "-o", "b.csv", *OURS)
    done.assert_fails(2, "two names of one option")
    assert "--gt-free" not in lkcfuse("eval", "--help").text


def test_a_table_of_older_form_is_replaced_with_a_line(lkcfuse, folders):
    table = folders / "m.csv"
    table.write_text("name,method,EN\n1,ours,7\n2,ours,5\nmean,ours,6\nstd,ours,1.414213562\n")
    done = lkcfuse("eval", "-o", "m.csv", *OURS, "--metrics", "EN")
    assert done.code == 0
    assert "m.csv replaces a table whose last rows were means and deviations" in done.err
    assert [row["name"] for row in rows_of(table.read_bytes())] == ["1", "day/2"]


def test_means_are_over_common_pairs_and_say_so(lkcfuse, folders):
    (folders / "theirs/day/2.png").unlink()
    done = lkcfuse("eval", *BOTH, "--metrics", "VIF", "--json")
    assert done.err == ("lkcfuse: warning: theirs holds no fused image for 1 of 2 pairs: day/2\n")
    record = json.loads(done.text)
    first = evaluate(noise(20), noise(0), noise(10), ["VIF"])["VIF"]
    assert record["summary"][0]["mean"] == pytest.approx(first)
    assert record["summary"][0]["count"] == 1
    text = lkcfuse("eval", *BOTH, "--metrics", "VIF,SSIM,MS-SSIM").text
    assert "theirs has no scores for 1 of 2 pairs: day/2" in text
    assert "1 of 2 (MS-SSIM: none)" in text
    assert "MS-SSIM is undefined for all pairs: it is for images under 161 pixels" in text
    assert "SSIM and MS-SSIM: a sum over the two sources, up to 2" in text


def test_ranks_and_tests_are_printed_and_written(lkcfuse, folders):
    for folder in ("ir", "vis", "ours", "theirs"):
        for index in range(3, 9):
            PillowImage.fromarray(noise(index)).save(folders / folder / f"{index}.png")
    for index in range(3, 9):  # the mean of both is nearer to them than noise
        middle = (noise(index).astype(int) + noise(index + 20)) // 2
        for folder, image in (("vis", noise(index + 20)), ("ours", middle.astype(np.uint8))):
            PillowImage.fromarray(image).save(folders / folder / f"{index}.png")
    done = lkcfuse("eval", "-o", "m.csv", *BOTH, "--metrics", "MSE,CC", "--match", "{}={}")
    assert done.code == 0, done.err
    rows = rows_of((folders / "m.summary.csv").read_bytes())
    ours, theirs = (row for row in rows if row["metric"] == "MSE")
    assert (ours["method"], ours["p"]) == ("ours", "")
    assert 0 < float(theirs["p"]) < 0.05
    assert float(ours["rank"]) + float(theirs["rank"]) == 3
    lines = done.text.partition("mean rank (p against the best mean)")[2].splitlines()
    mse = next(line for line in lines if line.split()[:1] == ["MSE"])
    assert mse.split() == [
        "MSE",
        f"{float(ours['rank']):.2f}",
        f"{float(theirs['rank']):.2f}",
        f"({float(theirs['p']):.3f})".replace("0.", "."),
    ]
    assert "Holm" in done.text


def test_few_pairs_cannot_differ_significantly(lkcfuse, folders):
    text = lkcfuse("eval", *BOTH, "--metrics", "VIF").text
    assert "2 pairs are too few for 2 methods: p is .500 at the smallest" in text


def test_without_scipy_there_are_ranks_and_a_line(lkcfuse, folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    done = lkcfuse("eval", *BOTH, "--metrics", "VIF")
    assert done.code == 0
    assert "mean rank\n" in done.text
    assert "they need scipy (pip install 'lkcfuse[stats]')" in done.text


def test_a_table_and_a_plot_for_a_paper(lkcfuse, folders):
    words = (*BOTH, "--metrics", "VIF,MSE")
    done = lkcfuse("eval", *words, "--summary", "t.tex", "--plot", "p.svg", "--table", "markdown")
    assert done.code == 0, done.err
    assert done.err.splitlines()[-2:] == ["lkcfuse: wrote t.tex", "lkcfuse: wrote p.svg"]
    assert done.text.startswith("| Method | VIF ↑ | MSE ↓ | Rank ↓ |\n")
    assert r"\toprule" in (folders / "t.tex").read_text()
    assert (folders / "p.svg").read_text().startswith("<?xml")
    for extra, message in (
        (("--table", "word"), "choose from latex, markdown, html, csv"),
        (("--table", "csv", "-o", "-"), "cannot share standard output"),
        (("--summary", "t.doc"), "end its name in .tex"),
        (("--plot", "p.png"), "ends in .svg or .pdf"),
        (("--plot", "p.svg"), "p.svg exists"),
    ):
        lkcfuse("eval", *words, *extra).assert_fails(2, message)


def test_quiet(lkcfuse, folders):
    done = lkcfuse("eval", "-o", "m.csv", *OURS, "--metrics", "EN", "--quiet")
    assert (done.code, done.out, done.err) == (0, b"", "")
    assert (folders / "m.csv").exists()


def test_an_existing_table_is_replaced_only_if_it_is_evals_own(lkcfuse, folders):
    table = folders / "m.csv"
    for metrics in ("EN", "SD,SF"):
        assert lkcfuse("eval", "-o", "m.csv", *OURS, "--metrics", metrics).code == 0
    assert table.read_text().startswith("name,method,SD,SF\n")
    table.write_text(table.read_text().replace("day/2,ours,", "day/2,ours,1"))
    before = table.read_bytes()
    done = lkcfuse("eval", "-o", "m.csv", *OURS, "--metrics", "EN")
    done.assert_fails(2, "m.csv", "was changed since", "--force")
    assert table.read_bytes() == before
    assert lkcfuse("eval", "-o", "m.csv", *OURS, "--metrics", "EN", "--force").code == 0
    assert table.read_text().startswith("name,method,EN\n")


def test_a_pair_that_fails_is_named_and_the_rest_goes_on(lkcfuse, folders):
    PillowImage.fromarray(noise(0, (40, 50))).save(folders / "ours/day/2.png")
    done = lkcfuse("eval", "-o", "m.csv", *OURS, "--metrics", "EN")
    assert done.code == 1
    first, _, last = done.err.splitlines()
    assert first.startswith("lkcfuse: error: day/2: ")
    assert f"{Path('ours/day/2.png')} is 50x40" in first
    assert last == "lkcfuse: error: 1 of 2 pairs could not be scored in full"
    assert [row["name"] for row in rows_of((folders / "m.csv").read_bytes())] == ["1"]


def test_no_table_where_nothing_could_be_scored(lkcfuse, folders):
    lkcfuse("eval", "-o", "m.csv", *OURS, "--metrics", "EN")
    before = (folders / "m.csv").read_bytes()
    for name in ("1", "day/2"):
        (folders / f"ir/{name}.png").write_bytes(b"torn")
    done = lkcfuse("eval", "-o", "m.csv", *OURS, "--metrics", "EN")
    assert done.code == 1
    assert "none of 2 pairs could be scored" in done.err.splitlines()[-1]
    assert (folders / "m.csv").read_bytes() == before


def test_single_files_that_cannot_be_scored_are_unfit_input(lkcfuse, folders):
    (folders / "ir/1.png").write_bytes(b"torn")
    done = lkcfuse("eval", "--fused", "ours/1.png", "--a", "ir/1.png", "--b", "vis/1.png")
    done.assert_fails(3, "ir/1.png is a text file, not an image")


def test_a_table_never_replaces_what_is_scored(lkcfuse, folders):
    before = (folders / "ours/1.png").read_bytes()
    (folders / "ours/bare").write_bytes(before)
    single = ("--fused", "ours/bare", "--a", "ir/1.png", "--b", "vis/1.png")
    for words, path, message in (
        (single, folders / "vis/../ours/bare", "another part in this run"),
        (OURS, "ours/1.png", "give it a name that ends in .csv or .json"),
        (OURS, "new.xlsx", "give it a name that ends in .csv or .json"),
    ):
        lkcfuse("eval", *words, "-o", path, "--force").assert_fails(2, message)
    assert (folders / "ours/1.png").read_bytes() == before
    assert (folders / "ours/bare").read_bytes() == before
    assert not (folders / "new.xlsx").exists()


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_folder_that_cannot_be_looked_into(lkcfuse, folders):
    (folders / "ir").chmod(0o700)
    folders.chmod(0o755)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    else:
        (folders / "ir").chmod(0)
    try:
        single = ("--fused", "ours/1.png", "--a", "ir/1.png", "--b", "vis/1.png")
        lkcfuse("eval", *single).assert_fails(3, "ir/1.png", "ermission")
    finally:
        if is_root:
            os.seteuid(0)
        else:
            (folders / "ir").chmod(0o700)


def test_files_without_a_partner_are_said(lkcfuse, folders):
    (folders / "vis/1.png").rename(folders / "vis/7.png")
    done = lkcfuse("eval", *OURS, "--metrics", "EN")
    assert done.code == 0
    assert done.err.splitlines() == [
        f"lkcfuse: warning: no partner in vis: {Path('ir/1.png')}",
        f"lkcfuse: warning: no partner in ir: {Path('vis/7.png')}",
        f"lkcfuse: warning: of no pair: {Path('ours/1.png')}",
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, ["fused", "journal", "--a and --b"]),
        (("--fused", "absent"), 3, ["absent does not exist"]),
        (("--fused", "ours", "--a", "ir", "--b", "ir"), 2, ["ir and ir are the same folder"]),
        (("--fused", "ours", "--a", "ir"), 2, ["--a and --b go together"]),
        (("--fused", "absent", "--a", "ir", "--b", "vis"), 3, ["absent does not exist"]),
        ((*OURS, "--metrics", "LPIPS"), 2, ["LPIPS", "Qabf"]),
        ((*OURS, "--metrics", "GT_PSNR"), 2, ["ground truth"]),
        ((*OURS, "--task", "x-ray"), 2, ["x-ray"]),
        ((*OURS, "-o", "absent/m.csv"), 2, ["absent", "does not exist"]),
        ((*OURS, "-o", "s3://b/m.csv"), 2, ["s3://b/m.csv is a URL"]),
        (("--fused", "s3://b/f", "--a", "ir", "--b", "vis"), 2, ["s3://b/f is a URL"]),
        ((*OURS, "--workers", "0"), 2, ["--workers"]),
        ((*OURS, "--match", "{}=x"), 2, ["cannot be used"]),
        ((*OURS, "--prefer", "doc"), 2, ["--prefer doc"]),
    ],
)
def test_wrong_usage(lkcfuse, folders, words, code, said):
    lkcfuse("eval", *words).assert_fails(code, *said)


def test_a_task_has_columns_of_its_own(lkcfuse, folders):
    plain, named = (
        json.loads(lkcfuse("eval", *OURS, "--json", *words).text)["rows"][0]
        for words in ((), ("--metrics", "MEF-SSIM,EN"))
    )
    assert "MEF-SSIM" not in plain
    assert list(named)[2:] == ["MEF-SSIM", "EN"]


def test_a_table_and_json_cannot_share_standard_output(lkcfuse, folders):
    done = lkcfuse("eval", *OURS, "-o", "-", "--json")
    assert done.code == 2
    assert "cannot share standard output" in json.loads(done.text)["error"]


def test_explain_tells_what_each_metric_is(lkcfuse, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    records = [
        json.loads(line) for line in lkcfuse("eval", "--explain", "--json").text.splitlines()
    ]
    assert [record["name"] for record in records] == list(METRICS)
    by_hand = {r["name"] for r in records if not r["agrees_with_published_evaluator"]}
    assert {"NMI", "FMI", "Nabf", "MS-SSIM", "Qcb", "Qcv", "Qs", "Qw", "Qe", "MEF-SSIM"} <= by_hand
    lower = {record["name"] for record in records if record["better"] == "lower"}
    assert lower == {"MSE", "Nabf", "Qcv", "GT_MAE"}
    text = lkcfuse("eval", "--explain", "--metrics", "Qcb,EN").text
    assert text.index("Chen-Blum metric (Qcb)") < text.index("Entropy (EN)")
    assert text.count("worked out by hand") == 1
    assert all(len(line) <= 100 for line in text.splitlines())


def test_as_a_process_with_workers(lkcfuse_process, folders):
    """What users run: workers start from the console script's process, and torch stays out."""
    for folder in ("ir", "vis", "ours", "theirs"):
        for index in range(3, 6):
            PillowImage.fromarray(noise(index)).save(folders / folder / f"{index}.png")
    done = lkcfuse_process(
        "eval", "-o", "-", *BOTH, "--metrics", "EN,VIF", "--workers", "2", cwd=folders
    )
    assert done.code == 0, done.err
    assert len(rows_of(done.out)) == 10


def test_plain_output_where_the_terminal_knows_no_more(lkcfuse_process, folders, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = lkcfuse_process("eval", *OURS, "--metrics", "EN", cwd=folders)
    assert done.code == 0, done.err
    assert " +- " in done.text
    assert done.out.isascii()


def test_torch_stays_out(folders):
    program = (
        "import sys; from lkcfuse.cli.app import run; code = run(sys.argv[1:]); "
        "sys.exit(code or 100 * ('torch' in sys.modules))"
    )
    words = ["eval", *OURS, "--metrics", "EN"]
    done = subprocess.run([sys.executable, "-c", program, *words], check=False)
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle(folders, sent):
    for folder in ("ir", "vis", "ours"):
        big = folders / folder / "100.png"
        PillowImage.fromarray(noise(shape=(400, 400))).save(big, compress_level=0)
        for index in range(101, 160):
            big.with_name(f"{index}.png").hardlink_to(big)
    table = folders / "m.csv"
    process = subprocess.Popen(
        [sys.executable, "-m", "lkcfuse", "eval", "-o", table, *OURS, "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and len(children.read_text().split()) < 3:
        time.sleep(0.02)  # two workers, and multiprocessing's own helper
    # As a terminal does it: Ctrl-C reaches the workers too.
    (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + sent
    assert out == b""
    assert err.decode().splitlines() == [
        f"lkcfuse: {'interrupted' if sent == signal.SIGINT else 'terminated'}"
    ]
    assert not table.exists()
    assert not list(folders.glob(".*"))


def test_scores_the_last_batch_by_its_journal(lkcfuse, folders, maximum_weights):
    batch = lkcfuse("batch", "ir", "vis", "--weights", maximum_weights, "--task", "mri-ct")
    assert batch.code == 0, batch.err
    words = ("-o", "m.csv", "--baselines", "--metrics", "EN,SSIM,VIF")
    done = lkcfuse("eval", *words)
    assert done.code == 0, done.err
    assert "mri-ct: A MRI, B CT, 2 pairs" in done.text
    fused, maximum = (
        [row for row in rows_of((folders / "m.csv").read_bytes()) if row["method"] == method]
        for method in ("fused", "maximum")
    )
    assert [row["name"] for row in fused] == ["1", "day/2"]
    for ours, theirs in zip(fused, maximum, strict=True):
        assert {**ours, "method": "maximum"} == theirs

    beside = lkcfuse("eval", *words, "--fused", "fused", "--fused", "theirs", "--task", "ir-vis")
    assert "ir-vis: A infrared, B visible, 2 pairs" in beside.text
    named = lkcfuse("eval", "--fused", "fused", "--a", "ir", "--b", "vis", "--metrics", "EN")
    assert "mri-ct: A MRI, B CT, 2 pairs" in named.text
    methods = {row["method"] for row in rows_of((folders / "m.csv").read_bytes())}
    assert methods == {"fused", "theirs", "maximum", "mean"}


def test_a_batch_that_is_not_whole_is_told(lkcfuse, folders, maximum_weights):
    (folders / "ir" / "1.png").write_bytes(b"no image")
    assert lkcfuse("batch", "ir", "vis", "--weights", maximum_weights).code == 1
    done = lkcfuse("eval", "--metrics", "EN")
    assert done.code == 0
    assert done.err.splitlines() == [
        "lkcfuse: warning: fused: 1 of 2 pairs were not fused: run the batch again for them"
    ]


@pytest.mark.parametrize("newer", ["ours", "theirs"])
def test_a_journal_of_a_newer_version_hides_no_images(lkcfuse, folders, newer):
    (folders / newer / ".lkcfuse").mkdir()
    record = '{"type": "run", "schema": 99, "lkcfuse": "9.0", "settings": {}}\n'
    (folders / newer / ".lkcfuse" / "run.jsonl").write_text(record)
    assert lkcfuse("eval", *BOTH, "--metrics", "EN").code == 0
    done = lkcfuse("eval", "--fused", newer)
    done.assert_fails(2, "lkcfuse 9.0, which is newer")
    assert " -o" not in done.err


def test_baselines_alone_are_no_result(lkcfuse, folders):
    assert lkcfuse("eval", *OURS, "--metrics", "EN", "-o", "m.csv").code == 0
    before = (folders / "m.csv").read_bytes()
    for path in folders.glob("ours/**/*.png"):
        PillowImage.fromarray(noise(0, (9, 9))).save(path)
    words = ("--metrics", "EN", "-o", "m.csv", "--baselines")
    done = lkcfuse("eval", *OURS, *words, "--report", "r.html")
    assert done.code == 1
    assert "none of 2 pairs could be scored: nothing is written" in done.err
    assert (folders / "m.csv").read_bytes() == before
    assert not (folders / "r.html").exists()
    single = ("--fused", "ours/1.png", "--a", "ir/1.png", "--b", "vis/1.png")
    for extra in ((), ("--baselines",), ("--report", "r.html")):
        lkcfuse("eval", *single, *extra).assert_fails(3, "ours/1.png is 9x9")


def test_no_name_ends_a_run(lkcfuse_process, folders, monkeypatch):
    name = "\u00fc\u6f22-\udcff"
    (folders / "ours").rename(folders / name)
    words = ("eval", "--fused", name, "--a", "ir", "--b", "vis", "--metrics", "EN")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    done = lkcfuse_process(*words, cwd=folders)
    assert done.code == 0, done.err
    assert b"\xfc\\u6f22-\xff" in done.out


@pytest.mark.parametrize("width", [20, 60, 80, 200, None])
def test_no_digit_is_lost_on_a_narrow_terminal(width):
    methods = [f"a_method_of_a_long_name_{number}" for number in range(6)]
    numbers = np.random.default_rng(0).random((6, 3)) * 10_000
    scores = [
        Score(str(pair), method, {"Qabf": values[pair], "MSE": 3 * values[pair]})
        for method, values in zip(methods, numbers, strict=True)
        for pair in range(3)
    ]
    comparison = Comparison(Table.of(("Qabf", "MSE"), scores), tests=True)
    shown = draw(comparison, columns=width)
    plain = re.sub("\x1b\\[[0-9;]*m", "", shown)
    for summary in comparison.summaries.values():
        assert f"{summary.mean:.4f}" in plain
        assert f"{summary.std:.4f}" in plain
    letters = re.sub(r"[^a-z_0-9]", "", plain)
    assert "…" not in plain
    if width is None:
        means, _, ranks = plain.partition("mean rank (p against the best mean)")
        assert len(means.split()) == 2 + 6 + 1 + 2 * (2 + 3 * 6)
        # The best has no p; the last line is that of all metrics.
        assert len(ranks.split("p: ")[0].split()) == 1 + 6 + 1 + 2 * (1 + 6 + 5) + 7
        assert all(method in letters for method in methods)
    elif width >= 60:
        assert max(map(len, plain.splitlines())) <= width
