"""Exposures and focal planes: weighted means of coloured sources whose order does not matter."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import random_weight_map

from lkcfuse.errors import InputError, RefusedError, UsageError
from lkcfuse.fusion.brackets import place_in_order, shares_of_many
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.fusion.mixing import mix
from lkcfuse.fusion.model import FusionModel
from lkcfuse.fusion.shares import least_squares_share
from lkcfuse.images import image_from_array, image_to_array
from lkcfuse.models.checkpoint import save_checkpoint
from lkcfuse.notes import CodedWarning
from lkcfuse.pairs import Pair


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "map.safetensors"
    save_checkpoint(path, random_weight_map())
    return path


@pytest.fixture(scope="module", params=["mef", "mff"])
def fuser(weights, request):
    return Fuser(request.param, weights=weights, device="cpu", threads=1, notify=lambda _: None)


def luma(levels):
    return levels.astype(float) @ [0.299, 0.587, 0.114] if levels.ndim == 3 else levels


def photograph(seed, *, height=50, width=70, channels=3, dtype=np.uint8):
    scale = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    values = np.random.default_rng(seed).random((height, width, channels)) * scale
    return values.astype(dtype).squeeze()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_order_of_the_sources_does_not_matter(fuser, dtype):
    one, other = photograph(1, dtype=dtype), photograph(2, dtype=dtype)
    fused, exchanged = fuser.fuse(one, other), fuser.fuse(other, one)
    assert fused.dtype == dtype
    difference = np.abs(fused.astype(float) - exchanged.astype(float)).max()
    assert difference <= (1 if np.dtype(dtype).kind == "u" else 1e-5)


def test_luma_lies_between_the_sources_and_for_focal_planes_every_channel(fuser):
    one, other = photograph(1), photograph(2)
    shares = []
    pair = Pair(image_from_array(one), image_from_array(other))
    fused = image_to_array(fuser.fuse_pair(pair, on_map=shares.append))
    share = shares[0]
    assert share.std() > 0.01
    wanted = share * luma(one) + (1 - share) * luma(other)
    assert np.abs(luma(fused) - wanted).max() <= 0.51
    if fuser.task.name == "mff":
        share = share[..., None]
        assert np.abs(fused - (share * one + (1 - share) * other)).max() <= 0.51
        assert (fused <= np.maximum(one, other)).all()
        assert (fused >= np.minimum(one, other)).all()


def test_colour_is_taken_from_the_exposure_that_has_it(weights):
    colour = np.full((40, 40, 3), (180, 60, 40), np.uint8)
    colour[::2] -= 20
    burnt = np.full((40, 40, 3), 250, np.uint8)
    burnt[::2] -= 9
    exposures = Fuser("mef", weights=weights).fuse(colour, burnt).astype(float)
    planes = Fuser("mff", weights=weights).fuse(colour, burnt).astype(float)
    assert np.abs(luma(exposures) - luma(planes)).max() < 1.1
    # Red less blue: a mean of both, and all of it where so bright a luma leaves room.
    found, mean = (x[..., 0] - x[..., 2] for x in (exposures, planes))
    assert (found >= mean - 1).all()
    assert found.mean() > mean.mean() + 10


def test_arrays_tensors_and_the_model_agree(fuser):
    one, other = photograph(1), photograph(2)
    fused = fuser.fuse(one, other)
    tensors = [torch.from_numpy(x).permute(2, 0, 1) for x in (one, other)]
    assert np.abs(fuser.fuse(*tensors).permute(1, 2, 0).numpy() - fused.astype(float)).max() <= 1
    with torch.no_grad():
        by_model = fuser.model(*(t[None] / 255 for t in tensors))[0].permute(1, 2, 0).numpy()
    assert np.abs(255 * by_model - fused).max() <= 0.51


def test_the_model_has_gradients(weights):
    model = FusionModel.from_pretrained(weights, task="mff")
    first = torch.rand(1, 3, 24, 24, requires_grad=True)
    model(first, torch.rand(1, 1, 24, 24)).sum().backward()
    assert first.grad.abs().sum() > 0


def test_a_grey_and_a_coloured_source(fuser):
    grey, colour = photograph(1, channels=1), photograph(2)
    fused = fuser.fuse(grey, colour)
    assert fused.shape == colour.shape
    same = fuser.fuse(np.stack([grey] * 3, -1), colour)
    assert np.abs(fused.astype(int) - same).max() <= 1
    assert fuser.fuse(grey, grey[::-1].copy()).shape == grey.shape


def test_equal_sources_give_themselves(fuser):
    one = photograph(3)
    assert (fuser.fuse(one, one.copy()) == one).all()


def test_strength_goes_towards_the_second_source(fuser):
    pair = Pair(*(image_from_array(photograph(seed)) for seed in (1, 2)))
    whole, half, none = (
        luma(image_to_array(fuser.fuse_pair(pair, strength=s))) for s in (1, 0.5, 0)
    )
    assert np.abs(none - luma(photograph(2))).max() <= 0.51
    assert np.abs(half - (whole + none) / 2).max() <= 1


def test_a_source_that_shows_nothing_leaves_the_other_in_its_colours(fuser):
    one, white = photograph(1), np.full((50, 70, 3), 255, np.uint8)
    assert (fuser.fuse(one, white) == one).all()
    assert (fuser.fuse(white, one) == one).all()


def test_where_a_source_has_no_data_the_other_is_taken(fuser):
    one, other = (image_from_array(photograph(seed)) for seed in (1, 2))
    coverage = np.full(one.size, 255, np.uint8)
    coverage[:, :20] = 0
    fused = image_to_array(fuser.fuse_pair(Pair(replace(one, coverage=coverage), other)))
    difference = fused[:, :20].astype(int) - photograph(2)[:, :20]
    assert np.abs(difference).max() <= (fuser.task.name == "mef")  # by way of luma and chroma
    assert (fused[:, 20:] != photograph(2)[:, 20:]).any()
    both = Pair(replace(one, coverage=coverage), replace(other, coverage=coverage))
    assert (fuser.fuse_pair(both).coverage == coverage).all()


def test_tiles_change_nothing(weights):
    from lkcfuse.inference import InferenceOptions

    one, other = photograph(1, width=150), photograph(2, width=150)
    found = [
        Fuser("mff", weights=weights, options=InferenceOptions(tile=tile)).fuse(one, other)
        for tile in ("off", 40)
    ]
    assert (found[0] == found[1]).all()


# More than two


def test_of_a_bracket_no_order_matters(fuser):
    images = [image_from_array(photograph(seed)) for seed in range(4)]
    fused = image_to_array(fuser.fuse_images(images)).astype(int)
    for order in ((3, 2, 1, 0), (1, 3, 0, 2)):
        again = image_to_array(fuser.fuse_images([images[i] for i in order]))
        assert np.abs(again - fused).max() <= 1
    stack = np.stack([luma(photograph(seed)) for seed in range(4)])
    assert (luma(fused) <= stack.max(0) + 0.51).all()
    assert (luma(fused) >= stack.min(0) - 0.51).all()


def test_two_images_are_a_pair(fuser):
    images = [image_from_array(photograph(seed)) for seed in (1, 2)]
    shares = []
    fused = image_to_array(fuser.fuse_images(images, on_map=shares.append))
    assert (fused == fuser.fuse(photograph(1), photograph(2))).all()
    assert shares[0].shape == (50, 70)


def test_the_weights_of_several_are_those_of_two_where_the_rest_counts_for_nothing():
    even, most = np.full((2, 2), 0.5, np.float32), np.full((2, 2), 0.8, np.float32)
    assert np.allclose(shares_of_many(2, {(0, 1): most}), [most, 1 - most])
    # Three alike, and the third ahead of both others by a logit of log 4 each: e^(2/3 log 4) to
    # e^(-1/3 log 4), that is 4 to 1 to 1.
    found = shares_of_many(3, {(0, 1): even, (0, 2): 1 - most, (1, 2): 1 - most})
    assert np.allclose(found, [even / 3, even / 3, 4 * even / 3])
    assert np.allclose(place_in_order(found), 1 / 6 + 1 / 12)
    # However sure the network is, nothing overflows.
    sure = shares_of_many(3, {key: np.ones((1, 1), np.float32) for key in ((0, 1), (0, 2), (1, 2))})
    assert np.isfinite(sure).all()
    assert sure[0][0, 0] > 0.99


def test_what_a_bracket_cannot_be(fuser, weights, maximum_weights):
    images = [image_from_array(photograph(seed)) for seed in range(3)]
    with pytest.raises(UsageError, match="ir-vis takes two images"):
        Fuser("ir-vis", weights=weights).fuse_images(images)
    with pytest.raises(UsageError, match="fuse two images and got 3"):
        Fuser("mef", weights=maximum_weights).fuse_images(images)
    with pytest.raises(InputError, match="1 image given"):
        fuser.fuse_images(images[:1])
    small = image_from_array(photograph(3, height=20), name="small.png")
    with pytest.raises(InputError, match=r"small\.png has 70x20 pixels"):
        fuser.fuse_images([*images, small])
    noted = replace(images[2], notes=(CodedWarning("task", "dark"),))
    with pytest.raises(RefusedError, match="dark"):
        fuser.fuse_images([*images[:2], noted], refuse_warnings=True)


def test_a_mean_of_images_keeps_the_profile_they_have_in_common():
    one, other = (image_from_array(photograph(seed)) for seed in (1, 2))
    half = np.full(one.size, 0.5, np.float32)
    profiled = [replace(image, icc_profile=b"sRGB") for image in (one, other)]
    assert mix(profiled, (half, half), colours_too=True).icc_profile == b"sRGB"
    assert mix([profiled[0], other], (half, half), colours_too=True).icc_profile is None


# Of which source a pixel is, where the network does not say


def test_least_squares_finds_the_share_that_a_window_was_mixed_with():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 40, 60), dtype=np.float32)
    share = np.where(np.arange(60) < 30, 0.25, 0.75).astype(np.float32)
    found = least_squares_share(share * first + (1 - share) * second, first, second)
    assert np.abs(found[:, :24] - 0.25).max() < 1e-3
    assert np.abs(found[:, 36:] - 0.75).max() < 1e-3
    assert np.abs(least_squares_share(first, first, first) - 0.5).max() < 1e-6
    assert (least_squares_share(first + 1, first, second) <= 1).all()


def test_the_map_of_other_networks_is_that(maximum_weights):
    first, second = (photograph(seed, channels=1) for seed in (1, 2))
    first = first // 2 + 128
    second = second // 2
    shares = []
    fuser = Fuser("ir-vis", weights=maximum_weights, device="cpu", threads=1)
    fuser.fuse_pair(Pair(image_from_array(first), image_from_array(second)), on_map=shares.append)
    assert shares[0].min() > 0.99  # the maximum is the first source everywhere
