from __future__ import annotations

import shutil
import threading
import time

import pytest
from pairs import NAMES, contents, make_pairs, write_noise

from lkcfuse.batch import open_batch, plan_folders, read_pairs, stages
from lkcfuse.batch.scoring import Scorer
from lkcfuse.errors import InputError, ResourceError, UsageError
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.images import read_image
from lkcfuse.metrics import evaluate
from lkcfuse.metrics.scoring import levels_of
from lkcfuse.pairs import PairOptions


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def one_by_one(folders, fuser, folder, **options):
    """What `fuse_files` makes of the pairs, one at a time."""
    for pair in plan_folders(*folders, folder).pairs:
        pair.output.parent.mkdir(parents=True, exist_ok=True)
        fuser.fuse_files(pair.first, pair.second, pair.output, **options)
    return contents(folder)


def test_files_are_those_of_one_at_a_time(run, folders, network, tmp_path):
    outcomes = run()
    assert [outcome.pair.name for outcome in outcomes] == list(NAMES)
    assert statuses(outcomes) == ["fused"] * 6
    alone = Fuser(weights=network, device="cpu", threads=1)
    assert contents(tmp_path / "fused") == one_by_one(folders, alone, tmp_path / "alone")
    for outcome in outcomes:
        assert (outcome.record.height, outcome.record.width) == read_image(outcome.pair.first).size
        assert outcome.record.output.bytes == outcome.pair.output.stat().st_size


def test_settings_reach_the_network_and_the_files(run, folders, fuser, tmp_path):
    plan = plan_folders(*folders, tmp_path / "fused", format="tiff")
    run(plan=plan, options=PairOptions(invert_first=True))
    fused = contents(tmp_path / "fused")
    assert {name.rpartition(".")[2] for name in fused} == {"tif"}
    fuser.fuse_files(
        folders[0] / "1.png", folders[1] / "1.bmp", tmp_path / "x.tif", invert_first=True
    )
    assert fused["1.tif"] == (tmp_path / "x.tif").read_bytes()


def test_a_second_run_does_what_is_missing_changed_or_damaged(run, folders, tmp_path):
    run()
    fused = tmp_path / "fused"
    whole = contents(fused)
    before = {path: path.stat().st_mtime_ns for path in fused.rglob("*.png")}
    assert statuses(run()) == ["verified"] * 6
    assert {path: path.stat().st_mtime_ns for path in fused.rglob("*.png")} == before

    (fused / "1.png").unlink()
    data = bytearray((fused / "2.png").read_bytes())
    data[-20] ^= 1
    (fused / "2.png").write_bytes(data)
    (fused / "10.png").write_bytes(whole["10.png"][:50])
    shutil.rmtree(fused / "night.v2")
    write_noise(folders[1] / "day" / "1.bmp", 12, 17, seed=77)
    assert statuses(run()) == ["fused", "fused", "fused", "fused", "verified", "fused"]
    again = contents(fused)
    assert again.pop("day/1.png") != whole.pop("day/1.png")
    assert again == whole
    assert statuses(run()) == ["verified"] * 6


def test_pairs_that_fail_are_named_and_the_others_go_on(run, folders, tmp_path):
    (folders[0] / "2.png").write_bytes(b"no image")
    write_noise(folders[1] / "day" / "2.bmp", 3, 3)
    outcomes = run()
    assert statuses(outcomes) == ["fused", "failed", "fused", "fused", "failed", "fused"]
    assert "2.png is a text file, not an image" in str(outcomes[1].error)
    assert "2.bmp has 3x3 pixels" in str(outcomes[4].error)
    assert isinstance(outcomes[4].error, InputError)
    assert len(contents(tmp_path / "fused")) == 4
    make_pairs(tmp_path)
    assert statuses(run()) == ["verified", "fused", "verified", "verified", "fused", "verified"]


