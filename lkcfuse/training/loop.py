"""The training loop: steps, moving average, validation, checkpoints, and taking a run up again."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lkcfuse.errors import InputError, LkcfuseError
from lkcfuse.models.checkpoint import Checkpoint, load_network, save_checkpoint
from lkcfuse.models.metadata import to_metadata
from lkcfuse.ops.large_kernel import use_mixed_precision
from lkcfuse.training.average import one_cycle, update_average
from lkcfuse.training.centres import add_initial_centres
from lkcfuse.training.config import PROCESSING, SMALLEST_CROP, TrainingConfig
from lkcfuse.training.data import PairSet, fingerprint
from lkcfuse.training.gradients import gradient
from lkcfuse.training.log import RunLog, log_path
from lkcfuse.training.networks import new_network
from lkcfuse.training.optimizer import Optimizer
from lkcfuse.training.sampling import sample_batch, sample_quarter, sample_turn
from lkcfuse.training.state import Counters, Learner, load_state, save_state, state_path
from lkcfuse.training.symmetry import make_gradients_symmetric, make_symmetric
from lkcfuse.training.validation import GOALS, REPORTED, Validation, validate_tasks

SAVE_SECONDS = 60.0
GIVE_UP_AFTER = 20


@dataclass(frozen=True)
class Progress:
    """Where a run stands, after a step or a validation.

    Attributes:
        step: Steps done.
        share: Share of the run that is done, 0 to 1.
        seconds_left: Estimate; None in the first steps.
        loss: Of the last step, averaged over some steps.
        validation: The scores by task, just after a validation; else None.
        improved: Whether this validation's checkpoint is the best so far.
    """

    step: int
    share: float
    seconds_left: float | None
    loss: float
    validation: dict[str, Validation] | None = None
    improved: bool = False


@dataclass(frozen=True)
class TrainingData:
    """The pairs of a run.

    Attributes:
        training: Pairs the network learns from.
        choosing: Pairs kept aside; they choose the checkpoint.
        reporting: Pairs that only report the final scores; may be empty.
    """

    training: PairSet
    choosing: PairSet
    reporting: PairSet

    def fingerprint(self) -> dict[str, Any]:
        """Return number and SHA-256 of the pairs of each part."""
        parts = {"training": self.training, "choosing": self.choosing, "reporting": self.reporting}
        return {
            name: {"pairs": len(part), "sha256": fingerprint(part.pairs)}
            for name, part in parts.items()
        }


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run leaves.

    Attributes:
        checkpoint: The file with the best averaged weights; None if it was not kept.
        log: The log beside it.
        step: The step that the weights are of.
        choosing: Its scores by task on the pairs that chose it.
        reporting: Its scores by task on the pairs that only report.
    """

    checkpoint: Path | None
    log: Path
    step: int
    choosing: dict[str, Validation]
    reporting: dict[str, Validation]

    @property
    def improved(self) -> bool:
        """Whether any step was better than the start."""
        return self.step > 0


def train(
    config: TrainingConfig,
    data: TrainingData,
    output: Path,
    *,
    init: Checkpoint | None = None,
    resume: bool = False,
    keep_start: bool = True,
    device: torch.device | None = None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
    notes: dict[str, str] | None = None,
) -> TrainingResult:
    """Train a network and leave its best averaged weights at `output`.

    Beside it stand a log (`.log.jsonl`: configuration, data, every step, every validation) and,
    until the run is finished, its state (`.state.pt`). A run killed at any moment is taken up
    again by the same call with `resume`: it repeats the steps since the state was last written
    (about a minute's) and then goes on, with the same losses as if it had never stopped.

    Args:
        config: The settings.
        data: The pairs.
        output: The checkpoint, `.safetensors`, in float16.
        init: Weights to start from, of the network that `config` describes.
        resume: Go on with the state beside `output`; where there is none, start.
        keep_start: Leave the weights of the start where no step improved on them; otherwise no
            checkpoint is left then.
        device: Where to train; the CPU if left out.
        on_progress: Told after every step and validation.
        notes: Further metadata of the checkpoint.

    Raises:
        InputError: An image cannot be read or is too small; the state cannot be read.
        UsageError: The state belongs to a run with other settings, data or initial weights.
        ResourceError: A file cannot be written.
        LkcfuseError: The loss stayed not finite; the best checkpoint so far is kept.
    """
    with torch.random.fork_rng(devices=[]):
        run = _Run(config, data, output, init, device or torch.device("cpu"), on_progress)
        return run.run(resume=resume, keep_start=keep_start, notes=notes or {})


