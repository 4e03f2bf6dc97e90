"""The training loss: a weighted sum of what a good fused image keeps from its sources.

The paper's three terms (intensity, gradient, structural similarity) and, beside them, the measures
a fused image is judged by, in differentiable form. They pull against each other - copying one
source whole pleases SSIM and MI, adding both pleases SCD - so the weights are the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lkcfuse.training.detail import lost_detail
from lkcfuse.training.filters import sobel, uniform_taps, valid_filter
from lkcfuse.training.flatness import flat_excess
from lkcfuse.training.ranges import NOT_NEGATIVE
from lkcfuse.training.similarity import mef_ssim, qabf, scd, ssim, vif

SLOPE_PAST_GOAL = 0.1
DARKENING_WINDOW = 16
# Levels that a window may lie below or above without a cost.
DARKENING_FREE = 1.0
# Levels between neighbours at which half of the cost of a change of weight is left.
FLAT_STEP = 3.0
# What is this bright in a source is what the eye looks for: calcium, bone, a lamp.
HIGHLIGHT = 200.0
HIGHLIGHT_FREE = 4.0


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; a term of weight 0 is not computed.

    Attributes:
        intensity: Root mean square of fused - max(a, b), in units of the full range.
        gradient: Mean absolute error of |Gx| + |Gy| (Sobel) to the larger of the sources', in
            units of the full range.
        ssim: How far SSIM (7x7 uniform window, as reported) lies below that of the pixelwise
            maximum plus `ssim_margin`.
        ssim_margin: The goal of the SSIM term above the pixelwise maximum. Past a goal a term has
            a tenth of its slope: the grey mean of the sources pleases SSIM and SCD beyond all
            measure, and VIF and Qabf would pay for it.
        ssim_gaussian: 2 - SSIM(fused, a) - SSIM(fused, b) with the 11x11 Gaussian window of the
            original paper.
        vif: 2 - VIF(a, fused) - VIF(b, fused).
        qabf: 1 - Qabf.
        scd: How far SCD lies below that of the pixelwise maximum plus `scd_margin`.
        scd_margin: The goal of the SCD term above the pixelwise maximum, likewise.
        out_of_range: Mean distance outside the value range, in units of the full range: what a
            written image clips away.
        flat: Mean excess of the fused local deviation (15x15) over the larger source's where
            both sources are flat (below 2 levels), in levels: noise and grid in the sky.
        consistency: Mean absolute difference, in units of the full range, between a quarter of
            the crop fused by itself and the same quarter of the fused crop: a tone that depends on
            what else is in the image. Costs a second, smaller run of the network.
        equivariance: As `consistency`, of a quarter that is turned and mirrored before it is fused
            and turned back after (Zhao et al., EMMA, CVPR 2024). It begins at any pixel, odd ones
            included, so it covers shifts as well. Costs as much.
        darkening: Mean over 16x16 windows, 8 pixels apart, of what the fused window's mean lies
            below the brighter source's by more than a level, in units of the full range: a sky or a
            street that the other source would black out.
        detail: 1 - the correlation of fine detail (what a Gaussian of deviation 3 takes away) of
            the fused image with the darker source's where the other is brighter by more than 10
            levels; summed over the two ways round. What a bright source would cover.
        detail_first: The same of the first source alone: the folds that an MRI shows under a bright
            PET, without the grain of a PET under a bright MRI.
        brightening: As `darkening`, of what windows lie above the mean of the pixelwise maximum:
            folds drawn upwards only make the hot spots of a PET pale.
        mef_ssim: 1 - MEF-SSIM.
        truth: Mean absolute error to the true image and to its Sobel gradient, in units of the full
            range; of made pairs alone.
        mask: Cross entropy of the weight map with the true one; of made pairs and weight-map
            networks alone.
        roughness: Mean change of the weight map from pixel to pixel where both sources are flat;
            of weight-map networks alone. A weight that flickers there shows in skies.
        highlights: What pixels lie below the brighter source's where that has more than 200 levels,
            beyond 4 levels: calcium in a CT that an MRI's detail would dim.
    """

    intensity: float = 0.1
    gradient: float = 0.3
    ssim: float = 2.0
    ssim_margin: float = 0.02
    ssim_gaussian: float = 0.0
    vif: float = 2.5
    qabf: float = 5.0
    scd: float = 1.0
    scd_margin: float = 0.1
    out_of_range: float = 5.0
    flat: float = 0.05
    consistency: float = 0.0
    equivariance: float = 0.0
    darkening: float = 0.0
    detail: float = 0.0
    detail_first: float = 0.0
    brightening: float = 0.0
    mef_ssim: float = 0.0
    truth: float = 0.0
    mask: float = 0.0
    roughness: float = 0.0
    highlights: float = 0.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            NOT_NEGATIVE.check(f"loss: {entry.name}", getattr(self, entry.name))


