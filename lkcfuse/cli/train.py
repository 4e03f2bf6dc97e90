"""`lkcfuse train`: folder pairs in, checkpoint out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lkcfuse.atomic import check_destination
from lkcfuse.cli import completion, failures
from lkcfuse.cli.options import (
    DeviceOption,
    ForceOption,
    JsonOption,
    QuietOption,
    ThreadsOption,
    local_path,
)
from lkcfuse.cli.output import Output, Warnings, count
from lkcfuse.errors import PartialError, UsageError

if TYPE_CHECKING:
    import torch

    from lkcfuse.models.checkpoint import Checkpoint
    from lkcfuse.training.config import TrainingConfig
    from lkcfuse.training.loop import TrainingData, TrainingResult
    from lkcfuse.training.recipe import Recipe
    from lkcfuse.training.stages import StageProgress
    from lkcfuse.training.validation import Validation

# typer reads the annotations at run time, on Python 3.10 too, hence Optional.
FoldersArgument = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Argument(
        metavar="FIRST SECOND",
        help="Folder of infrared or MRI images, and folder of visible, CT, PET or SPECT images of "
        "the same names.",
        parser=local_path,
    ),
]
OutputOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The checkpoint: FILE.safetensors. Default: the name of the recipe or the task, in "
        "the current folder.",
        parser=local_path,
    ),
]
DataOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--data",
        metavar="DIR",
        help="Instead of two folders: DIR with ir/ and vis/ (or mri/ and ct/, pet/, spect/) in it, "
        "or in train/ and val/, or in TASK/train/ and TASK/val/.",
        parser=local_path,
    ),
]
TasksOption = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--task",
        "-t",
        metavar="TASK",
        help="The task; several may be given with --data. [default: ir-vis]",
        autocompletion=completion.tasks,
    ),
]
RecipeOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="A recipe of the packaged weights, or a JSON file of settings.",
        autocompletion=completion.recipes,
    ),
]
StageOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--stage", metavar="NAME", help="Run only this stage of the recipe."),
]
InitOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--init",
        metavar="NAME|FILE",
        help="Weights to start from. The learning rate is then a tenth of the usual one, and the "
        "normalisations keep their statistics.",
        autocompletion=completion.weights,
    ),
]
WidthOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--width",
        min=2,
        metavar="N",
        help="Width of the network: 8 for the compact one, 32 for the paper's.",
    ),
]
KernelsOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--kernels",
        metavar="A,B,C",
        help="Sizes of the large kernels at the three resolutions, such as 15,11,5.",
    ),
]
StepsOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--steps", min=1, metavar="N", help="Number of optimiser steps."),
]
MinutesOption = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--minutes", metavar="M", help="Stop after M minutes, even if steps are left."),
]
RateOption = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--learning-rate", metavar="R", help="Peak of the one-cycle learning rate schedule."
    ),
]
SeedOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--seed",
        min=0,
        metavar="N",
        help="Seed of the initial weights, the order of the data and its augmentation.",
    ),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Continue a run that was stopped or killed.")
]


def train(
    folders: FoldersArgument = None,
    output: OutputOption = None,
    data: DataOption = None,
    tasks: TasksOption = None,
    recipe: RecipeOption = None,
    stage: StageOption = None,
    init: InitOption = None,
    width: WidthOption = None,
    kernels: KernelsOption = None,
    steps: StepsOption = None,
    minutes: MinutesOption = None,
    learning_rate: RateOption = None,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    resume: ResumeOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a network on your own pairs, or train packaged weights further.

    A log with settings, data, curve and scores is written next to the checkpoint. A tenth of the
    pairs is kept aside to choose the best weights; pairs in val/ are only reported on. Ctrl-C or a
    crash costs a minute at most: run the same command with --resume to continue.
    """
    out = Output(as_json, quiet)
    first, second = _two_folders(folders, data)
    output = output or _default_output(recipe, tasks)
    _check_name(output)

    from lkcfuse.inference.devices import describe, select_device, thread_count, use_threads
    from lkcfuse.training.claim import claim
    from lkcfuse.training.config import TrainingConfig
    from lkcfuse.training.recipe import Recipe, load_recipe
    from lkcfuse.training.setup import INIT_SETTINGS, gather, start_from
    from lkcfuse.training.stages import run_recipe

    plan = load_recipe(recipe) if recipe else Recipe.of(TrainingConfig())
    if stage is not None:
        plan = plan.only(stage)
    own = {"steps": steps, "minutes": minutes, "learning_rate": learning_rate, "seed": seed}
    if len(plan.stages) > 1 and (given := [name for name in own if own[name] is not None]):
        raise UsageError(
            f"the recipe {recipe} has {len(plan.stages)} stages, each with its own "
            f"{', '.join(given)}: take one of them with --stage, or write a recipe of your own"
        )
    if init and not recipe:
        plan = plan.map(lambda settings: settings.with_changes(**INIT_SETTINGS))
    plan = plan.map(
        lambda settings: settings.with_changes(
            tasks=tuple(tasks) if tasks else None, inner=width, kernels=_kernels(kernels), **own
        )
    )
    chosen = select_device(device)
    thread_number = thread_count(threads)
    computer = describe(chosen, threads=thread_number)
    meter = _Meter(out, computer)
    warn = Warnings(out, once=True)

    by_default = steps is None and minutes is None and recipe is None

    def find(settings: TrainingConfig) -> TrainingData:
        pairs = gather(settings, first=first, second=second, data=data, notify=warn)
        if settings is plan.stages[0].config and not resume:
            _say_length(out, plan, chosen, computer, by_default=by_default)
        meter.begin(settings, pairs)
        return pairs

    with claim(output), use_threads(thread_number):
        start: Checkpoint | None = None
        if init:
            with out.progress("loading weights", in_bytes=True) as progress:
                start, plan = start_from(
                    init,
                    plan,
                    width_given=width is not None,
                    kernels_given=kernels is not None,
                    notify=out.notify,
                    progress=progress,
                )
        _check_output(output, plan, resume=resume, force=force)
        with _hint_of_resuming(), meter:
            result = run_recipe(
                plan,
                find,
                output,
                init=start,
                resume=resume,
                keep_start=force,
                device=chosen,
                on_progress=meter,
                notes={"recipe": recipe + (f", stage {stage}" if stage else "")}
                if recipe
                else None,
            )
    warn.close()
    _report(out, result, output)


