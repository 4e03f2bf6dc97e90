"""The loss terms against the published evaluator's values, and against their own gradients."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lkcfuse.training import similarity
from lkcfuse.training.flatness import flat_excess
from lkcfuse.training.losses import (
    LossWeights,
    Quarter,
    Written,
    brightening_term,
    darkening_term,
    fusion_loss,
    goal_term,
    gradient_term,
    highlights_term,
)

GOLDEN = Path(__file__).parent.parent / "golden"
VALUES: dict[str, dict[str, float]] = json.loads((GOLDEN / "metric_values.json").read_text())


def golden_case(name: str) -> tuple[Tensor, Tensor, Tensor]:
    with np.load(GOLDEN / "metric_cases.npz") as cases:
        fused, a, b = (torch.from_numpy(cases[f"{name}_{key}"].astype("f4")) for key in "fab")
    return fused[None, None], a[None, None], b[None, None]


@pytest.mark.parametrize("name", sorted(VALUES))
def test_similarities_are_the_evaluators(name: str) -> None:
    case = golden_case(name)
    assert similarity.ssim(*case).item() == pytest.approx(VALUES[name]["SSIM"], abs=1e-4)
    assert similarity.scd(*case).item() == pytest.approx(VALUES[name]["SCD"], abs=1e-4)
    assert similarity.vif(*case).item() == pytest.approx(VALUES[name]["VIF"], abs=5e-4)
    # Smooth where the metric jumps, so only close to it.
    qabf = similarity.qabf(*case, border="zero").item()
    assert qabf == pytest.approx(VALUES[name]["Qabf"], abs=0.012)


def test_a_copy_of_equal_sources_is_perfect() -> None:
    image = golden_case("smooth_max")[0]
    for value in (similarity.ssim(image, image, image), similarity.vif(image, image, image)):
        assert value.item() == pytest.approx(2, abs=1e-3)
    assert similarity.qabf(image, image, image).item() > 0.95
    gaussian = similarity.ssim(image, image, image, window="gaussian")
    assert gaussian.item() == pytest.approx(2, abs=1e-5)


def test_an_edge_that_leans_to_the_other_side_is_discounted_and_pulled_back() -> None:
    # Nearly level edges: the source's gradient leans a little to one side of upright.
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    source = (2 * rows + 0.04 * columns)[None, None]
    other = (2 * rows - 0.04 * columns)[None, None].requires_grad_()
    agreeing = similarity.qabf(source, source, source).item()
    opposed = similarity.qabf(other, source, source)
    assert opposed.item() < agreeing / 2
    (-opposed.sum()).backward()
    assert other.grad is not None
    better = other.detach() - 0.05 * other.grad / other.grad.abs().max()
    assert similarity.qabf(better, source, source).item() > opposed.item()


def test_samples_of_a_batch_do_not_mix() -> None:
    case = golden_case("noise")
    crops = [plane[..., :64, :64] for plane in case]
    other = [plane[..., 8:72, 8:72] for plane in case]
    together = [torch.cat(pair) for pair in zip(crops, other, strict=True)]
    for function in (similarity.ssim, similarity.vif, similarity.scd, similarity.qabf):
        apart = torch.cat([function(*crops), function(*other)])
        torch.testing.assert_close(function(*together), apart, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "field",
    # Those of a weight map have their tests beside the networks that have one.
    [name for name in vars(LossWeights()) if not name.endswith(("_margin", "mask", "roughness"))],
)
def test_every_term_is_lowered_by_following_its_gradient(field: str) -> None:
    silent = dict.fromkeys(vars(LossWeights()), 0.0)
    weights = LossWeights(**{**silent, field: 1.0, "scd_margin": 0.3, "ssim_margin": 0.3})
    fused, a, b = (plane[..., :80, :80] for plane in golden_case("smooth_mean"))
    if field == "flat":  # quiet sources, noisy result
        a, b = torch.full_like(a, 90.0), torch.full_like(b, 60.0)
        fused = 90 + torch.randn(a.shape, generator=torch.Generator().manual_seed(0)) * 3
    if field == "out_of_range":
        fused = fused * 1.6 - 60
    if field == "darkening":
        fused = fused - 20
    if field == "brightening":
        fused = torch.maximum(a, b) + 20
    if field == "highlights":
        a, fused = a * 0 + 230, fused * 0 + 180
    of_quarter = field in ("consistency", "equivariance")
    quarters = {}
    if of_quarter:
        inner = slice(20, 60)
        quarters[field] = Quarter(fused[..., inner, inner] + 7.0, inner, inner)
    fused = fused.clone().requires_grad_()
    truth = (b, torch.ones_like(b)) if field == "truth" else None
    loss, values = fusion_loss(fused, a, b, weights, quarters, truth=truth)
    loss.backward()
    assert fused.grad is not None
    assert torch.isfinite(fused.grad).all()
    assert values == {field: pytest.approx(loss.item(), rel=1e-5)}
    if of_quarter:
        assert loss.item() == pytest.approx(7 / 255, rel=1e-5)
    step = fused.detach() - fused.grad / fused.grad.abs().max()
    assert fusion_loss(step, a, b, weights, quarters, truth=truth)[0].item() < loss.item()


def test_a_level_beyond_the_range_is_written_clipped_and_only_ever_called_back() -> None:
    levels = torch.tensor([-3.0, -3.0, 0.0, 100.0, 255.0, 260.0, 260.0], requires_grad=True)
    written = Written.apply(levels)  # type: ignore[no-untyped-call]
    assert written.tolist() == [0, 0, 0, 100, 255, 255, 255]
    # Descent moves against the gradient: positive lowers a level, negative raises it.
    written.backward(torch.tensor([2.0, -2.0, 2.0, 2.0, -2.0, 2.0, -2.0]))
    assert levels.grad is not None
    assert levels.grad.tolist() == [0, -2, 2, 2, -2, 2, 0]


def test_flat_black_sources_give_finite_gradients() -> None:
    black = torch.zeros(1, 1, 64, 64)
    fused = black.clone().requires_grad_()
    loss, _ = fusion_loss(fused, black, black, LossWeights(ssim_gaussian=1.0, flat=1.0))
    loss.backward()
    assert torch.isfinite(loss)
    assert fused.grad is not None
    assert torch.isfinite(fused.grad).all()


def test_the_maximum_has_no_gradient_loss_where_one_source_is_flat() -> None:
    image = golden_case("smooth_max")[1]
    assert gradient_term(image, image, torch.zeros_like(image)).item() == pytest.approx(0, abs=1e-6)


def test_scd_past_its_goal_hardly_counts() -> None:
    _, a, b = golden_case("smooth_mean")
    maximum = torch.maximum(a, b)
    short = goal_term(similarity.scd, maximum, a, b, margin=0.1).item()
    past = goal_term(similarity.scd, maximum, a, b, margin=-0.1).item()
    assert short == pytest.approx(0.1, abs=1e-5)
    assert past == pytest.approx(-0.01, abs=1e-5)


def test_darkening_counts_what_lies_below_the_brighter_window_beyond_a_level() -> None:
    a, b = torch.full((1, 1, 48, 64), 50.0), torch.full((1, 1, 48, 64), 90.0)
    assert darkening_term(torch.full_like(a, 69.0), a, b).item() == pytest.approx(20 / 255)
    assert darkening_term(b - 1, a, b).item() == pytest.approx(0, abs=1e-6)
    assert darkening_term(b + 30, a, b).item() == 0
    # Windows count by themselves: what one is brighter does not make up for another.
    half = torch.cat([b[..., :32] - 41, b[..., 32:] + 100], dim=-1)
    assert darkening_term(half, a, b).item() > 15 / 255


def test_brightening_counts_what_lies_above_the_window_of_the_maximum_beyond_a_level() -> None:
    a, b = torch.full((1, 1, 48, 64), 50.0), torch.full((1, 1, 48, 64), 90.0)
    assert brightening_term(b + 21, a, b).item() == pytest.approx(20 / 255)
    assert brightening_term(b + 1, a, b).item() == pytest.approx(0, abs=1e-6)
    assert brightening_term(b - 30, a, b).item() == 0
    # Sources that take turns at being the brighter one: the maximum's window counts, not theirs.
    stripes = (torch.arange(64) % 2 == 0).expand_as(a)
    turns = torch.where(stripes, 90.0, 50.0), torch.where(stripes, 50.0, 90.0)
    assert brightening_term(b, *turns).item() == 0
    # Folds that go as far down as up cost nothing; those drawn upwards only do.
    folds = torch.where(stripes, 8.0, -8.0)
    assert brightening_term(b + folds, a, b).item() == 0
    assert brightening_term(b + folds + 8, a, b).item() == pytest.approx(7 / 255)


def test_highlights_are_what_is_bright_in_either_source() -> None:
    a, b = torch.full((1, 1, 20, 20), 60.0), torch.full((1, 1, 20, 20), 90.0)
    assert highlights_term(a * 0, a, b).item() == 0, "nothing is that bright"
    b[..., :2, :5] = 240
    assert highlights_term(b, a, b).item() == 0
    assert highlights_term(b - 4, a, b).item() == 0
    assert highlights_term(b - 24, a, b).item() == pytest.approx(20 / 255)
    assert highlights_term(b - 24, b, a).item() == pytest.approx(20 / 255)
    dimmed = b.clone()
    dimmed[..., :2, :4] -= 24  # four fifths of the highlights, whatever the size of the image
    assert highlights_term(dimmed, a, b).item() == pytest.approx(16 / 255)


def test_flat_excess_counts_only_where_both_sources_are_flat() -> None:
    flat = torch.full((1, 1, 40, 80), 50.0)
    busy = flat.clone()
    busy[..., 40:] += 60 * (torch.arange(40) % 2)
    noisy = flat + 4 * (torch.arange(80) % 2)
    everywhere = flat_excess(noisy, flat, flat).item()
    assert everywhere == pytest.approx(2, abs=0.15)
    assert flat_excess(flat, flat, flat).item() == 0
    # Noise on the busy half alone is nobody's business there.
    half = torch.cat([flat[..., :40], noisy[..., 40:]], dim=-1)
    assert flat_excess(half, busy, busy).item() < 0.05
