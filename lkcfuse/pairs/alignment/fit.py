"""A transform that tiles of two pictures agree on, all surfaces of correlation taken together.

A tile of the first picture correlates with the second at several places about as well: heat and
light have few edges in common, and walls and kerbs have one direction. No tile is therefore asked
for its best place: the transform is the one under which the sum over all tiles is largest, found by
Newton's method on surfaces that are smoothed ever less.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lkcfuse.pairs.alignment.models import PARAMETERS, STIFFNESS, Array, Frame
from lkcfuse.pairs.alignment.tiles import Surfaces
from lkcfuse.pairs.resample import Matrix

FEWEST = 6
"""Tiles without which there is no fit."""

_SMOOTHINGS = (1.5, 0.7)
_RIDGE = 0.001
_STEPS = 15
# Samples per pixel of the surfaces that are climbed: between them they are interpolated linearly,
# and a summit at a sample would hold what should go on.
_FINENESS = 4
_ENOUGH = 0.01


@dataclass(frozen=True)
class Fit:
    """A transform that tiles agree on.

    Attributes:
        step: From the first's grid to where things are in the second.
        spread: Standard deviation in pixels that the tiles' disagreement gives the corners.
        contrasts: (N,) by how much each tile's score is above the mean of its surface.
        parameters: Of the model, for another fit to begin with.
    """

    step: Matrix
    spread: float
    contrasts: Array
    parameters: Array


def fit(surfaces: Surfaces, model: str, *, start: Array | None = None) -> Fit | None:
    """Fit a transform to surfaces; None where there are too few.

    Args:
        surfaces: Of one pair.
        model: `shift`, `similarity`, `affine` or `homography`.
        start: Parameters to begin with; None searches the whole of the surfaces.
    """
    if len(surfaces) < FEWEST:
        return None
    frame, count, radius = Frame(surfaces.size), PARAMETERS[model], surfaces.radius
    design = frame.design(surfaces.places, count)
    widest = radius / 2.5
    problem: _Problem | None = None
    solved = np.zeros(count)
    sigmas = [widest, *(each for each in _SMOOTHINGS if each < widest)]
    if start is not None:
        solved, sigmas = start, sigmas[-1:]
    for sigma in sigmas:
        problem = _Problem(surfaces.scores, design, sigma)
        if start is None and sigma == widest:
            solved[:2] = problem.best_shift()
        solved = problem.climb(solved)
    assert problem is not None
    values = problem.look(solved)[:, 0]
    return Fit(
        frame.matrix(solved),
        problem.spread(solved, frame.design(frame.corners(), count)),
        values - surfaces.scores.mean(axis=(1, 2)),
        solved,
    )


class _Problem:
    """The sum of smoothed surfaces at displacements that are linear in parameters."""

    def __init__(self, scores: Array, design: Array, sigma: float) -> None:
        at = np.arange(0, scores.shape[1] - 1 + 1e-6, 1 / _FINENESS, dtype=np.float32)
        columns, rows = np.meshgrid(at, at)
        smooth = np.stack(
            [
                cv2.remap(
                    cv2.GaussianBlur(each, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE),
                    columns,
                    rows,
                    cv2.INTER_CUBIC,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                for each in scores.astype(np.float32)
            ]
        )
        step = np.float32(1 / _FINENESS)
        down, right = np.gradient(smooth, step, axis=(1, 2))
        right_down, right_right = np.gradient(right, step, axis=(1, 2))
        down_down = np.gradient(down, step, axis=1)
        fields = [smooth, right, down, right_right, down_down, right_down]
        self._fields = np.stack(fields, axis=-1)
        self._design = design
        self._radius = scores.shape[1] // 2
        self._ridge = _RIDGE * len(scores) * STIFFNESS[: design.shape[2]]

    def best_shift(self) -> Array:
        """Return the displacement that is best for all tiles alike."""
        total = self._fields[..., 0].sum(axis=0, dtype=np.float64)
        row, column = np.unravel_index(int(total.argmax()), total.shape)
        return np.array(
            [column / _FINENESS - self._radius, row / _FINENESS - self._radius], np.float64
        )

    def look(self, parameters: Array) -> Array:
        """Return value, two slopes and three curvatures of each tile's surface: (N, 6)."""
        places = (self._design @ parameters + self._radius) * _FINENESS
        x, y = np.clip(places, 0, 2 * self._radius * _FINENESS - 1e-6).T
        column, row, n = x.astype(int), y.astype(int), np.arange(len(x))
        right, down = (x - column)[:, None], (y - row)[:, None]
        fields = self._fields
        upper = fields[n, row, column] * (1 - right) + fields[n, row, column + 1] * right
        lower = fields[n, row + 1, column] * (1 - right) + fields[n, row + 1, column + 1] * right
        return np.asarray(upper * (1 - down) + lower * down, np.float64)

    def climb(self, parameters: Array) -> Array:
        """Return parameters of the summit above some."""
        damping, value = 1e-3, self._value(parameters)
        for _ in range(_STEPS):
            slopes, hessian = self._derivatives(parameters)
            gradient = slopes.sum(axis=0) - 2 * self._ridge * parameters
            for _ in range(_STEPS):
                held = hessian - damping * np.diag(np.abs(np.diag(hessian)) + 1e-9)
                step = -np.linalg.solve(held, gradient)
                higher = self._value(parameters + step)
                if higher > value:
                    break
                damping *= 5
            else:
                return parameters
            parameters, value = parameters + step, higher
            damping = max(damping / 5, 1e-4)
            if np.abs(step).max() < _ENOUGH:
                break
        return parameters

    def spread(self, parameters: Array, corners: Array) -> float:
        """Return the standard deviation of corners' places, in pixels.

        Tiles are taken for independent observations (the sandwich estimator of what is fitted).

        Args:
            parameters: Where the summit is.
            corners: What displacement each parameter gives each corner.
        """
        slopes, hessian = self._derivatives(parameters)
        held = hessian - 1e-6 * np.eye(len(hessian)) * (1 + np.abs(np.diag(hessian)).max())
        inverse = np.linalg.inv(held)
        covariance = inverse @ (slopes.T @ slopes) @ inverse
        variances = np.einsum("cik,kl,cil->c", corners, covariance, corners)
        return float(np.sqrt(variances.max()))

    def _value(self, parameters: Array) -> float:
        held = float((self._ridge * parameters**2).sum())
        return float(self.look(parameters)[:, 0].sum()) - held

    def _derivatives(self, parameters: Array) -> tuple[Array, Array]:
        """Return each tile's slopes along the parameters, and the sum's curvatures."""
        seen, design = self.look(parameters), self._design
        slopes = np.einsum("tik,ti->tk", design, seen[:, 1:3])
        curvatures = seen[:, [3, 5, 5, 4]].reshape(-1, 2, 2)
        values, vectors = np.linalg.eigh(curvatures)
        # Valleys and passes around a tile's summit tell nothing of where it is.
        values = np.minimum(values, -1e-6)
        curvatures = np.einsum("tij,tj,tkj->tik", vectors, values, vectors)
        hessian = np.einsum("tik,tij,tjl->kl", design, curvatures, design)
        return slopes, hessian - 2 * np.diag(self._ridge)
