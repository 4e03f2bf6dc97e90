from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from lkcfuse.errors import UsageError
from lkcfuse.images import image_from_array, read_image
from lkcfuse.metrics import METRICS, Needs, evaluate
from lkcfuse.metrics.cases import Case, Plan, with_baselines
from lkcfuse.metrics.scoring import Failure, levels_of, score

SOME = ["EN", "VIF", "Qabf"]


def noise(shape=(40, 48), seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def save(path, pixels):
    PillowImage.fromarray(pixels).save(path)
    return path


@pytest.fixture
def case(tmp_path):
    """Save two sources and a method's image, all of random pixels, and return the case."""

    def make(number, **fused):
        first = save(tmp_path / f"{number}_a.png", noise(seed=number))
        second = save(tmp_path / f"{number}_b.png", noise(seed=100 + number))
        fused = fused or {"ours": noise(seed=200 + number)}
        files = {m: save(tmp_path / f"{number}_{m}.png", pixels) for m, pixels in fused.items()}
        return Case(str(number), first, second, files)

    return make


def plan_of(*cases):
    methods = dict.fromkeys(method for case in cases for method in case.fused)
    return Plan(cases, tuple(methods))


def test_scores_are_those_of_the_pixels(case):
    scored = score(plan_of(case(1)), SOME)
    (row,) = scored.scores
    assert (row.name, row.method) == ("1", "ours")
    assert row.values == evaluate(noise(seed=201), noise(seed=1), noise(seed=101), SOME)
    assert scored.failures == ()


def test_all_metrics_that_apply_by_default(case):
    (row,) = score(plan_of(case(1))).scores
    assert list(row.values) == [m.name for m in METRICS.values() if m.needs != Needs.REFERENCE]


def test_baselines_are_the_maximum_and_the_mean(case):
    maximum, mean = score(with_baselines(plan_of(case(1))), SOME).scores[1:]
    a, b = noise(seed=1).astype(float), noise(seed=101).astype(float)
    assert (maximum.method, mean.method) == ("maximum", "mean")
    assert maximum.values == evaluate(np.maximum(a, b), a, b, SOME)
    assert mean.values == evaluate((a + b + 1) // 2, a, b, SOME)


def test_the_mean_of_deep_sources_keeps_its_fractions(case, tmp_path):
    deep = [noise(seed=seed, dtype=np.uint16) for seed in range(2)]
    files = [save(tmp_path / f"{seed}.png", image) for seed, image in enumerate(deep)]
    plan = with_baselines(plan_of(Case("1", *files, {"ours": files[0]})))
    mean = score(plan, ["SD"]).scores[2]
    assert mean.values["SD"] == pytest.approx(((deep[0] / 257 + deep[1] / 257) / 2).std())


def test_ground_truths_where_there_are_some(case, tmp_path):
    with_truth = Case(**{**vars(case(1)), "reference": save(tmp_path / "gt.png", noise(seed=201))})
    rows = score(plan_of(with_truth, case(2)), ["EN", "GT_MAE"]).scores
    assert rows[0].values["GT_MAE"] == 0
    assert list(rows[1].values) == ["EN"]
    with pytest.raises(UsageError, match="ground truth"):
        score(plan_of(case(2)), ["GT_MAE"])


def test_what_is_unfit_fails_alone_and_is_named(case, tmp_path):
    larger = case(1, ours=noise((40, 50)), theirs=noise())
    torn = case(2)
    torn.first.write_bytes(torn.first.read_bytes()[:60])
    sizes = case(3)
    save(sizes.second, noise((41, 48)))
    absent = case(4, ours=noise(), theirs=noise())
    absent.fused["ours"].unlink()
    truth = Case(**{**vars(case(5)), "reference": save(tmp_path / "gt.png", noise((8, 8)))})
    scored = score(plan_of(larger, torn, sizes, absent, truth), ["EN"])
    assert [(s.name, s.method) for s in scored.scores] == [
        ("5", "ours"),
        ("1", "theirs"),
        ("4", "theirs"),
    ]
    messages = {failure.name: failure.message for failure in scored.failures}
    assert list(messages) == ["1", "2", "3", "4", "5"]
    assert "1_a.png is 48x40 but" in messages["1"]
    assert "1_ours.png is 50x40" in messages["1"]
    assert "2_a.png" in messages["2"]
    assert "3_b.png is 48x41 but" in messages["3"]
    assert "4_ours.png does not exist" in messages["4"]
    assert "gt.png is 8x8" in messages["5"]


def test_processes_give_what_one_gives(case):
    cases = [case(number, ours=noise(seed=number), theirs=noise(seed=5)) for number in range(5)]
    cases[3].first.unlink()
    seen = []
    alone = score(plan_of(*cases), SOME)
    together = score(
        plan_of(*cases), SOME, workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert together == alone
    assert len(together.scores) == 8
    assert isinstance(together.failures[0], Failure)
    assert seen == [(done, 5) for done in range(1, 6)]


def test_threads_are_left_as_they_were(case):
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        score(plan_of(case(1)), ["EN"])
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_notes_of_reading_are_handed_on_once(case, tmp_path):
    paths = [tmp_path / f"{name}.tif" for name in "ab"]
    for path in paths:
        page = PillowImage.fromarray(noise())
        page.save(path, save_all=True, append_images=[page])
    first = Case("1", *paths, {"ours": paths[0]})
    notes = score(plan_of(first), ["EN"]).notes
    note_a, note_b = (note for note in notes if "pages" in note)
    assert "a.tif" in note_a
    assert "b.tif" in note_b


def test_a_copy_of_a_source_is_named(case):
    made = case(1, ours=noise(seed=1), theirs=noise(seed=7))
    (note,) = score(Plan((made,), ("ours", "theirs")), ["EN"]).notes
    assert note == f"{made.fused['ours']} does not differ in luma from its source {made.first}"


def test_sources_are_stretched_as_for_fusing_and_results_are_not(tmp_path):
    dim = noise(dtype=np.uint16) // 32
    files = [save(tmp_path / f"{name}.png", dim) for name in "abf"]
    scores = score(plan_of(Case("1", *files[:2], {"ours": files[2]})), ["SD", "CC"])
    assert [note.partition(" ")[0] for note in scores.notes] == [str(path) for path in files[:2]]
    assert scores.scores[0].values["SD"] == pytest.approx(dim.std() / 257)
    assert scores.scores[0].values["CC"] > 0.99


def test_a_method_called_like_a_baseline_is_scored_by_its_files(case, tmp_path):
    black = save(tmp_path / "black.png", np.zeros_like(noise()))
    named = Case("1", case(1).first, case(1).second, {"mean": black, "maximum": black})
    scores = score(Plan((named,), ("mean", "maximum")), ["SD"]).scores
    assert [(row.method, row.values["SD"]) for row in scores] == [("mean", 0), ("maximum", 0)]


def test_eight_bit_grey_is_whole_levels():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(levels_of(image_from_array(every)), every)


def test_sixteen_bits_scale_to_the_same_range():
    deep = np.array([[0, 257, 65535, 128, 1000]], np.uint16)
    expected = [[0, 1, 255, 128 / 257, 1000 / 257]]
    np.testing.assert_allclose(levels_of(image_from_array(deep)), expected, rtol=1e-6)


def test_colour_is_read_as_the_fields_evaluator_reads_it(tmp_path):
    colour = noise((200, 300, 3))
    save(tmp_path / "colour.png", colour)
    theirs = cv2.imread(str(tmp_path / "colour.png")).astype(np.float32)
    theirs = np.round(cv2.cvtColor(theirs, cv2.COLOR_BGR2GRAY))
    ours = levels_of(read_image(tmp_path / "colour.png"))
    assert (ours == np.rint(ours)).all()
    thousandths = colour.astype(int) @ [299, 587, 114]
    ties = thousandths % 1000 == 500  # rounding noise decides there, in the evaluator's float32
    assert 0 < ties.sum() < 200
    np.testing.assert_array_equal(ours[~ties], theirs[~ties])
    np.testing.assert_array_equal(ours[ties] % 2, 0)


def test_scores_do_not_depend_on_the_depth_of_the_file(tmp_path):
    images = [noise(seed=seed) for seed in range(3)]
    shallow = [save(tmp_path / f"8_{i}.png", image) for i, image in enumerate(images)]
    deep = [
        save(tmp_path / f"16_{i}.png", image.astype(np.uint16) * 257)
        for i, image in enumerate(images)
    ]
    plan = plan_of(*(Case("1", a, b, {"ours": f}) for f, a, b in (shallow, deep)))
    one, other = score(plan).scores
    for name, value in one.values.items():
        assert value == pytest.approx(other.values[name], rel=1e-5, abs=1e-5, nan_ok=True), name


WAITING = """
import sys
from pathlib import Path
from lkcfuse.metrics.cases import Case, Plan
from lkcfuse.metrics.scoring import score

if __name__ == "__main__":
    a, b, f = map(Path, sys.argv[1:])
    cases = tuple(Case(str(i), a, b, {"ours": f}) for i in range(100_000))
    score(Plan(cases, ("ours",)), ["EN"], workers=2, progress=lambda *_: print("on", flush=True))
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
def test_workers_end_when_their_parent_is_killed(case, tmp_path):
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    one = case(1)
    files = [one.first, one.second, one.fused["ours"]]
    command = [sys.executable, script, *files]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert parent.stdout.readline() == b"on\n"
    tasks = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    workers = [pid for pid in tasks if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) >= 2
    parent.send_signal(signal.SIGKILL)
    parent.stdout.close()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in workers)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_undefined_values_are_nan(case, tmp_path):
    black = Case("1", *(save(tmp_path / f"{n}.png", np.zeros((9, 9), np.uint8)) for n in "ab"))
    black = Case(**{**vars(black), "fused": {"ours": black.first}})
    (row,) = score(plan_of(black)).scores
    assert math.isnan(row.values["CC"])