def identity_of(
    config: TrainingConfig, data: TrainingData, init: Checkpoint | None
) -> dict[str, Any]:
    """Return what a run is known by: settings, data, and initial weights by their SHA-256."""
    return {
        "settings": config.to_dict(),
        "data": data.fingerprint(),
        "init": None if init is None else _hash(init),
    }


def metadata_of(config: TrainingConfig, identity: dict[str, Any]) -> dict[str, str]:
    """Return the metadata of the checkpoint that a run leaves."""
    return {
        "tasks": json.dumps(config.tasks),
        **to_metadata(PROCESSING),
        "training": json.dumps(identity),
    }


class _Run:
    def __init__(
        self,
        config: TrainingConfig,
        data: TrainingData,
        output: Path,
        init: Checkpoint | None,
        device: torch.device,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.config, self.data, self.output, self.device = config, data, output, device
        self.on_progress = on_progress
        torch.manual_seed(config.seed)
        network = new_network(config)
        if init is not None:
            network.load_state_dict(init.network().state_dict())
        elif config.centres:
            add_initial_centres(network)
        if config.symmetric:
            make_symmetric(network, keep_size=init is None)
        self.network = network.to(device)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        if config.mixed_precision:
            use_mixed_precision(self.network)
        self.optimizer = Optimizer(
            self.network,
            config.optimizer,
            weight_decay=config.weight_decay,
            centres=config.centres,
        )
        self.identity = identity_of(config, data, init)
        self.counters = Counters()
        self.recent = math.nan
        for part in (data.training, data.choosing, data.reporting):
            _check_sizes(part)

    def run(self, *, resume: bool, keep_start: bool, notes: dict[str, str]) -> TrainingResult:
        state = state_path(self.output)
        learner = Learner(self.network, self.average, self.optimizer)
        if not resume:
            # Whatever happens next, nothing may go on with the run that was here before.
            state.unlink(missing_ok=True)
        elif state.exists():
            self.counters = load_state(state, identity=self.identity, learner=learner)
            if not self.output.exists():
                # The best weights are gone: the next validation's are, for want of others.
                self.counters.best_score = -math.inf
        self.log = RunLog(log_path(self.output), self.counters.log_bytes)
        with closing(self.log):
            if not self.counters.step:
                self.log.write("run", **self.identity, torch=torch.__version__)
                self._validate()
            elif self.log.is_short:
                self.log.write("gap", step=self.counters.step)
            self._train(state, learner)
            result = self._finish(notes, keep_start=keep_start)
        state.unlink(missing_ok=True)
        return result

    def _train(self, state: Path, learner: Learner) -> None:
        saved, pause = time.monotonic(), SAVE_SECONDS
        while self._share() < 1:
            started = time.monotonic()
            self._step()
            self.counters.seconds += time.monotonic() - started
            if self.counters.step % self.config.validate_every == 0 or self._share() >= 1:
                started = time.monotonic()
                self._validate()
                self.counters.seconds += time.monotonic() - started
            if time.monotonic() - saved > pause:
                saved = time.monotonic()
                self.log.sync()
                self.counters.log_bytes = self.log.bytes
                save_state(state, identity=self.identity, counters=self.counters, learner=learner)
                # A large network's state takes its time: never more than a twentieth of the run.
                pause = max(SAVE_SECONDS, 20 * (time.monotonic() - saved))

    def _share(self) -> float:
        share = self.counters.step / self.config.steps
        if self.config.minutes is not None:
            share = max(share, self.counters.seconds / (60 * self.config.minutes))
        return min(share, 1.0)

    def _share_of_cycle(self) -> float:
        cycle = self.config.cycle
        if cycle is None:
            return self._share()
        # Steps over steps, not a share of a share, whose rounding would tell the two runs apart.
        share = self.counters.step / cycle
        if self.config.minutes is not None:
            share = max(share, self._share() * self.config.steps / cycle)
        return share

    def _step(self) -> None:
        config, counters = self.config, self.counters
        share = self._share()
        rate = one_cycle(self._share_of_cycle(), peak=config.learning_rate, warmup=config.warmup)
        torch.manual_seed(config.seed * 1_000_003 + counters.step)  # dropout, if there is any
        batch = sample_batch(self.data.training, config, counters.step).to(self.device)
        self.network.train()
        if share >= config.freeze_statistics:
            _freeze_statistics(self.network)
        statistics = [buffer.clone() for buffer in self.network.buffers()]

        part = sample_quarter(config.seed, counters.step, batch.shape[-1])
        turn = sample_turn(config.seed, counters.step)
        found = gradient(
            self.network, batch, config.loss, part, turn, mixed_precision=config.mixed_precision
        )
        for parameter, own in zip(self.network.parameters(), found.of, strict=True):
            parameter.grad = own
        if config.symmetric:
            make_gradients_symmetric(self.network)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        counters.step += 1
        if math.isfinite(found.loss) and math.isfinite(norm.item()):
            self.optimizer.step(rate)
            if config.symmetric:
                make_symmetric(self.network)  # what rounding has moved
            counters.updates += 1
            counters.skipped_in_a_row = 0
            update_average(self.average, self.network, updates=counters.updates, decay=config.ema)
            value = found.loss
            self.recent = value if math.isnan(self.recent) else 0.9 * self.recent + 0.1 * value
            rounded = {name: round(term, 5) for name, term in found.terms.items()}
            self.log.write(
                "step",
                step=counters.step,
                loss=value,
                rate=rate,
                norm=norm.item(),
                side=batch.shape[-1],
                seconds=round(counters.seconds, 1),
                terms=rounded,
            )
        else:
            self._skip(statistics)
        self.on_progress(Progress(counters.step, self._share(), self._seconds_left(), self.recent))

    def _skip(self, statistics: list[Tensor]) -> None:
        """Leave weights and running statistics as they were before a step that was not finite."""
        for buffer, before in zip(self.network.buffers(), statistics, strict=True):
            buffer.copy_(before)
        self.counters.skipped_in_a_row += 1
        self.log.write("skipped", step=self.counters.step)
        if self.counters.skipped_in_a_row >= GIVE_UP_AFTER:
            raise LkcfuseError(
                f"the loss was not finite for {GIVE_UP_AFTER} steps in a row; the best checkpoint "
                f"so far is {self.output}: start again from it with --init and a lower "
                "--learning-rate"
            )

    def _seconds_left(self) -> float | None:
        share = self._share()
        if self.counters.step < 3 or not share:
            return None
        return self.counters.seconds * (1 - share) / share

    def _validate(self) -> None:
        """Score the averaged weights on the pairs kept aside, and save them if they are best."""
        scores = self._score(self.data.choosing, self.config.validation_pairs, tuple(GOALS))
        score = sum(table.score for table in scores.values()) / len(scores)
        step = self.counters.step
        improved = self.config.keep == "last" or score > self.counters.best_score
        tables = {task: table.to_dict() for task, table in scores.items()}
        self.log.write("validation", step=step, score=score, best=improved, tasks=tables)
        if improved:
            self.counters.best_score, self.counters.best_step = score, step
            self._save({"validation": json.dumps(tables)})
        self.on_progress(
            Progress(step, self._share(), self._seconds_left(), self.recent, scores, improved)
        )

    def _score(
        self, pairs: PairSet, at_most: int | None, metrics: tuple[str, ...]
    ) -> dict[str, Validation]:
        return validate_tasks(
            self.average,
            pairs,
            self.config.tasks,
            device=self.device,
            metrics=metrics,
            at_most=at_most,
        )

    def _save(self, notes: dict[str, str]) -> None:
        metadata = {
            **metadata_of(self.config, self.identity),
            "step": str(self.counters.best_step),
            **notes,
        }
        save_checkpoint(self.output, self.average, metadata=metadata, dtype=torch.float16)

    def _finish(self, notes: dict[str, str], *, keep_start: bool) -> TrainingResult:
        """Report the best checkpoint's scores and write them into it."""
        best = load_network(self.output)
        self.average.load_state_dict(best.state_dict())
        choosing = self._score(self.data.choosing, None, REPORTED)
        reporting = self._score(self.data.reporting, None, REPORTED)
        tables = {
            part: {task: table.to_dict() for task, table in scores.items()}
            for part, scores in (("choosing", choosing), ("reporting", reporting))
        }
        step = self.counters.best_step
        seconds = round(self.counters.seconds, 1)
        if step == 0 and not keep_start:
            self.log.write("finished", step=step, seconds=seconds, **tables, checkpoint=None)
            self.output.unlink()
            return TrainingResult(None, self.log.path, step, choosing, reporting)
        self.log.write("finished", step=step, seconds=seconds, **tables)
        self._save({**notes, "validation": json.dumps(tables)})
        return TrainingResult(self.output, self.log.path, step, choosing, reporting)


def _hash(checkpoint: Checkpoint) -> str:
    """Return a SHA-256 of a checkpoint's tensors, whatever file they came in."""
    digest = hashlib.sha256()
    for name, tensor in sorted(checkpoint.state_dict.items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _freeze_statistics(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _check_sizes(pairs: PairSet) -> None:
    for pair in pairs.pairs:
        height, width = pairs.size(pair)
        if min(height, width) < SMALLEST_CROP:
            raise InputError(
                f"{pair.first} is {width}x{height}: images to train on need at least "
                f"{SMALLEST_CROP} pixels a side"
            )