def _two_folders(folders: list[Path] | None, data: Path | None) -> tuple[Path | None, Path | None]:
    if (folders is None or not folders) == (data is None):
        raise UsageError("give two folders of images, or one folder with --data")
    if not folders:
        return None, None
    if len(folders) != 2:
        raise UsageError(f"train needs two folders and got {len(folders)}")
    return folders[0], folders[1]


def _default_output(recipe: str | None, tasks: list[str] | None) -> Path:
    return Path((Path(recipe).stem if recipe else "+".join(tasks or ["ir-vis"])) + ".safetensors")


def _kernels(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    try:
        one, two, three = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--kernels {text}: give three odd sizes, such as 15,11,5") from None
    return one, two, three


def _check_name(output: Path) -> None:
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the checkpoint's name must end in .safetensors")
    check_destination(output, overwrite=True)


def _check_output(output: Path, recipe: Recipe, *, resume: bool, force: bool) -> None:
    """Refuse to write over what is not this run's own."""
    from lkcfuse.training.log import is_finished, log_path
    from lkcfuse.training.stages import run_files
    from lkcfuse.training.state import state_path

    if force and not resume:
        return
    files = run_files(output, recipe)
    if not resume:
        for path in files:
            if path.exists() and not _is_of_no_checkpoint(path, output):
                raise UsageError(f"{path} exists: --resume continues its run, --force starts again")
        return
    if is_finished(output) and not state_path(output).exists():
        raise UsageError(f"{output} is finished: to train it further, give --init {output}")
    log = log_path(output)
    if output.exists() and not any(path.exists() for path in files if path != output):
        raise UsageError(
            f"{output} exists, and the log of its run ({log.name}) is missing: it cannot be "
            "resumed; give another --output"
        )


def _is_of_no_checkpoint(path: Path, output: Path) -> bool:
    """Whether a file is the log of a run that ended without a checkpoint."""
    from lkcfuse.training.log import is_unimproved, log_path

    return path == log_path(output) and is_unimproved(output) and not output.exists()


def _say_length(
    out: Output, plan: Recipe, device: torch.device, computer: str, *, by_default: bool
) -> None:
    """Say how long the run is, in steps and in time; a trial takes a moment."""
    if out.quiet:
        return
    from lkcfuse.training.estimate import estimate_seconds

    by_steps = [estimate_seconds(stage.config, device=device) for stage in plan.stages]
    times = [
        seconds if stage.config.minutes is None else min(seconds, 60 * stage.config.minutes)
        for seconds, stage in zip(by_steps, plan.stages, strict=True)
    ]
    default = " (the default; --steps or --minutes set another length)" if by_default else ""
    bound = " at most" if times != by_steps else ""
    out.note(
        f"{count(plan.steps, 'step')}{bound}{default}: about {_duration(sum(times))} on {computer}"
    )


@contextmanager
def _hint_of_resuming() -> Iterator[None]:
    """Let the line of an interrupt say how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        failures.with_hint(stop, "run the same command with --resume to continue")
        raise


class _Meter:
    """Shows how far a run is: a bar on a terminal, a line at every validation anywhere."""

    def __init__(self, out: Output, computer: str) -> None:
        self._out = out
        self._computer = computer
        self._context = out.progress("training")

    def __enter__(self) -> _Meter:
        self._bar = self._context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)  # type: ignore[arg-type]

    def begin(self, settings: TrainingConfig, pairs: TrainingData) -> None:
        """Say what the next stage learns from."""
        self._out.note(
            f"training {', '.join(settings.tasks)} at width {settings.inner} on "
            f"{self._computer}: {count(len(pairs.training), 'pair')} to learn from, "
            f"{len(pairs.choosing)} to choose by, {len(pairs.reporting)} to report on"
        )

    def __call__(self, progress: StageProgress) -> None:
        self._bar(progress.share, 1.0)
        within = progress.within
        if within.validation is None:
            return
        left = "" if progress.seconds_left is None else f", {_duration(progress.seconds_left)} left"
        place = f"stage {progress.number} of {progress.count}, " if progress.count > 1 else ""
        for task, scores in within.validation.items():
            values = ", ".join(
                f"{name} {value:.3f} ({value - scores.maximum[name]:+.3f})"
                for name, value in scores.fused.items()
            )
            worst = f"; worst set {scores.worst_dataset}" if scores.datasets else ""
            best = ", best so far" if within.improved else ""
            self._out.note(
                f"{place}step {within.step} ({progress.share:.0%}{left}): {task} {values} "
                f"against the maximum{worst}{best}"
            )


def _table(title: str, table: Validation) -> Iterator[str]:
    """Yield the lines of a table: means, and the picture with the smallest gain in each metric."""
    of_sets = f", means over {len(table.datasets)} sets" if table.datasets else ""
    yield f"{title}{of_sets}: this network / maximum / mean, worst gain over the maximum"
    for name, value in table.fused.items():
        worst = table.worst[name]
        yield (
            f"  {name:<5} {value:10.4f} {table.maximum[name]:10.4f} {table.mean[name]:10.4f}"
            f" {worst.gain:+10.4f} {worst.name}"
        )
    yield (
        f"  tone of a quarter fused by itself {table.tone_shift:.2f} levels off; blocks "
        f"{table.darkening:.2f} levels darker than the brighter source's"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _report(out: Output, result: TrainingResult, output: Path) -> None:
    tables = {
        part: {task: table.to_dict() for task, table in scores.items()}
        for part, scores in (("choosing", result.choosing), ("reporting", result.reporting))
    }
    lines = [f"{output}: weights of step {result.step}"]
    unwritten = f"no step improved on the start: {output} is not written"
    if result.checkpoint is None:
        lines = [unwritten]
    elif not result.improved:
        lines = [f"no step improved on the start: {output} has the weights of the start"]
    for part, label in (("choosing", "kept aside"), ("reporting", "val")):
        for task, table in getattr(result, part).items():
            lines.extend(_table(f"{task}, {count(table.pairs, 'pair')} ({label})", table))
            for name, of_set in table.datasets.items():
                lines.extend(_table(f"{name}, {count(of_set.pairs, 'pair')} ({label})", of_set))
    record = {
        "checkpoint": None if result.checkpoint is None else str(result.checkpoint),
        "log": str(result.log),
        "step": result.step,
        "improved": result.improved,
    }
    out.result("\n".join(lines), {**record, **tables})
    if result.checkpoint is None:
        raise PartialError(
            f"{unwritten}: give more pairs, more --steps or another --learning-rate; --force "
            "writes the weights of the start"
        )
