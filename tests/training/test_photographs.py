"""Training on photographs: pairs that are made, their losses, and a run of a weight-map network."""

import cv2
import numpy as np
import pytest
import torch
from networks import random_weight_map

from lkcfuse.architectures.weight_map import WeightedMean, WeightMapConfig
from lkcfuse.errors import InputError, UsageError
from lkcfuse.metrics.exposure import mef_ssim as judged
from lkcfuse.models import load_checkpoint
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.data import find_task_pairs
from lkcfuse.training.defocus import blurred, focus_pair
from lkcfuse.training.gradients import gradient
from lkcfuse.training.losses import LossWeights, fusion_loss, mask_term, roughness_term, truth_term
from lkcfuse.training.recipe import Recipe, load_recipe
from lkcfuse.training.sampling import sample_batch
from lkcfuse.training.setup import gather, start_from
from lkcfuse.training.similarity import mef_ssim
from lkcfuse.training.stages import run_recipe

PART = slice(0, 24), slice(0, 24)


def picture(seed=0, side=80):
    noise = np.random.default_rng(seed).random((side, side)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.2)
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def regions(side=80):
    labels = np.ones((side, side), np.int32)
    labels[:, side // 2 :] = 2
    return labels


@pytest.fixture
def data(tmp_path):
    """A data folder with pictures and regions to train on, and a pair that reports."""
    for part, names in (("train", ("sharp", "labels")), ("val", ("near", "far"))):
        for name in names:
            (tmp_path / "mff" / part / name).mkdir(parents=True)
    for number in range(3):
        image = (255 * picture(number)).astype(np.uint8)
        folder = tmp_path / "mff" / "train"
        cv2.imwrite(str(folder / "sharp" / f"{number}.png"), image)
        cv2.imwrite(str(folder / "labels" / f"{number}.png"), regions().astype(np.uint8))
    for name in ("near", "far"):
        soft = cv2.GaussianBlur(picture(9), (0, 0), 2)
        sharp = np.where(regions() == (1 if name == "near" else 2), picture(9), soft)
        cv2.imwrite(str(tmp_path / "mff" / "val" / name / "a.png"), (255 * sharp).astype(np.uint8))
    return tmp_path


SMALL = TrainingConfig(
    tasks=("mff",),
    architecture="weight-map",
    widths=(4, 4, 4),
    steps=2,
    crops=((48, 2),),
    validate_every=2,
    keep="last",
    loss=LossWeights(
        intensity=0, gradient=0, ssim=0, vif=0, qabf=0, scd=0, out_of_range=0, flat=0,
        truth=10, mask=1, roughness=1,
    ),
)  # fmt: skip


# Pairs that are made


@pytest.mark.parametrize("seed", range(12))
def test_of_a_made_pair_one_source_is_sharp_everywhere(seed):
    sharp = picture()
    first, second, truth, weight = focus_pair(sharp, regions(), np.random.default_rng(seed))
    assert (truth == sharp).all()
    assert 0.05 < weight.mean() < 0.95
    inside = [
        cv2.erode((weight == value).astype(np.uint8), np.ones((9, 9))) > 0 for value in (1, 0)
    ]
    noise = 4 / 255 * 4
    for image, where, blurry in ((first, *inside), (second, *inside[::-1])):
        if where.any():
            assert np.abs(image - sharp)[where].max() <= noise
        if blurry.any():
            assert np.abs(image - sharp)[blurry].mean() > 0.002


def test_the_same_chance_makes_the_same_pair():
    made = [focus_pair(picture(), regions(), np.random.default_rng(4)) for _ in range(2)]
    assert (made[0] == made[1]).all()
    other = focus_pair(picture(), regions(), np.random.default_rng(5))
    assert (made[0] != other).any()


@pytest.mark.parametrize("gaussian", [False, True])
def test_a_blur_keeps_the_mean_and_spreads_a_point(gaussian):
    point = np.zeros((61, 61), np.float32)
    point[30, 30] = 1
    spread = blurred(point, 6, gaussian=gaussian)
    assert spread.sum() == pytest.approx(1, abs=1e-4)
    assert np.allclose(spread, spread[::-1], atol=1e-7)
    assert np.allclose(spread, spread.T, atol=1e-7)
    rim = np.hypot(*np.mgrid[-30:31, -30:31])
    if not gaussian:
        assert np.abs(spread[rim > 6.5]).max() < 1e-9
        assert np.ptp(spread[rim < 5.5]) < 1e-6  # a disc is as bright everywhere


def test_one_region_alone_still_makes_a_pair():
    made = focus_pair(picture(), np.ones((80, 80), np.int32), np.random.default_rng(0))
    assert 0.05 < made[3].mean() < 0.95


# What of them reaches the loss


def test_made_pairs_are_found_and_sampled_with_their_truth(data):
    found = find_task_pairs(data, "mff", "train")
    assert len(found) == 3
    assert all(pair.made for pair in found)
    assert not any(pair.made for pair in find_task_pairs(data, "mff", "val"))
    pairs = gather(SMALL, data=data).training
    batch = sample_batch(pairs, SMALL, 0)
    assert batch.shape == (2, 4, 48, 48)
    second, first, truth, weight = batch[0]
    mixed = weight * second + (1 - weight) * first
    # But for the seam and the noise, the true weights give the true picture.
    assert (mixed - truth).abs().median() < 4 / 255
    assert (mixed - truth).abs().mean() < (first - truth).abs().mean()
    assert torch.equal(batch, sample_batch(pairs, SMALL, 0))
    assert (pairs.load(pairs.pairs[0]) == pairs.load(pairs.pairs[0])).all()
    assert pairs.load(pairs.pairs[0]).shape == (2, 80, 80)


def test_the_terms_of_a_truth():
    truth = torch.full((1, 1, 40, 40), 100.0)
    assert truth_term(truth + 51, truth).item() == pytest.approx(0.2)
    assert truth_term(truth, truth).item() == 0
    weight = torch.full((1, 1, 4, 4), 0.8)
    ones = torch.ones_like(weight)
    assert mask_term(weight, ones).item() == pytest.approx(-np.log(0.8), rel=1e-5)
    assert mask_term(weight, 0 * ones).item() == pytest.approx(-np.log(0.2), rel=1e-5)


def test_roughness_counts_where_the_sources_are_flat():
    flat, weight = torch.full((1, 1, 32, 32), 90.0), torch.zeros(1, 1, 32, 32)
    weight[..., 16:] = 1
    # One of 31 steps across is 1, none along.
    assert roughness_term(weight, flat, flat).item() == pytest.approx(1 / 31)
    edge = flat.clone()
    edge[..., 16:] += 30
    assert roughness_term(weight, flat, edge).item() == pytest.approx(1 / 31 / 101)


@pytest.mark.parametrize("shape", [(64, 64), (77, 90)])
def test_mef_ssim_is_the_metrics(shape):
    rng = np.random.default_rng(0)
    scene = np.cumsum(rng.normal(0, 14, shape), axis=1) + 140
    a, b = np.clip(scene, 0, 255).round(), np.clip(scene / 3, 0, 255).round()
    a[:20, :30] = 255
    for fused in ((a + b) / 2, a, b):
        tensors = (torch.from_numpy(x).float()[None, None] for x in (fused, a, b))
        # The last row and column of an odd size are repeated by the metric and dropped here.
        assert mef_ssim(*tensors).item() == pytest.approx(judged(fused, a, b), abs=0.01)


def test_mef_ssim_has_a_gradient_towards_the_better_exposure():
    a = torch.rand(1, 1, 48, 48) * 200
    b, fused = a / 8, (a / 3).requires_grad_()
    value = mef_ssim(fused, a, b).sum()
    (slope,) = torch.autograd.grad(value, fused)
    with torch.no_grad():
        assert mef_ssim(fused + 20 * slope / slope.abs().max(), a, b) > value
    flat = torch.full((1, 1, 48, 48), 255.0, requires_grad=True)
    (slope,) = torch.autograd.grad(mef_ssim(flat, flat.detach(), flat.detach()).sum(), flat)
    assert slope.isfinite().all()


def test_terms_without_what_they_need_are_left_out():
    weights = LossWeights(truth=1, mask=1, roughness=1, mef_ssim=1)
    images = [torch.rand(1, 1, 48, 48) * 255 for _ in range(3)]
    _, terms = fusion_loss(*images, weights)
    assert not {"truth", "mask", "roughness"} & set(terms)
    assert "mef_ssim" in terms
    _, terms = fusion_loss(*images, weights, weight=torch.rand(1, 1, 48, 48))
    assert "roughness" in terms
    assert "mask" not in terms


def test_crops_one_by_one_give_what_they_give_together(data):
    network = random_weight_map().requires_grad_(True).train()
    pairs = gather(SMALL, data=data).training
    batch = sample_batch(pairs, SMALL, 3)
    together = gradient(network, batch, SMALL.loss, PART)
    singly = [gradient(network, batch[i : i + 1], SMALL.loss, PART) for i in range(2)]
    assert together.loss == pytest.approx(sum(g.loss for g in singly) / 2, rel=1e-4)
    assert set(together.terms) == {"truth", "mask", "roughness"}


# Runs


def test_a_run_leaves_a_weight_map_network(data, tmp_path):
    output = tmp_path / "out.safetensors"
    result = run_recipe(Recipe.of(SMALL), lambda config: gather(config, data=data), output)
    checkpoint = load_checkpoint(output)
    assert checkpoint.config == WeightMapConfig((4, 4, 4))
    assert isinstance(checkpoint.network(), WeightedMean)
    assert result.reporting["mff"].pairs == 1
    # And another goes on from it, with its widths.
    start, recipe = start_from(
        str(output), Recipe.of(TrainingConfig(tasks=("mff",), architecture="weight-map")),
        width_given=False, kernels_given=False,
    )  # fmt: skip
    assert recipe.last.widths == (4, 4, 4)
    again = tmp_path / "again.safetensors"
    run_recipe(recipe.map(lambda c: c.with_changes(steps=1, crops=((48, 1),))),
               lambda config: gather(config, data=data), again, init=start)  # fmt: skip
    assert load_checkpoint(again).config.widths == (4, 4, 4)
    with pytest.raises(UsageError, match="WeightMap, and LKC-FUNet is to be trained"):
        start_from(str(output), Recipe.of(TrainingConfig(tasks=("mff",))),
                   width_given=False, kernels_given=False)  # fmt: skip


@pytest.mark.parametrize("name", ["mff", "mef"])
def test_the_recipes_are_of_one_small_network(name):
    recipe = load_recipe(name)
    assert {stage.config.tasks for stage in recipe.stages} == {(name,)}
    network = WeightedMean(recipe.last.network())
    assert sum(parameter.numel() for parameter in network.parameters()) * 2 < 5e6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": [8]}, "widths has 1"),
        ({"widths": "8"}, "give channels"),
        ({"optimizer": "muon"}, "must be 'adamw'"),
        ({"symmetric": True}, "must be False"),
        ({"architecture": "unet"}, "lkc-funet or weight-map"),
    ],
)
def test_settings_that_make_no_sense(change, said):
    settings = {"tasks": ["mef"], "architecture": "weight-map", **change}
    with pytest.raises(InputError, match=said):
        TrainingConfig.from_dict(settings, where="mine.json")
