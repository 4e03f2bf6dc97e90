"""Everything a run of one stage is determined by, as data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from lkcfuse.architectures.lkc_funet.config import NetworkConfig
from lkcfuse.architectures.processing import Processing
from lkcfuse.architectures.weight_map.config import WeightMapConfig
from lkcfuse.errors import InputError, UsageError
from lkcfuse.tasks import get_task
from lkcfuse.training.losses import LossWeights
from lkcfuse.training.ranges import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range

SMALLEST_CROP = 48
"""Pixels a side."""

_RANGES = {
    "inner": Range(2, whole=True),
    "dropout": SHARE,
    "drop_path": SHARE,
    "steps": COUNT,
    "learning_rate": POSITIVE,
    "warmup": SHARE,
    "weight_decay": NOT_NEGATIVE,
    "clip": POSITIVE,
    "ema": SHARE,
    "freeze_statistics": SHARE,
    "validate_every": COUNT,
    "validation_pairs": COUNT,
    "seed": Range(0, 2**40, whole=True),
}


@dataclass(frozen=True)
class Augmentation:
    """How a pair of crops is varied; each tone change strikes either source by itself.

    Attributes:
        tone: Probability of a change of gamma, gain and contrast of a source.
        strength: Size of that change: 1 covers gammas of about 0.6 to 1.6.
        dark: Probability that a source goes dark, to a quarter of its light or so: a night, or an
            infrared camera whose range a hot thing fills.
        noise: Probability that a source gets Gaussian noise of up to 4 levels.
        zoom: Probability that a crop is of the picture enlarged or reduced, by a factor of up to
            two: what a sharper or a softer camera would see.
    """

    tone: float = 0.5
    strength: float = 0.7
    dark: float = 0.1
    noise: float = 0.1
    zoom: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            (NOT_NEGATIVE if name == "strength" else SHARE).check(f"augmentation: {name}", value)


PROCESSING = Processing((-1.0, 1.0), (-1.0, 1.0))
"""How networks are fed that are trained here: the second source first."""

_CHOICES = {
    "architecture": ("lkc-funet", "weight-map"),
    "keep": ("best", "last"),
    "optimizer": ("adamw", "muon"),
}


@dataclass(frozen=True)
class TrainingConfig:
    """Configuration of a training run.

    Attributes:
        tasks: Tasks to train on; each crop is drawn from one of them, all equally often, and of
            its sets from one, all equally often.
        architecture: What is trained: `lkc-funet`, or `weight-map` for photographs.
        widths: Channels of a weight-map network at each resolution.
        inner: Width of LKC-FUNet: 32 in the paper, 8 for the compact one. It and all up to
            `drop_path` are LKC-FUNet's alone.
        kernels: Sides of the large kernels at full, half and quarter resolution.
        stem_norm: `batch` or `instance`.
        base: `max` (predict what to add to the pixelwise maximum) or `none`.
        dropout: Dropout probability, 0.2 in the paper.
        drop_path: Stochastic depth probability, 0.2 in the paper.
        steps: Optimiser steps of the whole run.
        minutes: End after this time even if steps are left; the learning rate is led to its end
            by whichever of the two is further on. A run bounded by time cannot be repeated
            exactly, one bounded by steps can.
        crops: Pairs (side in pixels, samples a step); a step draws one of them. A side larger
            than an image is cut down to it. Several sizes keep the tone from depending on size.
        cycle: Steps of the learning rate's one-cycle schedule, where a run ends before it does: a
            stage that others go on from need not cool down. None: the run's steps.
        optimizer: `adamw`, or `muon` for the kernels and AdamW for the rest.
        learning_rate: Peak of the one-cycle schedule.
        warmup: Share of the run until the peak.
        weight_decay: On the kernels alone.
        clip: Largest norm of the gradient.
        ema: Decay of the moving average of the weights, which is what is validated and saved.
        freeze_statistics: Share of the run after which batch normalisations keep their running
            statistics fixed, so that training ends under the conditions of inference.
        validate_every: Steps between validations.
        validation_pairs: Pairs of each task that choose the checkpoint, at most: a tenth of the
            training pairs, kept aside.
        keep: Which weights a run leaves: the `best` by validation, or the `last`, for a stage
            that others go on from and whose scores do not matter by themselves.
        mixed_precision: Whether convolutions may learn with products in bfloat16, on a GPU and on
            processors with matrix units for them (Intel's AMX).
        symmetric: Whether every kernel is kept the same under mirroring and quarter turns, so that
            a mirrored or turned pair gives the mirrored or turned picture: see
            `lkcfuse.training.symmetry`.
        centres: Whether large kernels learn as the sum of themselves and a 3x3 kernel at their
            centre, with `muon`: see `lkcfuse.training.centres`.
        seed: Decides the initial weights, the order of the data and its augmentation.
        augmentation: How crops are varied.
        loss: The weights of the loss.
    """

    tasks: tuple[str, ...] = ("ir-vis",)
    architecture: str = "lkc-funet"
    widths: tuple[int, ...] = (8, 16, 32, 48, 64)
    inner: int = 8
    kernels: tuple[int, int, int] = (15, 11, 5)
    stem_norm: str = "batch"
    base: str = "max"
    dropout: float = 0.0
    drop_path: float = 0.0
    steps: int = 1000
    minutes: float | None = None
    cycle: int | None = None
    crops: tuple[tuple[int, int], ...] = ((96, 4), (128, 2), (192, 1))
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema: float = 0.99
    freeze_statistics: float = 0.3
    validate_every: int = 100
    validation_pairs: int = 8
    keep: str = "best"
    mixed_precision: bool = True
    symmetric: bool = False
    centres: bool = False
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        if not self.tasks:
            raise UsageError("a training run needs at least one task")
        for task in self.tasks:
            get_task(task)
        for name, allowed in _RANGES.items():
            allowed.check(name, getattr(self, name))
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise UsageError(f"{name} is {value!r}: it must be {' or '.join(choices)}")
        for name in ("mixed_precision", "symmetric", "centres"):
            if not isinstance(value := getattr(self, name), bool):
                raise UsageError(f"{name} is {value!r}: give true or false")
        if self.minutes is not None:
            POSITIVE.check("minutes", self.minutes)
        if self.cycle is not None:
            Range(self.steps, whole=True).check("cycle", self.cycle)
        if len(self.crops) == 0:
            raise UsageError("crops is empty: give pairs of a side in pixels and a number")
        for side, count in self.crops:
            Range(SMALLEST_CROP, whole=True).check("the side of a crop", side)
            COUNT.check("the number of crops", count)
        self.network()
        if self.architecture == "weight-map":
            own = {"optimizer": "adamw", "symmetric": False, "centres": False}
            for name, value in own.items():
                if getattr(self, name) != value:
                    raise UsageError(
                        f"{name} is {getattr(self, name)!r}: it must be {value!r} for a "
                        "weight-map network"
                    )

    def network(self) -> NetworkConfig | WeightMapConfig:
        """Return the configuration of the network to train.

        Raises:
            UsageError: It is not a possible network.
        """
        try:
            if self.architecture == "weight-map":
                return WeightMapConfig(self.widths)
            return NetworkConfig(
                inner=self.inner,
                kernels=self.kernels,
                stem_norm=self.stem_norm,  # type: ignore[arg-type]  # checked there
                base=self.base,  # type: ignore[arg-type]
            )
        except ValueError as error:
            raise UsageError(str(error)) from None

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON data."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return data

    def with_changes(self, **changes: Any) -> TrainingConfig:
        """Return the configuration with the given fields replaced; None leaves a field alone."""
        return replace(
            self, **{name: value for name, value in changes.items() if value is not None}
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, where: str) -> TrainingConfig:
        """Read what `to_dict` wrote, or a recipe that gives a part of it.

        Raises:
            InputError: A field is unknown or its value unfit; the message names `where` and it.
        """
        values = dict(data)
        values.pop("comment", None)
        _check_names(cls, values, where)
        try:
            for name, form, what in _LISTS:
                if name in values:
                    if not form(values[name]):
                        raise UsageError(f"{name} is {json.dumps(values[name])}: give {what}")
                    values[name] = tuple(
                        tuple(entry) if isinstance(entry, list) else entry for entry in values[name]
                    )
            for name, kind in (("augmentation", Augmentation), ("loss", LossWeights)):
                if name in values:
                    if not isinstance(values[name], dict):
                        raise UsageError(f"{name} is {json.dumps(values[name])}: give an object")
                    _check_names(kind, values[name], f"{where}: {name}")
                    values[name] = kind(**values[name])
            return cls(**values)
        except (TypeError, ValueError, UsageError) as error:
            raise InputError(f"{where}: {error}") from None


def _is_list_of(kind: type, value: object, length: int | None = None) -> bool:
    return (
        isinstance(value, (list, tuple))
        and all(isinstance(entry, kind) and not isinstance(entry, bool) for entry in value)
        and (length is None or len(value) == length)
    )


_LISTS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("tasks", lambda value: _is_list_of(str, value), 'a list, as ["ir-vis"]'),
    ("kernels", lambda value: _is_list_of(int, value, 3), "three odd sizes, as [15, 11, 5]"),
    ("widths", lambda value: _is_list_of(int, value), "channels, as [8, 16, 32]"),
    (
        "crops",
        lambda value: isinstance(value, list) and all(_is_list_of(int, v, 2) for v in value),
        "pairs of a side in pixels and a number, as [[128, 2], [192, 1]]",
    ),
)


def _check_names(kind: Any, values: dict[str, Any], where: str) -> None:
    known = {entry.name for entry in fields(kind)}
    for name in values:
        if name not in known:
            raise InputError(f"{where}: '{name}' is unknown; the fields are {', '.join(known)}")
