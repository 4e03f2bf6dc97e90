"""Scores on whole images, as they would be written: what chooses a checkpoint and what reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lkcfuse.metrics import evaluate
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

Scores = dict[str, float]


@dataclass(frozen=True)
class Validation:
    """Mean scores over a set of pairs, of the fused images and of the plainest baselines.

    A metric's means are over the pairs for which it is defined and finite (SCD is not where a
    source is one grey); where there is none, the tables lack it.

    Attributes:
        fused: Of the network's results.
        maximum: Of the pixelwise maximum of the two sources.
        mean: Of the mean of the two sources.
        tone_shift: Mean absolute difference, in levels, between the central quarter of a pair
            fused by itself and the same quarter of the fused whole.
        pairs: Number of pairs.
    """

    fused: Scores
    maximum: Scores
    mean: Scores
    tone_shift: float
    pairs: int

    @property
    def score(self) -> float:
        """One number to choose by: gains over the maximum, where falling short weighs more."""
        total = -TONE_COST * max(0.0, self.tone_shift - TONE_GOAL)
        for name, (weight, margin) in GOALS.items():
            if name not in self.fused:
                continue
            gain = self.fused[name] - self.maximum[name]
            total += weight * (gain + SHORTFALL * min(0.0, gain - margin))
        return total

    def to_dict(self) -> dict[str, object]:
        """Return the scores as JSON data, rounded to what is meaningful."""
        table: dict[str, object] = {
            name: {metric: round(value, 4) for metric, value in getattr(self, name).items()}
            for name in ("fused", "maximum", "mean")
        }
        shift, score = round(self.tone_shift, 2), round(self.score, 4)
        return {**table, "tone_shift": shift, "pairs": self.pairs, "score": score}


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
        planes = torch.from_numpy(pair[::-1].copy())[None].to(device) * 2 - 1
        fused = network(planes)[0, 0].float().cpu().numpy()
    return to_levels((fused + 1) / 2)


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
        at_most: Pairs of each task, spread evenly over all of them; None takes all.
    """
    tables = {}
    for task in tasks:
        chosen = _spread(pairs.of_task(task), at_most)
        if chosen:
            tables[task] = validate(network, pairs, chosen, device=device, metrics=metrics)
    return tables


def _spread(pairs: list[Pair], at_most: int | None) -> list[Pair]:
    if at_most is None or len(pairs) <= at_most:
        return pairs
    return [pairs[i * len(pairs) // at_most] for i in range(at_most)]


def validate(
    network: nn.Module,
    pairs: PairSet,
    chosen: Iterable[Pair],
    *,
    device: torch.device,
    metrics: Iterable[str] = tuple(GOALS),
    after_pair: Callable[[], None] = lambda: None,
) -> Validation:
    """Fuse pairs whole and return the mean scores of the results and of the baselines.

    Args:
        network: In evaluation mode.
        pairs: Where the pairs are read from.
        chosen: Which of them.
        device: Where the network is.
        metrics: Names as in `lkcfuse.metrics.METRICS`; those of `GOALS` must be among them.
        after_pair: Called after every pair.
    """
    names = tuple(metrics)
    shifts: list[float] = []
    tables: dict[str, list[Scores]] = {"fused": [], "maximum": [], "mean": []}
    for pair in chosen:
        sources = pairs.load(pair)
        first, second = (to_levels(plane).astype(np.float64) for plane in sources)
        fused = fuse_plane(network, sources, device)
        shifts.append(tone_shift(network, sources, fused, device))
        results = {
            "fused": fused,
            "maximum": np.maximum(first, second),
            "mean": np.rint((first + second) / 2),
        }
        for name, result in results.items():
            tables[name].append(evaluate(result.astype(np.float64), first, second, names))
        after_pair()
    means = _means(tables, names)
    return Validation(**means, tone_shift=float(np.mean(shifts)), pairs=len(shifts))


def _means(tables: dict[str, list[Scores]], names: Iterable[str]) -> dict[str, Scores]:
    """Return each table's means over the pairs for which a metric is finite in all of them."""
    means: dict[str, Scores] = {table: {} for table in tables}
    for name in names:
        values = np.array([[row[name] for row in rows] for rows in tables.values()])
        defined = np.isfinite(values).all(axis=0)
        if defined.any():
            for table, mean in zip(means, values[:, defined].mean(axis=1), strict=True):
                means[table][name] = float(mean)
    return means
