"""The model on tensors: what `Fuser` gives, gradients, and folders that are written and read."""

import json

import numpy as np
import pytest
import torch
from networks import random_network
from stand_ins import stand_in_tensors

from lkcfuse.architectures.processing import FIRST_SECOND, Processing
from lkcfuse.errors import InputError, ResourceError, UsageError, WeightsError
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.fusion.model import FusionModel
from lkcfuse.images import image_from_array, image_to_array, stretch_image
from lkcfuse.models import load_network, resolve
from lkcfuse.tasks import Role, Task


def sources(*, colours=(1, 3), count=2, size=(20, 30), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(count, colour, *size, generator=generator) for colour in colours]


def as_array(image):
    """(C, H, W) as (H, W) or (H, W, 3)."""
    array = image.permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[-1] == 1 else array


@pytest.fixture(params=[(1, 3), (1, 1), (3, 3), (3, 1)], ids=str)
def colours(request):
    return request.param


@pytest.mark.parametrize("task", ["ir-vis", "mri-ct"])
@pytest.mark.parametrize("stretch", [False, True])
def test_it_gives_what_a_fuser_gives(make_weights, colours, task, stretch):
    path = make_weights(
        "none",
        input_range=(-1, 1),
        output_range=(-2, 3),
        channel_order=FIRST_SECOND,
        stretch=stretch,
    )
    first, second = sources(colours=colours)
    model = FusionModel.from_pretrained(path, task=task)
    fuser = Fuser(task, weights=path, device="cpu", threads=1)
    with torch.inference_mode():
        fused = model(first, second)
    for index in range(2):
        expected = fuser.fuse(as_array(first[index]), as_array(second[index]))
        np.testing.assert_allclose(as_array(fused[index]), expected, atol=1e-4)


def test_chroma_gives_way_and_luma_stays():
    network = random_network(base="none", inner=2)
    model = FusionModel(network, Processing(output_range=(-5, 5)))
    first, second = sources(size=(40, 40))
    with torch.inference_mode():
        fused = model(first, second)
        luma = model.luma(
            first, 0.299 * second[:, :1] + 0.587 * second[:, 1:2] + 0.114 * second[:, 2:]
        )
    assert fused.min() >= 0
    assert fused.max() <= 1
    found = torch.einsum("nchw,c->nhw", fused, torch.tensor([0.299, 0.587, 0.114]))
    torch.testing.assert_close(found, luma[:, 0].clamp(0, 1), atol=1e-6, rtol=0)


def test_it_is_differentiable_in_sources_and_weights():
    torch.manual_seed(0)
    network = random_network(base="max").double().train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    model = FusionModel(network.requires_grad_(True))
    first, second = (
        (0.2 + 0.6 * source.double()).requires_grad_() for source in sources(size=(8, 8), count=1)
    )
    model(first, second).sum().backward()
    assert first.grad.abs().sum() > 0
    assert second.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in network.parameters())

    other = torch.full((1, 1, 6, 6), 0.4, dtype=torch.float64)

    def luma_of_network(x):
        return model.luma(x, other)

    one = torch.rand(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(luma_of_network, (one,), atol=1e-5)


def test_autocast_returns_float32():
    model = FusionModel(random_network(inner=4))
    first, second = sources()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        fused = model(first, second)
    assert fused.dtype == torch.float32
    with torch.inference_mode():
        assert abs(fused - model(first, second)).max() < 0.2


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ((1, 2, 8, 8), (1, 1, 8, 8), "first has shape"),
        ((1, 1, 8, 8), (8, 8), "second has shape"),
        ((1, 1, 8, 8), (1, 1, 8, 9), "must agree"),
        ((2, 1, 8, 8), (1, 1, 8, 8), "must agree"),
    ],
)
def test_other_shapes_are_refused(first, second, words):
    model = FusionModel(random_network())
    with pytest.raises(ValueError, match=words):
        model(torch.zeros(first), torch.zeros(second))


@pytest.mark.parametrize("name", ["seafusion", "ltofusion"])
def test_without_more_it_is_fed_as_its_architecture_says(name):
    network = load_network(stand_in_tensors(name), task="mri-pet")
    model = FusionModel(network, task="mri-pet")
    assert model.processing == model.architecture.processing("mri-pet")
    first, second = sources()
    with torch.inference_mode():
        fused = model(first, second)
    assert fused.shape == (2, 3, 20, 30)
    if name == "seafusion":
        assert fused.amin((1, 2, 3)).tolist() == [0, 0]
        assert fused.amax((1, 2, 3)).tolist() == [1, 1]


