"""Scores on whole images, as they would be written: what chooses a checkpoint and what reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lkcfuse.fusion.model import FusionModel
from lkcfuse.metrics import evaluate
from lkcfuse.training.config import PROCESSING
from lkcfuse.training.data import Pair, PairSet, Plane

# What a checkpoint is chosen by: the metric, how much a unit of it counts, and how far above the
# pixelwise maximum it has to come.
GOALS = {"VIF": (1.0, 0.0), "Qabf": (2.0, 0.0), "SSIM": (1.0, 0.0), "SCD": (0.5, 0.04)}
# What a finished run reports: the metrics of the field's tables.
REPORTED = ("EN", "SD", "SF", "AG", "MI", "SCD", "CC", "MSE", "PSNR", "SSIM", "VIF", "Qabf")
# A metric short of its goal weighs this much more than one beyond it.
SHORTFALL = 5.0
# Levels that a quarter fused by itself may differ by before it counts, and what a level then costs.
TONE_GOAL, TONE_COST = 2.5, 0.05
# Likewise for blocks that come out darker than the brighter source's.
DARKENING_GOAL, DARKENING_COST = 1.5, 0.1
BLOCK = 16

Scores = dict[str, float]


@dataclass(frozen=True)
class Worst:
    """The picture with the smallest gain over the pixelwise maximum in a metric.

    Attributes:
        name: Of the pair.
        gain: Its score less the maximum's.
    """

    name: str
    gain: float


@dataclass(frozen=True)
class Validation:
    """Mean scores over pairs, of the fused images and of the plainest baselines.

    A metric's means are over the pairs for which it is defined and finite (SCD is not where a
    source is one grey); where there is none, the tables lack it. Where the pairs are of several
    sets, the means are over the sets, so that each counts as much.

    Attributes:
        fused: Of the network's results.
        maximum: Of the pixelwise maximum of the two sources.
        mean: Of the mean of the two sources.
        tone_shift: Mean absolute difference, in levels, between the central quarter of a pair
            fused by itself and the same quarter of the fused whole.
        darkening: Mean, in levels, of what 16x16 blocks lie below the brighter source's.
        worst: By metric, the picture with the smallest gain over the maximum.
        pairs: Number of pairs.
        datasets: The same of each set by itself, by its name; empty where there is only one.
    """

    fused: Scores
    maximum: Scores
    mean: Scores
    tone_shift: float
    darkening: float
    worst: dict[str, Worst]
    pairs: int
    datasets: dict[str, Validation] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """One number to choose by: gains over the maximum, where falling short weighs more.

        Of several sets the worst counts as much as the mean of all.
        """
        if self.datasets:
            scores = [table.score for table in self.datasets.values()]
            return (sum(scores) / len(scores) + min(scores)) / 2
        total = -TONE_COST * max(0.0, self.tone_shift - TONE_GOAL)
        total -= DARKENING_COST * max(0.0, self.darkening - DARKENING_GOAL)
        for name, (weight, margin) in GOALS.items():
            if name not in self.fused:
                continue
            gain = self.fused[name] - self.maximum[name]
            total += weight * (gain + SHORTFALL * min(0.0, gain - margin))
        return total

    @property
    def worst_dataset(self) -> str | None:
        """The name of the set with the lowest score; None where there is only one."""
        if not self.datasets:
            return None
        return min(self.datasets, key=lambda name: self.datasets[name].score)

    def to_dict(self) -> dict[str, object]:
        """Return the scores as JSON data, rounded to what is meaningful."""
        table: dict[str, object] = {
            name: {metric: round(value, 4) for metric, value in getattr(self, name).items()}
            for name in ("fused", "maximum", "mean")
        }
        table |= {
            "tone_shift": round(self.tone_shift, 2),
            "darkening": round(self.darkening, 2),
            "worst": {
                metric: {"name": worst.name, "gain": round(worst.gain, 4)}
                for metric, worst in self.worst.items()
            },
            "pairs": self.pairs,
            "score": round(self.score, 4),
        }
        if self.datasets:
            table["datasets"] = {name: part.to_dict() for name, part in self.datasets.items()}
        return table


def fuse_plane(network: nn.Module, pair: Plane, device: torch.device) -> NDArray[np.uint8]:
    """Fuse one pair whole and round it to the 8 bits it would be written in.

    Args:
        network: Takes (1, 2, H, W) in [-1, 1], the second source first.
        pair: (2, H, W) float32 in [0, 1], the first source first.
        device: Where the network is.

    Returns:
        (H, W) uint8.
    """
    with torch.no_grad():
        first, second = torch.from_numpy(pair.copy())[:, None, None].to(device)
        fused = FusionModel(network, PROCESSING).luma(first, second)[0, 0].cpu().numpy()
    return to_levels(fused)


def tone_shift(
    network: nn.Module, pair: Plane, fused: NDArray[np.uint8], device: torch.device
) -> float:
    """Fuse the central quarter by itself; return its mean absolute difference to the whole's.

    Args:
        network: As in `fuse_plane`.
        pair: (2, H, W) float32 in [0, 1], the first source first.
        fused: What `fuse_plane` makes of it.
        device: Where the network is.

    Returns:
        Levels, 0..255.
    """
    height, width = fused.shape
    rows = slice(height // 4, height // 4 + height // 2)
    columns = slice(width // 4, width // 4 + width // 2)
    alone = fuse_plane(network, pair[:, rows, columns], device)
    return float(np.abs(alone.astype(np.float64) - fused[rows, columns]).mean())


def block_darkening(fused: Plane, first: Plane, second: Plane) -> float:
    """Return the mean of what 16x16 blocks lie below the brighter source's, in levels.

    Args:
        fused: (H, W), in levels, 0..255; blocks that do not fit at the bottom and the right are
            left out. An image smaller than a block is one.
        first: The first source, likewise.
        second: The second source, likewise.
    """
    means = [_block_means(plane) for plane in (fused, first, second)]
    short = np.maximum(means[1], means[2]) - means[0]
    return float(np.maximum(short, 0).mean())


def _block_means(plane: Plane) -> Plane:
    height, width = (min(BLOCK, side) for side in plane.shape)
    rows, columns = plane.shape[0] // height, plane.shape[1] // width
    whole = plane[: rows * height, : columns * width]
    means: Plane = whole.reshape(rows, height, columns, width).mean(axis=(1, 3))
    return means


def to_levels(plane: Plane) -> NDArray[np.uint8]:
    """Round [0, 1] to 0..255, clipping what lies outside."""
    return np.asarray(np.clip(np.rint(plane * 255), 0, 255), dtype=np.uint8)


def validate_tasks(
    network: nn.Module,
    pairs: PairSet,
    tasks: Iterable[str],
    *,
    device: torch.device,
    metrics: Iterable[str],
    at_most: int | None = None,
) -> dict[str, Validation]:
    """Return the scores of `validate` by task; a task without pairs is left out.

    Args:
        network: In evaluation mode.
        pairs: Of any tasks.
        tasks: Which to score.
        device: Where the network is.
        metrics: As `validate` takes them.
        at_most: Pairs of each task, spread evenly over its sets, at least one of each, and over
            the pairs of a set; None takes all.
    """
    tables = {}
    for task in tasks:
        sets = pairs.datasets(task)
        parts = {
            name: validate(
                network, pairs, _spread(members, at_most, len(sets)), device=device, metrics=metrics
            )
            for name, members in sets.items()
        }
        if parts:
            tables[task] = combine(parts)
    return tables


def _spread(pairs: list[Pair], at_most: int | None, sets: int) -> list[Pair]:
    if at_most is None:
        return pairs
    count = min(len(pairs), max(1, at_most // sets))
    return [pairs[i * len(pairs) // count] for i in range(count)]


def combine(datasets: dict[str, Validation]) -> Validation:
    """Return the means over sets; of a single set its own scores."""
    parts = list(datasets.values())
    if len(parts) == 1:
        return parts[0]
    metrics = dict.fromkeys(name for part in parts for name in part.fused)
    means: dict[str, Scores] = {table: {} for table in ("fused", "maximum", "mean")}
    for metric in metrics:
        having = [part for part in parts if metric in part.fused]
        for table, mean in means.items():
            mean[metric] = float(np.mean([getattr(part, table)[metric] for part in having]))
    return Validation(
        fused=means["fused"],
        maximum=means["maximum"],
        mean=means["mean"],
        tone_shift=float(np.mean([part.tone_shift for part in parts])),
        darkening=float(np.mean([part.darkening for part in parts])),
        worst={
            metric: min(
                (part.worst[metric] for part in parts if metric in part.worst),
                key=lambda worst: worst.gain,
            )
            for metric in metrics
        },
        pairs=sum(part.pairs for part in parts),
        datasets=datasets,
    )


def validate(
    network: nn.Module,
    pairs: PairSet,
    chosen: Iterable[Pair],
    *,
    device: torch.device,
    metrics: Iterable[str] = tuple(GOALS),
) -> Validation:
    """Fuse pairs whole and return the mean scores of the results and of the baselines.

    Args:
        network: In evaluation mode.
        pairs: Where the pairs are read from.
        chosen: Which of them.
        device: Where the network is.
        metrics: Names as in `lkcfuse.metrics.METRICS`; those of `GOALS` must be among them.
    """
    names = tuple(metrics)
    chosen = list(chosen)
    shifts: list[float] = []
    short: list[float] = []
    tables: dict[str, list[Scores]] = {"fused": [], "maximum": [], "mean": []}
    for pair in chosen:
        sources = pairs.load(pair)
        first, second = (to_levels(plane).astype(np.float32) for plane in sources)
        fused = fuse_plane(network, sources, device)
        shifts.append(tone_shift(network, sources, fused, device))
        short.append(block_darkening(fused.astype(np.float32), first, second))
        planes = first.astype(np.float64), second.astype(np.float64)
        tables["fused"].append(evaluate(fused.astype(np.float64), *planes, names))
        for name, scores in _baselines(pairs, pair, planes, names).items():
            tables[name].append(scores)
    means, worst = _summarise(tables, names, [pair.name for pair in chosen])
    return Validation(
        fused=means["fused"],
        maximum=means["maximum"],
        mean=means["mean"],
        tone_shift=float(np.mean(shifts)),
        darkening=float(np.mean(short)),
        worst=worst,
        pairs=len(shifts),
    )


def _baselines(
    pairs: PairSet,
    pair: Pair,
    sources: tuple[NDArray[np.float64], NDArray[np.float64]],
    names: tuple[str, ...],
) -> dict[str, Scores]:
    """Return the scores of the baselines, which are computed once a run."""
    key = (pair, names)
    if key not in pairs.baselines:
        first, second = sources
        results = {"maximum": np.maximum(first, second), "mean": np.rint((first + second) / 2)}
        pairs.baselines[key] = {
            name: evaluate(result, first, second, names) for name, result in results.items()
        }
    return pairs.baselines[key]


def _summarise(
    tables: dict[str, list[Scores]], names: Iterable[str], pairs: list[str]
) -> tuple[dict[str, Scores], dict[str, Worst]]:
    """Return each table's means, over the pairs for which a metric is finite in all, and the worst.

    The worst is the pair with the smallest gain over the maximum.
    """
    means: dict[str, Scores] = {table: {} for table in tables}
    worst: dict[str, Worst] = {}
    for name in names:
        values = {t: np.array([row[name] for row in rows]) for t, rows in tables.items()}
        defined = np.isfinite(np.array(list(values.values()))).all(axis=0)
        if defined.any():
            for table, mean in means.items():
                mean[name] = float(values[table][defined].mean())
            gains = np.where(defined, values["fused"] - values["maximum"], np.inf)
            worst[name] = Worst(pairs[int(gains.argmin())], float(gains.min()))
    return means, worst