def test_a_pair_too_large_for_the_format_costs_no_fusing(run, folders, tmp_path):
    write_noise(folders[0] / "2.png", 3, 16384)
    write_noise(folders[1] / "2.bmp", 3, 16384)
    outcomes = run(plan=plan_folders(*folders, tmp_path / "fused", format="webp"))
    assert statuses(outcomes) == ["fused", "failed", "fused", "fused", "fused", "fused"]
    assert "webp holds at most 16383 pixels" in str(outcomes[1].error)
    with pytest.raises(UsageError, match="16383"):
        stages.Stages(tmp_path / "fused", "webp", "key").read(outcomes[1].pair, None)


def test_one_batch_is_run_twice(folders, fuser, tmp_path):
    broken = (folders[0] / "2.png").read_bytes()
    (folders[0] / "2.png").write_bytes(b"no image")
    with open_batch(plan_folders(*folders, tmp_path / "fused")) as batch:
        assert statuses(batch.run(fuser)).count("failed") == 1
        (folders[0] / "2.png").write_bytes(broken)
        assert statuses(batch.run(fuser)) == ["verified", "fused", *["verified"] * 4]


def test_a_result_that_was_good_outlives_a_source_that_is_not(run, folders, tmp_path):
    run()
    (folders[0] / "2.png").write_bytes(b"no image")
    before = contents(tmp_path / "fused")
    assert statuses(run()).count("failed") == 1
    assert contents(tmp_path / "fused") == before


def test_other_weights_are_refused_and_forced(run, make_weights, tmp_path):
    run()
    before = contents(tmp_path / "fused")
    other = Fuser(weights=make_weights("max"), device="cpu", threads=1)
    with pytest.raises(UsageError, match=r"made with weights none.*weights max.*--force"):
        run(using=other)
    with pytest.raises(UsageError, match=r"no --invert-first.*has --invert-first"):
        run(options=PairOptions(invert_first=True))
    assert contents(tmp_path / "fused") == before
    assert statuses(run(using=other, overwrite=True)) == ["fused"] * 6
    after = contents(tmp_path / "fused")
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in after)
    # Forced once more, what is as it should be is left alone; and now these are the settings.
    assert statuses(run(using=other, overwrite=True)) == ["verified"] * 6
    assert statuses(run(using=other)) == ["verified"] * 6


def test_a_forced_run_that_made_nothing_does_not_hide_what_is_there(run, folders, tmp_path):
    run()
    before = contents(tmp_path / "fused")
    for path in folders[0].rglob("*.png"):
        path.rename(path.with_suffix(".aside"))
        path.write_bytes(b"no image")
    assert statuses(run(options=PairOptions(invert_first=True), overwrite=True)) == ["failed"] * 6
    for path in folders[0].rglob("*.aside"):
        path.rename(path.with_suffix(".png"))
    with pytest.raises(UsageError, match=r"made with format png.*has format bmp"):
        run(plan=plan_folders(*folders, tmp_path / "fused", format="bmp"))
    assert contents(tmp_path / "fused") == before
    assert statuses(run()) == ["verified"] * 6


def test_shards_of_other_settings_do_not_run_side_by_side(folders, fuser, tmp_path):
    plan = plan_folders(*folders, tmp_path / "fused")
    first, second = (plan.part(part, 2) for part in (1, 2))
    with open_batch(first) as one, open_batch(second) as two:
        outcomes = one.run(fuser)
        next(outcomes)
        with pytest.raises(UsageError, match=r"another part .* other settings"):
            next(two.run(fuser, options=PairOptions(invert_first=True)))
        outcomes.close()
        assert statuses(two.run(fuser)) == ["fused"] * len(second.pairs)


def test_somebody_else_s_file_is_refused_and_forced(run, fuser, tmp_path):
    theirs = tmp_path / "fused" / "day" / "1.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"day/1\.png exists and is not in the journal"):
        run()
    assert contents(tmp_path / "fused") == {"day/1.png": b"precious"}
    assert statuses(run(overwrite=True)) == ["fused"] * 6
    assert theirs.read_bytes() != b"precious"


