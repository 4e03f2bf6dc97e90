"""A fourth architecture: it loads, saves and runs without a line changed in any other package."""

import numpy as np
import pytest
import torch
from torch import nn

from lkcfuse.architectures import registry
from lkcfuse.architectures.base import Architecture
from lkcfuse.architectures.processing import FIRST_SECOND, Processing
from lkcfuse.errors import ResourceError, WeightsError
from lkcfuse.fusion.fuser import Fuser
from lkcfuse.inference import InferenceOptions, infer, plan_run
from lkcfuse.models import load_checkpoint, load_network, save_checkpoint


class Toy(nn.Module):
    """One 5x5 convolution of both sources; `whole` takes the mean of the image away."""

    def __init__(self, kernel, whole):
        super().__init__()
        self.config = {"kernel": kernel}
        self.blur = nn.Conv2d(2, 1, kernel, padding=kernel // 2)
        self.whole = whole

    def forward(self, pair):
        result = self.blur(pair)
        return result - result.mean((2, 3), keepdim=True) if self.whole else result


class ToyArchitecture(Architecture):
    name, title, network_type = "toy", "Toy", Toy

    def __init__(self, whole=False):
        self.whole = whole

    def recognises(self, names):
        return "blur.weight" in names

    def read_config(self, tensors, stored):
        return {"kernel": tensors["blur.weight"].shape[-1]}

    def build(self, config, task=None):
        return Toy(config["kernel"], self.whole)

    def facts(self, config):
        return config

    def processing(self, task):
        return Processing((0, 2), (0, 2), FIRST_SECOND)

    def halo(self, network):
        return None if self.whole else network.config["kernel"] // 2

    def floats_per_pixel(self, config):
        return 8


@pytest.fixture
def toy():
    architecture = ToyArchitecture()
    registry.register(architecture)
    yield architecture
    registry.unregister("toy")


def toy_network(architecture):
    torch.manual_seed(0)
    network = architecture.build({"kernel": 5}).eval().requires_grad_(False)
    network.blur.weight.abs_()
    return network


def pair_of(height, width):
    return np.random.default_rng(0).random((2, height, width), dtype=np.float32)


def test_a_checkpoint_is_recognised_by_its_tensors(toy, tmp_path):
    network = toy_network(toy)
    torch.save(network.state_dict(), tmp_path / "toy.pth")
    save_checkpoint(tmp_path / "toy.safetensors", network)
    for path in (tmp_path / "toy.pth", tmp_path / "toy.safetensors"):
        checkpoint = load_checkpoint(path)
        assert checkpoint.architecture is toy
        assert checkpoint.config == {"kernel": 5}
        assert torch.equal(checkpoint.network().blur.weight, network.blur.weight)


def test_without_it_the_file_names_what_is_known(toy, tmp_path):
    save_checkpoint(tmp_path / "toy.safetensors", toy_network(toy))
    torch.save(toy_network(toy).state_dict(), tmp_path / "toy.pth")
    registry.unregister("toy")
    try:
        with pytest.raises(WeightsError, match=r"toy\.pth: .*not a checkpoint of a known network"):
            load_network(tmp_path / "toy.pth")
        with pytest.raises(
            WeightsError, match=r"toy\.safetensors: no architecture is called 'toy'"
        ):
            load_network(tmp_path / "toy.safetensors")
    finally:
        registry.register(toy)


@pytest.mark.parametrize("tile", ["auto", "off", 32, 57])
def test_tiles_give_the_whole_image_result(toy, tile):
    network, pair = toy_network(toy), pair_of(90, 131)
    with torch.inference_mode():
        expected = network(torch.from_numpy(pair)[None])[0, 0].numpy()
    fused = infer(network, pair, options=InferenceOptions(tile=tile))
    assert abs(fused - expected).max() < 1e-6


def test_little_memory_makes_tiles(toy):
    network = toy_network(toy)
    whole = plan_run(network, 3000, 3000, InferenceOptions())
    assert whole.tile is None
    tiled = plan_run(network, 3000, 3000, InferenceOptions(memory=whole.memory - 1))
    assert tiled.tile == 2048
    assert tiled.memory < whole.memory
    with pytest.raises(ResourceError, match="with Toy"):
        plan_run(network, 3000, 3000, InferenceOptions(memory=1000))


def test_a_network_with_statistics_of_the_whole_image_is_not_tiled():
    whole = ToyArchitecture(whole=True)
    registry.register(whole)
    try:
        network, pair = toy_network(whole), pair_of(40, 50)
        with torch.inference_mode():
            expected = network(torch.from_numpy(pair)[None])[0, 0].numpy()
        assert abs(infer(network, pair) - expected).max() < 1e-6
        with pytest.raises(ResourceError, match="cannot run in tiles"):
            infer(network, pair, options=InferenceOptions(tile=32))
    finally:
        registry.unregister("toy")


def test_a_bare_file_is_fed_as_its_architecture_says(toy, tmp_path):
    network = toy_network(toy)
    torch.save(network.state_dict(), tmp_path / "toy.pth")
    lines = []
    fuser = Fuser(weights=tmp_path / "toy.pth", notify=lines.append)
    first, second = pair_of(30, 40)
    fused = fuser.fuse(first, second)
    with torch.inference_mode():
        raw = network(torch.from_numpy(np.stack([first, second])[None] * 2))[0, 0].numpy() / 2
    assert abs(fused - raw.clip(0, 1)).max() < 1e-6
    assert "assuming [0, 2]" in lines[0]


def test_a_name_is_taken_once(toy):
    with pytest.raises(ValueError, match="registered already"):
        registry.register(ToyArchitecture())


def test_a_network_of_no_architecture_is_refused():
    with pytest.raises(TypeError, match="Linear is not a network of a known architecture"):
        registry.architecture_of(nn.Linear(1, 1))