def test_a_stretch_spans_the_range_and_keeps_hues():
    array = np.random.default_rng(0).uniform(0.2, 0.6, (9, 8, 3)).astype(np.float32)
    stretched = image_to_array(stretch_image(image_from_array(array)))
    wanted = (array - array.min()) / (array.max() - array.min())
    np.testing.assert_allclose(stretched, wanted, atol=1e-6)
    flat = image_from_array(np.full((4, 5), 0.3, np.float32))
    assert stretch_image(flat) is flat


# Folders, after the manner of the Hugging Face libraries.


def test_a_saved_folder_is_the_same_model(make_weights, tmp_path, monkeypatch):
    path = make_weights("none", input_range=(-1, 1), output_range=(-2, 3), stretch=True)
    fuser = Fuser.from_pretrained(path, device="cpu", threads=1)
    written = fuser.save_pretrained(tmp_path / "mine")
    assert written == tmp_path / "mine" / "model.safetensors"
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert config["architecture"] == "lkc-funet"
    assert config["network"]["inner"] == 2
    assert config["input_range"] == [-1, 1]
    assert config["stretch"] is True
    monkeypatch.chdir(tmp_path)
    first, second = (as_array(source[0]) for source in sources())
    expected = fuser.fuse(first, second)
    for weights in (tmp_path / "mine", "mine", "mine/"):
        again = Fuser.from_pretrained(weights, device="cpu", threads=1)
        assert again.weights.processing == fuser.weights.processing
        np.testing.assert_array_equal(again.fuse(first, second), expected)


def test_what_comes_from_the_manifest_keeps_its_licence(tmp_path):
    FusionModel.from_pretrained("lkcfuse-mri-pet", task="mri-pet").save_pretrained(tmp_path)
    from safetensors import safe_open

    with safe_open(tmp_path / "model.safetensors", "np") as file:
        metadata = file.metadata()
    assert metadata["licence"] == "Apache-2.0"
    assert json.loads(metadata["tasks"]) == ["mri-pet"]
    assert resolve(tmp_path, "mri-pet").processing == resolve(None, "mri-pet").processing


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file: name a folder"):
        FusionModel(random_network()).save_pretrained(tmp_path / "file")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="below: cannot be made"):
        FusionModel(random_network()).save_pretrained(tmp_path / "file" / "below")


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="is not a file"):
        FusionModel.from_pretrained(tmp_path)


# `Fuser` on batches and tensors.


@pytest.fixture(scope="module")
def fuser(make_weights):
    return Fuser(weights=make_weights("none", input_range=(-1, 1)), device="cpu", threads=1)


def test_tensors_give_what_the_model_gives(fuser, colours):
    first, second = sources(colours=colours)
    with torch.inference_mode():
        expected = fuser.model(first, second)
    fused = fuser.fuse(first, second)
    assert not fused.requires_grad
    torch.testing.assert_close(fused, expected, atol=1e-4, rtol=0)
    single = fuser.fuse(first[0], second[0])
    assert torch.equal(single, fused[0])
    dark = fuser.fuse(1 - first, second, invert_first=True)
    torch.testing.assert_close(dark, fused, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((torch.uint8, torch.uint8), torch.uint8),
        ((torch.uint8, torch.float32), torch.float32),
        ((torch.float16, torch.float16), torch.float16),
        ((torch.float32, torch.float64), torch.float64),
    ],
)
def test_tensors_come_back_in_their_type(fuser, dtypes, expected):
    given = [
        (255 * source).round().to(dtype) if dtype == torch.uint8 else source.to(dtype)
        for source, dtype in zip(sources(), dtypes, strict=True)
    ]
    fused = fuser.fuse(*given)
    assert fused.dtype == expected
    exact = fuser.fuse(*sources())
    found = fused.double() / (255 if expected == torch.uint8 else 1)
    assert abs(found - exact).mean() < 0.01