def test_a_file_that_appears_meanwhile_is_kept(folders, fuser, tmp_path):
    theirs = tmp_path / "fused" / "night.v2" / "7.png"
    with open_batch(plan_folders(*folders, tmp_path / "fused")) as batch:
        theirs.parent.mkdir(parents=True)
        theirs.write_bytes(b"precious")
        outcomes = list(batch.run(fuser))
    assert statuses(outcomes) == ["fused"] * 5 + ["failed"]
    assert theirs.read_bytes() == b"precious"


def test_other_sources_of_one_name_are_refused_but_not_when_moved(run, folders, tmp_path):
    run()
    moved = [shutil.copytree(folder, tmp_path / "moved" / folder.name) for folder in folders]
    plan = plan_folders(*moved, tmp_path / "fused")
    assert statuses(run(plan=plan)) == ["verified"] * 6
    write_noise(moved[0] / "2.png", 13, 17, seed=5)
    with pytest.raises(UsageError, match=r"2\.png was made from .*ir/2\.png, not from .*moved"):
        run(plan=plan)
    assert statuses(run(plan=plan, overwrite=True)).count("fused") == 1


def test_a_folder_collects_what_several_runs_put_there(run, folders, tmp_path):
    plan = plan_folders(*folders, tmp_path / "fused")
    for number in (2, 1, 3):
        run(plan=plan.part(number, 3))
    assert statuses(run()) == ["verified"] * 6
    assert [pair.name for pair in read_pairs(tmp_path / "fused")] == list(NAMES)
    assert all(pair.fused.is_file() for pair in read_pairs(tmp_path / "fused"))


def test_what_is_done_stays_done_when_the_caller_stops(folders, fuser, tmp_path, run):
    with open_batch(plan_folders(*folders, tmp_path / "fused")) as batch:
        outcomes = batch.run(fuser)
        first = next(outcomes)
        outcomes.close()
    assert first.pair.output.is_file()
    kept = set(contents(tmp_path / "fused"))
    assert "1.png" in kept
    assert not list((tmp_path / "fused").rglob(".lkcfuse-*"))
    verified = {o.pair.output for o in run() if o.status == "verified"}
    assert verified == {tmp_path / "fused" / name for name in kept}


def test_sources_that_vanish(folders, fuser, run, tmp_path):
    names = [f"{number}" for number in range(12)]
    make_pairs(tmp_path, names)
    with open_batch(plan_folders(*folders, tmp_path / "fused")) as batch:
        outcomes = batch.run(fuser)
        seen = [next(outcomes)]
        folders[1].rename(tmp_path / "unmounted")
        seen += outcomes
    failed = [outcome for outcome in seen if outcome.status == "failed"]
    assert failed
    assert all("does not exist" in str(outcome.error) for outcome in failed)
    assert len(contents(tmp_path / "fused")) == len(seen) - len(failed)
    (tmp_path / "unmounted").rename(folders[1])
    assert statuses(run()).count("fused") == len(failed)


def test_an_output_folder_that_vanishes(folders, fuser, run, tmp_path):
    fused = tmp_path / "fused"
    make_pairs(tmp_path, [f"deep/{number}" for number in range(12)])
    with open_batch(plan_folders(*folders, fused)) as batch:
        outcomes = batch.run(fuser)
        next(outcomes)
        fused.rename(tmp_path / "unmounted")
        with pytest.raises(ResourceError, match=r"fused.*pairs are done and kept"):
            list(outcomes)
    # Nothing was made where the mount had been.
    assert not fused.exists()
    (tmp_path / "unmounted").rename(fused)
    assert set(statuses(run())) == {"verified", "fused"}
    assert set(statuses(run())) == {"verified"}


