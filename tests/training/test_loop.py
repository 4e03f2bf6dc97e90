"""Runs from files to checkpoint: learning, resuming after a kill, surviving what is not finite."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lkcfuse.errors import InputError, LkcfuseError, UsageError
from lkcfuse.images import image_from_array, write_image
from lkcfuse.models.checkpoint import load_checkpoint, load_network
from lkcfuse.training import loop
from lkcfuse.training.config import Augmentation, TrainingConfig
from lkcfuse.training.log import RunLog, is_finished, log_path
from lkcfuse.training.loop import Progress, TrainingData, train
from lkcfuse.training.losses import LossWeights
from lkcfuse.training.setup import gather
from lkcfuse.training.state import state_path

Folder = Callable[..., Path]


FALLING = ("intensity", "gradient", "ssim", "vif", "qabf", "out_of_range", "flat")


def lines(output: Path, kind: str) -> list[dict[str, Any]]:
    entries = map(json.loads, log_path(output).read_text().splitlines())
    return [entry for entry in entries if entry["kind"] == kind]


def curve(output: Path) -> list[float]:
    return [entry["loss"] for entry in lines(output, "step")]


def test_training_lowers_the_loss_and_leaves_a_checkpoint(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path
) -> None:
    data = pair_folder(count=1)
    still = Augmentation(tone=0, dark=0, noise=0)
    longer = replace(
        tiny, steps=60, validate_every=20, crops=((72, 1),), learning_rate=1e-2, augmentation=still
    )
    output = tmp_path / "out.safetensors"
    seen: list[Progress] = []

    result = train(longer, gather(longer, data=data), output, on_progress=seen.append)

    losses = curve(output)
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.05
    assert seen[-1].share == 1
    assert sum(progress.validation is not None for progress in seen) == 4
    assert is_finished(output)
    assert not state_path(output).exists()
    checkpoint = load_checkpoint(output)
    assert checkpoint.config == longer.network()
    assert json.loads(checkpoint.metadata["tasks"]) == ["ir-vis"]
    assert json.loads(checkpoint.metadata["input_range"]) == [-1, 1]
    recorded = json.loads(checkpoint.metadata["training"])
    assert recorded["settings"] == longer.to_dict()
    assert recorded["data"]["training"]["pairs"] == 1
    assert result.step == max(lines(output, "validation"), key=lambda e: e["score"])["step"]


def test_the_untrained_network_is_the_maximum_itself(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path
) -> None:
    output = tmp_path / "out.safetensors"
    seen: list[Progress] = []
    train(tiny, gather(tiny, data=pair_folder()), output, on_progress=seen.append)
    assert seen[0].step == 0
    assert seen[0].validation is not None
    scores = seen[0].validation["ir-vis"]
    assert scores.fused == pytest.approx(scores.maximum, abs=1e-9)


def test_a_pair_without_a_score_does_not_cost_the_run(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path
) -> None:
    """SCD is undefined where a source is one grey, as an empty slice is."""
    data, output = pair_folder(), tmp_path / "run.safetensors"
    kept_aside = gather(tiny, data=data).choosing.pairs[0].first
    write_image(image_from_array(np.zeros((72, 80), np.uint8)), kept_aside, overwrite=True)
    result = train(tiny, gather(tiny, data=data), output)
    table = result.choosing["ir-vis"]
    assert "SCD" not in table.fused
    assert {"VIF", "Qabf", "SSIM"} <= table.fused.keys()
    assert np.isfinite(table.score)
    load_network(output)
    assert "NaN" not in log_path(output).read_text()


SCRIPT = """
import json, sys
from pathlib import Path
import torch
from lkcfuse.training import loop
from lkcfuse.training.config import Augmentation, TrainingConfig
from lkcfuse.training.setup import gather
torch.set_num_threads(1)
loop.SAVE_SECONDS = 0.0
config = TrainingConfig.from_dict(json.loads(sys.argv[1]), where="test")
output = Path(sys.argv[3])
loop.train(config, gather(config, data=Path(sys.argv[2])), output, resume=True)
"""


def test_a_killed_run_goes_on_with_the_same_curve(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path
) -> None:
    data = pair_folder()
    config = replace(tiny, steps=24, validate_every=8, dropout=0.2, drop_path=0.2)
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"

    def start(output: Path) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", SCRIPT, json.dumps(config.to_dict()), str(data), str(output)]
        return subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"})

    process = start(killed)
    deadline = time.monotonic() + 60
    log = log_path(killed)
    while not (log.exists() and log.read_text().count('"kind": "step"') >= 5):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_finished(killed)
    assert state_path(killed).exists()
    before = len(curve(killed))
    assert 5 <= before < 24

    assert start(killed).wait(timeout=90) == 0
    assert start(whole).wait(timeout=90) == 0

    assert curve(killed) == curve(whole)
    assert len(curve(whole)) == 24
    assert [e["score"] for e in lines(killed, "validation")] == [
        e["score"] for e in lines(whole, "validation")
    ]
    ours, theirs = (load_checkpoint(path).state_dict for path in (killed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def stop_after(steps: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.step == steps and progress.validation is None:
            raise KeyboardInterrupt

    return stop


def interrupted(
    config: TrainingConfig, data: TrainingData, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(config, data, output, on_progress=stop_after(5))


def test_a_state_of_other_settings_is_refused(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, output = gather(tiny, data=pair_folder()), tmp_path / "out.safetensors"
    interrupted(tiny, pairs, output, monkeypatch)
    with pytest.raises(UsageError, match="other settings"):
        train(replace(tiny, learning_rate=1e-4), pairs, output, resume=True)


def test_a_state_of_other_initial_weights_is_refused(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = gather(tiny, data=pair_folder())
    starts = []
    for seed in (1, 2):
        path = tmp_path / f"{seed}.safetensors"
        train(replace(tiny, steps=1, seed=seed), pairs, path)
        starts.append(load_checkpoint(path))
    output = tmp_path / "out.safetensors"
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, pairs, output, init=starts[0], on_progress=stop_after(5))
    for other in (None, starts[1]):
        with pytest.raises(UsageError, match="other init"):
            train(tiny, pairs, output, init=other, resume=True)
    train(tiny, pairs, output, init=starts[0], resume=True)
    assert len(lines(output, "run")[0]["init"]) == 64


def test_a_run_that_starts_again_leaves_nothing_of_the_one_before(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, output = gather(tiny, data=pair_folder()), tmp_path / "out.safetensors"
    interrupted(tiny, pairs, output, monkeypatch)
    assert state_path(output).exists()
    monkeypatch.setattr(loop, "SAVE_SECONDS", 1e9)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, pairs, output, on_progress=stop_after(2))
    assert not state_path(output).exists()
    train(tiny, pairs, output, resume=True)
    assert [entry["step"] for entry in lines(output, "step")] == list(range(1, tiny.steps + 1))


@pytest.mark.parametrize("left", [None, 0, 200])
def test_a_log_cut_short_costs_its_lines_and_not_the_run(
    pair_folder: Folder,
    tiny: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left: int | None,
) -> None:
    pairs, output = gather(tiny, data=pair_folder()), tmp_path / "out.safetensors"
    interrupted(tiny, pairs, output, monkeypatch)
    log = log_path(output)
    if left is None:
        log.unlink()
    else:
        log.write_bytes(log.read_bytes()[:left])
    assert train(tiny, pairs, output, resume=True).checkpoint == output
    assert is_finished(output)
    (gap,) = lines(output, "gap")
    steps = [entry["step"] for entry in lines(output, "step")]
    assert steps == list(range(gap["step"] + 1, tiny.steps + 1))


def test_a_log_keeps_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"one\ntwo\nthr")
    for keep, kept, is_short in ((0, b"", False), (4, b"one\n", False), (99, b"one\ntwo\n", True)):
        path.write_bytes(b"one\ntwo\nthr")
        log = RunLog(path, keep)
        log.close()
        assert (path.read_bytes(), log.is_short) == (kept, is_short)


def test_a_checkpoint_that_is_gone_is_made_anew(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, output = gather(tiny, data=pair_folder()), tmp_path / "out.safetensors"
    interrupted(tiny, pairs, output, monkeypatch)
    output.unlink()
    assert train(tiny, pairs, output, resume=True).step == tiny.steps
    assert load_checkpoint(output).metadata["step"] == str(tiny.steps)


def test_a_damaged_state_is_named(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, output = gather(tiny, data=pair_folder()), tmp_path / "out.safetensors"
    interrupted(tiny, pairs, output, monkeypatch)
    state = state_path(output)
    good = state.read_bytes()
    content = torch.load(io.BytesIO(good), weights_only=True)
    state.write_bytes(good[:1000])
    with pytest.raises(InputError, match=r"out\.state\.pt"):
        train(tiny, pairs, output, resume=True)
    for damage in (
        [],
        {**content, "identity": 3},
        {**content, "counters": [1]},
        {**content, "network": {}},
        {**content, "average": torch.zeros(1)},
        {**content, "optimizer": {"state": 1}},
    ):
        torch.save(damage, state)
        with pytest.raises(InputError, match=r"out\.state\.pt.*--resume"):
            train(tiny, pairs, output, resume=True)


def test_a_stage_may_keep_its_last_weights_whatever_they_score(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path
) -> None:
    pairs = gather(tiny, data=pair_folder())
    # Away from the maximum, where it starts: every validation scores below the first.
    worse = replace(tiny, loss=replace(LossWeights(), **dict.fromkeys(FALLING, 0.0), scd=50.0))
    best, last = tmp_path / "best.safetensors", tmp_path / "last.safetensors"
    assert train(worse, pairs, best).step == 0
    assert train(replace(worse, keep="last"), pairs, last).step == worse.steps
    assert load_checkpoint(last).metadata["step"] == str(worse.steps)
    ours, theirs = (load_checkpoint(path).state_dict for path in (last, best))
    assert not all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_stage_may_end_before_its_cycle_does(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path
) -> None:
    pairs = gather(tiny, data=pair_folder())
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    frozen = replace(tiny, freeze_statistics=0.0)
    train(replace(frozen, steps=6), pairs, whole)
    train(replace(frozen, steps=3, cycle=6), pairs, cut)
    rates = [[entry["rate"] for entry in lines(output, "step")] for output in (whole, cut)]
    assert rates[1] == rates[0][:3]
    assert curve(cut) == curve(whole)[:3]


def poison(monkeypatch: pytest.MonkeyPatch, *, steps: range) -> None:
    """Let the batches of some steps hold a value that is no number."""
    sample = loop.sample_batch

    def poisoned(pairs: Any, config: TrainingConfig, step: int) -> torch.Tensor:
        batch = sample(pairs, config, step)
        if step in steps:
            batch[0, 0, 3, 3] = float("nan")
        return batch

    monkeypatch.setattr(loop, "sample_batch", poisoned)


def test_steps_that_are_not_finite_are_skipped(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, steps=range(1, 3))
    output = tmp_path / "out.safetensors"
    train(tiny, gather(tiny, data=pair_folder()), output)
    assert [entry["step"] for entry in lines(output, "skipped")] == [2, 3]
    assert len(curve(output)) == 4
    assert np.isfinite(curve(output)).all()
    assert all(torch.isfinite(value).all() for value in load_network(output).state_dict().values())


def test_a_run_that_stays_not_finite_gives_up_and_keeps_its_best(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, steps=range(2, 100))
    output = tmp_path / "out.safetensors"
    with pytest.raises(LkcfuseError, match="not finite"):
        train(replace(tiny, steps=50), gather(tiny, data=pair_folder()), output)
    assert all(torch.isfinite(value).all() for value in load_network(output).state_dict().values())


def test_time_ends_a_run(pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    train(replace(tiny, steps=10**6, minutes=0.01), gather(tiny, data=pair_folder()), output)
    assert is_finished(output)
    assert lines(output, "step")[-1]["rate"] <= tiny.learning_rate


def test_init_starts_from_the_weights(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path
) -> None:
    pairs = gather(tiny, data=pair_folder())
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train(replace(tiny, base="none", steps=2), pairs, first)
    start = load_checkpoint(first)
    seen: list[Progress] = []
    plain = replace(tiny, base="none", seed=5)
    train(plain, pairs, second, init=start, on_progress=seen.append)
    kept_aside = lines(first, "finished")[0]["choosing"]["ir-vis"]["fused"]
    assert seen[0].validation is not None
    assert seen[0].validation["ir-vis"].fused["SCD"] == pytest.approx(kept_aside["SCD"], abs=1e-3)


def test_images_too_small_are_named(
    pair_folder: Folder, tiny: TrainingConfig, tmp_path: Path
) -> None:
    import cv2

    data = pair_folder(count=2)
    for name in ("ir", "vis"):
        cv2.imwrite(str(data / name / "1.png"), np.zeros((40, 60), np.uint8))
    with pytest.raises(InputError, match=r"1\.png is 60x40"):
        train(tiny, gather(tiny, data=data), tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()