def test_batches_of_arrays_are_fused_one_by_one(fuser):
    generator = np.random.default_rng(0)
    first = generator.integers(0, 256, (3, 12, 17, 1), np.uint8)
    second = generator.integers(0, 256, (3, 12, 17, 3), np.uint8)
    fused = fuser.fuse(first, second)
    assert fused.shape == (3, 12, 17, 3)
    for index in range(3):
        alone = fuser.fuse(first[index, ..., 0], second[index])
        np.testing.assert_array_equal(fused[index], alone)
    assert fuser.fuse(first, second[..., :1]).shape == (3, 12, 17, 1)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (np.zeros((2, 4, 5, 1)), np.zeros((4, 5)), "the visible array has shape"),
        (np.zeros((2, 4, 5, 1)), np.zeros((3, 4, 5, 1)), "2 and 3 images"),
        (torch.zeros(1, 4, 5), np.zeros((4, 5)), "the visible source is of type ndarray"),
        (torch.zeros(4, 5), torch.zeros(4, 5), "the infrared tensor has shape"),
        (torch.zeros(1, 4, 5), torch.zeros(1, 4, 6), "must agree"),
        (torch.zeros(1, 4, 5), torch.full((1, 4, 5), 2.0), "values from 2 to 2"),
        (torch.zeros(1, 4, 5), torch.full((1, 4, 5), float("nan")), "values from nan"),
        (torch.zeros(1, 4, 5), torch.zeros(1, 4, 5, dtype=torch.int16), "has type torch.int16"),
    ],
)
def test_unfit_batches_and_tensors_are_named(fuser, first, second, words):
    with pytest.raises(InputError, match=words):
        fuser.fuse(first, second)


def test_a_closed_fuser_fuses_on(fuser):
    first, second = sources()
    before = fuser.fuse(first, second)
    with fuser:
        pass
    assert torch.equal(fuser.fuse(first, second), before)


# Tasks of one's own: two coloured sources, and sources without order.

EXPOSURES = Task("exposures", (Role("dark", "dark"), Role("bright", "bright")), "blend", False)


def blended_chroma(*arrays):
    """The published formula, on planes centred on 128."""
    planes = []
    for array in arrays:
        luma = array @ np.array([0.299, 0.587, 0.114])
        cb, cr = (array[..., 2] - luma) / 1.772, (array[..., 0] - luma) / 1.402
        planes.append(255 * np.stack([cb, cr], -1) + 128)
    above = sum(plane * abs(plane - 128) for plane in planes)
    return (above / sum(abs(plane - 128) for plane in planes) - 128) / 255


def test_two_coloured_sources_blend_their_chroma(maximum_weights):
    # Pale colours on a middle grey: the fused luma leaves room for any of them.
    first, second = (0.5 + 0.1 * (source - 0.5) for source in sources(colours=(3, 3), count=1))
    arrays = [as_array(source[0]).astype(np.float64) for source in (first, second)]
    luma = np.maximum(*(array @ np.array([0.299, 0.587, 0.114]) for array in arrays))
    cb, cr = np.moveaxis(blended_chroma(*arrays), -1, 0)
    red, blue = luma + 1.402 * cr, luma + 1.772 * cb
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    expected = np.stack([red, green, blue], -1)
    fuser = Fuser(EXPOSURES, weights=maximum_weights, device="cpu", threads=1)
    found = fuser.fuse(*(array.astype(np.float32) for array in arrays))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    torch.testing.assert_close(
        fuser.model(first, second)[0], torch.from_numpy(found).permute(2, 0, 1), atol=1e-5, rtol=0
    )


def test_of_one_coloured_source_the_colour_stays(maximum_weights):
    first, second = (0.5 + 0.1 * (source - 0.5) for source in sources(colours=(3, 1), count=1))
    fuser = Fuser(EXPOSURES, weights=maximum_weights, device="cpu", threads=1)
    fused = fuser.fuse(first, second)
    from lkcfuse.fusion.colour import chroma_of

    torch.testing.assert_close(chroma_of(fused), chroma_of(first), atol=1e-5, rtol=0)
    grey = fuser.fuse(first[:, :1], second)
    assert grey.shape[1] == 1


def test_without_order_nobody_asks_whether_sources_are_swapped(maximum_weights):
    first, second = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)
    first[..., 0] = 200
    for task, expected in (("ir-vis", 1), (EXPOSURES, 0)):
        lines = []
        Fuser(task, weights=maximum_weights, device="cpu", notify=lines.append).fuse(first, second)
        assert sum("are they swapped" in line for line in lines) == expected
