"""A recipe from its first stage to its last: each goes on from what the ones before it left."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lkcfuse import strict_json
from lkcfuse.errors import UsageError
from lkcfuse.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.data import PairSet
from lkcfuse.training.log import RunLog, is_finished, log_path
from lkcfuse.training.loop import (
    Progress,
    TrainingData,
    TrainingResult,
    identity_of,
    metadata_of,
    train,
)
from lkcfuse.training.recipe import Recipe, Stage
from lkcfuse.training.state import state_path
from lkcfuse.training.validation import REPORTED, validate_tasks

Gather = Callable[[TrainingConfig], TrainingData]


@dataclass(frozen=True)
class StageProgress:
    """Where a recipe's run stands.

    Attributes:
        stage: The stage.
        number: Its number, from 1.
        count: How many there are.
        within: Where the stage stands.
        share: Share of all steps that is done, 0 to 1.
        seconds_left: Estimate for all that is left; None in the first steps.
    """

    stage: Stage
    number: int
    count: int
    within: Progress
    share: float
    seconds_left: float | None


def run_files(output: Path, recipe: Recipe) -> list[Path]:
    """Return every file that the run of a recipe may leave at and beside `output`."""
    outputs = [output, *(_stage_output(output, recipe, n) for n in range(len(recipe.stages)))]
    names = [(path, log_path(path), state_path(path)) for path in dict.fromkeys(outputs)]
    return [path for group in names for path in group]


def run_recipe(
    recipe: Recipe,
    gather: Gather,
    output: Path,
    *,
    init: Checkpoint | None = None,
    resume: bool = False,
    keep_start: bool = True,
    device: torch.device | None = None,
    on_progress: Callable[[StageProgress], None] = lambda _progress: None,
    notes: dict[str, str] | None = None,
) -> TrainingResult:
    """Run every stage of a recipe, and leave the last one's weights at `output`.

    With several stages each leaves its own checkpoint and log beside, `NAME.01.safetensors` and so
    on. A run that is taken up again skips those that are finished.

    Args:
        recipe: What to do.
        gather: Finds the pairs of a stage.
        output: The checkpoint, `.safetensors`, in float16.
        init: Weights that stages without a start go on from.
        resume: Go on with what is beside `output`; where there is nothing, start.
        keep_start: As `train` has it, for a recipe of one stage.
        device: Where to train; the CPU if left out.
        on_progress: Told after every step and validation.
        notes: Further metadata of the checkpoint.

    Raises:
        InputError, UsageError, ResourceError, LkcfuseError: As `train`.
    """
    device = device or torch.device("cpu")
    left: dict[str, Checkpoint] = {}
    done = 0
    for index, stage in enumerate(recipe.stages):
        start = init if stage.start is None else left[stage.start]
        path = _stage_output(output, recipe, index)
        data = gather(stage.config)
        # Of several stages none reports by itself: the scores are of what they leave together.
        of_stage = data if path == output else replace(data, reporting=PairSet([]))
        if index == 0 and not resume:
            _remove_later_stages(output, recipe)
        if resume and path != output and is_finished(path) and not state_path(path).exists():
            _check_finished(path, stage, of_stage, start)
        else:
            result = train(
                stage.config,
                of_stage,
                path,
                init=start,
                resume=resume,
                keep_start=keep_start or path != output,
                device=device,
                on_progress=_teller(recipe, index, done, on_progress),
                notes=notes,
            )
            if path == output:
                return result
        ended = load_checkpoint(path)
        left[stage.name] = _average(ended, {**left, stage.name: ended}, stage.average)
        done += stage.config.steps
    return _finish(recipe, left[stage.name], start, data, output, device, notes or {})


def _stage_output(output: Path, recipe: Recipe, index: int) -> Path:
    if len(recipe.stages) == 1:
        return output
    return output.with_name(f"{output.stem}.{index + 1:02d}{output.suffix}")


def _remove_later_stages(output: Path, recipe: Recipe) -> None:
    """Remove what a run before has left of the stages to come: it would be taken for this one's.

    The first stage sees to its own files, and the weights stand until better ones are there.
    """
    first = _stage_output(output, recipe, 0)
    kept = {output, first, log_path(first), state_path(first)}
    for path in run_files(output, recipe):
        if path not in kept:
            path.unlink(missing_ok=True)


def _check_finished(path: Path, stage: Stage, data: TrainingData, start: Checkpoint | None) -> None:
    try:
        recorded = strict_json.loads(load_checkpoint(path).metadata.get("training", "null"))
    except ValueError:
        recorded = None
    if recorded != identity_of(stage.config, data, start):
        raise UsageError(
            f"{path} was made with other settings, data or initial weights: give the same "
            "options as before, or start again without --resume"
        )


def _average(
    ended: Checkpoint, weights: Mapping[str, Checkpoint], shares: Mapping[str, float]
) -> Checkpoint:
    """Return the weighted mean of networks; counters are those of `ended`."""
    mean: dict[str, Tensor] = {}
    for name, tensor in ended.state_dict.items():
        if tensor.is_floating_point():
            parts = [share * weights[stage].state_dict[name] for stage, share in shares.items()]
            mean[name] = torch.stack(parts).sum(0)
        else:
            mean[name] = tensor
    return replace(ended, state_dict=mean)


def _teller(
    recipe: Recipe, index: int, done: int, tell: Callable[[StageProgress], None]
) -> Callable[[Progress], None]:
    """Return what a stage tells its progress to: it is put into that of the whole."""
    stage, total = recipe.stages[index], recipe.steps
    steps = stage.config.steps
    later = total - done - steps

    def told(progress: Progress) -> None:
        share = (done + progress.share * steps) / total
        left = progress.seconds_left
        if left is not None and later:
            # The stages to come are taken to need as long for a step as this one.
            here = steps * (1 - progress.share)
            left = left * (here + later) / here if here else None
        tell(StageProgress(stage, index + 1, len(recipe.stages), progress, share, left))

    return told


def _finish(
    recipe: Recipe,
    weights: Checkpoint,
    start: Checkpoint | None,
    data: TrainingData,
    output: Path,
    device: torch.device,
    notes: dict[str, str],
) -> TrainingResult:
    """Write the last stage's weights with the scores of what is written."""
    config = recipe.last
    metadata = {
        **metadata_of(config, identity_of(config, data, start)),
        "stages": json.dumps([stage.to_dict() for stage in recipe.stages]),
        "step": str(recipe.steps),
        **notes,
    }
    weights = replace(weights, metadata={})
    save_checkpoint(output, weights, metadata=metadata, dtype=torch.float16)
    network = load_checkpoint(output).network().to(device)
    choosing, reporting = (
        validate_tasks(network, part, config.tasks, device=device, metrics=REPORTED)
        for part in (data.choosing, data.reporting)
    )
    tables = {
        part: {task: table.to_dict() for task, table in scores.items()}
        for part, scores in (("choosing", choosing), ("reporting", reporting))
    }
    metadata["validation"] = json.dumps(tables)
    save_checkpoint(output, weights, metadata=metadata, dtype=torch.float16)
    with closing(RunLog(log_path(output))) as log:
        log.write("run", stages=[stage.to_dict() for stage in recipe.stages])
        log.write("finished", step=recipe.steps, **tables)
    return TrainingResult(output, log.path, recipe.steps, choosing, reporting)