def intensity_term(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the root mean square of fused - max(a, b) per sample, as a share of 255."""
    error = (fused - torch.maximum(a, b)) / 255
    return ((error * error).mean(dim=(1, 2, 3)) + 1e-8).sqrt()


def gradient_term(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the L1 distance of the Sobel magnitude to the larger of the sources', per sample."""
    gx, gy = sobel(torch.cat([fused, a, b], dim=1) / 255)
    edges = gx.abs() + gy.abs()
    goal = torch.maximum(edges[:, 1:2], edges[:, 2:])
    return (edges[:, :1] - goal).abs().mean(dim=(1, 2, 3))


def goal_term(
    similarity: Callable[[Tensor, Tensor, Tensor], Tensor],
    fused: Tensor,
    a: Tensor,
    b: Tensor,
    *,
    margin: float,
) -> Tensor:
    """Return how far a similarity falls short of the pixelwise maximum's plus `margin`, per sample.

    Past the goal, which is never beyond the perfect 2, the slope is a tenth and the value negative.
    """
    with torch.no_grad():
        goal = (similarity(torch.maximum(a, b), a, b) + margin).clamp_max(2)
    short = goal - similarity(fused, a, b)
    return torch.where(short > 0, short, SLOPE_PAST_GOAL * short)


def out_of_range_term(fused: Tensor) -> Tensor:
    """Return the mean distance outside 0..255 per sample, as a share of 255."""
    return ((-fused).clamp_min(0) + (fused - 255).clamp_min(0)).mean(dim=(1, 2, 3)) / 255


def darkening_term(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return how far windows lie below the brighter source's, per sample, as a share of 255."""
    taps = uniform_taps(DARKENING_WINDOW)
    means = valid_filter(torch.cat([fused, a, b], dim=1), taps, step=DARKENING_WINDOW // 2)
    short = torch.maximum(means[:, 1:2], means[:, 2:]) - means[:, :1] - DARKENING_FREE
    return short.clamp_min(0).mean(dim=(1, 2, 3)) / 255


def brightening_term(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return how far windows lie above the pixelwise maximum's, per sample, as a share of 255."""
    above = fused - torch.maximum(a, b)
    means = valid_filter(above, uniform_taps(DARKENING_WINDOW), step=DARKENING_WINDOW // 2)
    return (means - DARKENING_FREE).clamp_min(0).mean(dim=(1, 2, 3)) / 255


def truth_term(fused: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute error to the truth and to its gradient per sample, of 255."""
    error = (fused - truth) / 255
    gx, gy = sobel(error)
    return (error.abs() + (gx.abs() + gy.abs()) / 8).mean(dim=(1, 2, 3))


def mask_term(weight: Tensor, truth: Tensor) -> Tensor:
    """Return the cross entropy of weights with the true ones, per sample, in nats."""
    unit = weight.clamp(1e-4, 1 - 1e-4)
    return -(truth * unit.log() + (1 - truth) * (1 - unit).log()).mean(dim=(1, 2, 3))


def roughness_term(weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute change of the weight where the sources are flat, per sample."""
    total = torch.zeros(len(weight), device=weight.device)
    for axis in (2, 3):
        steps = [torch.diff(plane, dim=axis) for plane in (weight, a, b)]
        flat = 1 / (1 + (torch.maximum(steps[1].abs(), steps[2].abs()) / FLAT_STEP) ** 2)
        total = total + (steps[0].abs() * flat).mean(dim=(1, 2, 3))
    return total


def highlights_term(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return how far highlights lie below the brighter source's, per sample, as a share of 255."""
    brighter = torch.maximum(a, b)
    bright = (brighter > HIGHLIGHT).float()
    short = (brighter - fused - HIGHLIGHT_FREE).clamp_min(0) * bright
    return short.sum(dim=(1, 2, 3)) / bright.sum(dim=(1, 2, 3)).clamp_min(1) / 255


@dataclass(frozen=True)
class Quarter:
    """A quarter of a batch that was fused by itself.

    Attributes:
        alone: What was made of it, turned back, (N, 1, rows, columns), 0..255.
        rows: Where it lies in the whole.
        columns: Where it lies in the whole.
    """

    alone: Tensor
    rows: slice
    columns: slice


def consistency_term(fused: Tensor, quarter: Quarter) -> Tensor:
    """Return the mean absolute difference of a quarter to the whole's, per sample, of 255."""
    within = fused[..., quarter.rows, quarter.columns]
    return (quarter.alone - within).abs().mean(dim=(1, 2, 3)) / 255


class Written(torch.autograd.Function):
    """What will be written of a fused image, levels clipped to 0..255, with a one-sided gradient.

    A plain clip has no gradient outside the range, so only the term `out_of_range` would call a
    level back. Passing the gradient on as if there were no clip drives levels ever further out: the
    written level stays where it is, so a wish for more contrast is never met. Here only what points
    back into the range passes.
    """

    @staticmethod
    def forward(ctx: Any, levels: Tensor) -> Tensor:
        """Return the levels clipped to 0..255."""
        ctx.save_for_backward(levels)
        return levels.clamp(0, 255)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient without what would move a level further out of the range."""
        (levels,) = ctx.saved_tensors
        outwards = ((levels > 255) & (gradient < 0)) | ((levels < 0) & (gradient > 0))
        return gradient.masked_fill(outwards, 0)


def fusion_loss(
    fused: Tensor,
    a: Tensor,
    b: Tensor,
    weights: LossWeights,
    quarters: Mapping[str, Quarter] | None = None,
    *,
    weight: Tensor | None = None,
    truth: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and the mean of each of its terms before weighting.

    Args:
        fused: Fused images, (N, 1, H, W), 0..255, H and W at least 32.
        a: First sources, the same shape.
        b: Second sources, the same shape.
        weights: How the terms are balanced.
        quarters: For the terms `consistency` and `equivariance`, by their names; without its
            quarter a term is left out.
        weight: The weight map of `b`, (N, 1, H, W) in [0, 1], where there is one.
        truth: The true image, 0..255, and the true weight of `b`, where they are known.

    Returns:
        The scalar to minimise, and the terms' plain values under the names of `LossWeights`.
    """
    fused = fused.float()
    inside = Written.apply(fused)  # type: ignore[no-untyped-call]
    terms: dict[str, Callable[[], Tensor]] = {
        "intensity": lambda: intensity_term(fused, a, b),
        "gradient": lambda: gradient_term(fused, a, b),
        "ssim": lambda: goal_term(ssim, inside, a, b, margin=weights.ssim_margin),
        "ssim_gaussian": lambda: 2 - ssim(inside, a, b, window="gaussian"),
        "vif": lambda: 2 - vif(inside, a, b),
        "qabf": lambda: 1 - qabf(inside, a, b),
        "scd": lambda: goal_term(scd, inside, a, b, margin=weights.scd_margin),
        "out_of_range": lambda: out_of_range_term(fused),
        "flat": lambda: flat_excess(fused, a, b),
        "darkening": lambda: darkening_term(fused, a, b),
        "detail": lambda: lost_detail(inside, a, b),
        "detail_first": lambda: lost_detail(inside, a, b, first_only=True),
        "brightening": lambda: brightening_term(fused, a, b),
        "mef_ssim": lambda: 1 - mef_ssim(inside, a, b),
        "highlights": lambda: highlights_term(fused, a, b),
    }
    if truth is not None:
        terms["truth"] = partial(truth_term, fused, truth[0])
    if weight is not None:
        terms["roughness"] = partial(roughness_term, weight, a, b)
        if truth is not None:
            terms["mask"] = partial(mask_term, weight, truth[1])
    for name, quarter in (quarters or {}).items():
        terms[name] = partial(consistency_term, fused, quarter)
    loss = torch.zeros((), device=fused.device)
    values: dict[str, float] = {}
    for field in fields(weights):
        factor = getattr(weights, field.name)
        if field.name in terms and factor:
            value = terms[field.name]().mean()
            loss = loss + factor * value
            values[field.name] = value.item()
    return loss, values