def test_reading_and_writing_go_on_while_the_network_computes(folders, fuser, tmp_path):
    """Each pair's network run ends only when the next pair is read and the last one written."""
    plan = plan_folders(*folders, tmp_path / "fused")
    read, fused = [], []
    reading = stages.read_image

    class Watched(Fuser):
        def fuse_pair(self, pair, **options):
            number = len(fused)
            # Two files a pair; the next pair's are there before this one is done.
            expected = min(2 * (number + 2), 2 * len(plan.pairs))
            deadline = time.monotonic() + 20
            while len(read) < expected or (number and not fused[-1].exists()):
                assert time.monotonic() < deadline, (number, len(read))
                time.sleep(0.002)
            fused.append(plan.pairs[number].output)
            return super().fuse_pair(pair, **options)

    def watched_read(*arguments, **options):
        image = reading(*arguments, **options)
        read.append(threading.current_thread().name)
        return image

    watched = Watched(weights=fuser.weights.path, device="cpu", threads=1)
    with pytest.MonkeyPatch.context() as patch, open_batch(plan) as batch:
        patch.setattr(stages, "read_image", watched_read)
        assert statuses(batch.run(watched)) == ["fused"] * 6
    assert threading.main_thread().name not in read


def test_pairs_in_memory_are_bounded_by_their_pixels(folders, fuser, tmp_path, monkeypatch):
    names = [f"{number}" for number in range(12)]
    make_pairs(tmp_path, names)
    alive = []
    most = 0
    reading = stages.read_image

    def watched_read(*arguments, **options):
        nonlocal most
        image = reading(*arguments, **options)
        alive.append(1)
        most = max(most, len(alive))
        return image

    def writing(*arguments, original=stages.write_image, **options):
        original(*arguments, **options)
        del alive[-2:]

    monkeypatch.setattr(stages, "read_image", watched_read)
    monkeypatch.setattr(stages, "write_image", writing)
    monkeypatch.setattr(stages, "PIXELS_IN_FLIGHT", 14 * 17)
    plan = plan_folders(*folders, tmp_path / "fused")
    with open_batch(plan) as batch:
        assert statuses(batch.run(fuser)).count("fused") == len(plan.pairs)
    assert most == 2  # the two images of one pair


def test_metrics_are_those_of_the_files_and_are_kept(run, folders, tmp_path):
    names = ["EN", "MI", "Qabf"]
    with Scorer("fused", names, workers=1) as scorer:
        outcomes = run(scorer=scorer)
        for outcome in outcomes[:2]:
            fused, a, b = (
                levels_of(read_image(path))
                for path in (outcome.pair.output, outcome.pair.first, outcome.pair.second)
            )
            assert outcome.metrics == pytest.approx(evaluate(fused, a, b, names), rel=1e-9)

        class NoScorer(Scorer):
            def submit(self, pair):
                raise AssertionError(f"{pair.name} was scored already")

        with NoScorer("fused", ["Qabf", "EN"]) as again:
            kept = run(scorer=again)
        assert statuses(kept) == ["verified"] * 6
        assert [o.metrics["EN"] for o in kept] == [o.metrics["EN"] for o in outcomes]
        assert list(kept[0].metrics) == ["Qabf", "EN"]

        write_noise(folders[1] / "day" / "2.bmp", 13, 17, seed=55)
        changed = run(scorer=scorer)
        assert [
            a.pair.name for a, b in zip(changed, outcomes, strict=True) if a.metrics != b.metrics
        ] == ["day/2"]


def test_files_are_the_same_whatever_the_number_of_threads(folders, network, run, tmp_path):
    for folder in folders:
        write_noise(folder / "large.png", 150, 210, 3, seed=len(folder.name))
    results = []
    for threads in (1, 2, 5):
        fuser = Fuser(weights=network, device="cpu", threads=threads)
        run(using=fuser, plan=plan_folders(*folders, tmp_path / str(threads)))
        results.append(contents(tmp_path / str(threads)))
    assert results[0] == results[1] == results[2]
