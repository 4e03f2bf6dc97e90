"""Weight-map networks: order, tiles, halo, checkpoints."""

import numpy as np
import pytest
import torch
from networks import random_weight_map

from lkcfuse.architectures import registry
from lkcfuse.architectures.weight_map import WeightedMean, WeightMapConfig
from lkcfuse.errors import WeightsError
from lkcfuse.inference import InferenceOptions, infer
from lkcfuse.inference.session import plan_run
from lkcfuse.models import load_checkpoint, load_network, save_checkpoint


@pytest.fixture(scope="module")
def network():
    return random_weight_map()


def noise(height, width, seed=0):
    return torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (64, 96), (77, 45)])
def test_exchanged_sources_exchange_the_weights(network, size):
    pair = noise(*size)
    weight, exchanged = network.map(pair), network.map(pair.flip(1))
    assert weight.shape == (1, 1, *size)
    assert (weight + exchanged - 1).abs().max() < 1e-6
    assert (network(pair) - network(pair.flip(1))).abs().max() < 1e-6
    # And it does weigh: not everything by a half.
    assert min(size) == 1 or weight.std() > 0.01


def test_the_fused_image_lies_between_its_sources(network):
    pair = noise(60, 70)
    fused = network(pair)
    assert (fused <= pair.amax(1, keepdim=True) + 1e-6).all()
    assert (fused >= pair.amin(1, keepdim=True) - 1e-6).all()
    weight = network.map(pair)
    assert torch.allclose(fused, weight * pair[:, :1] + (1 - weight) * pair[:, 1:], atol=1e-6)


def test_equal_sources_weigh_a_half(network):
    pair = noise(40, 40)[:, :1].expand(-1, 2, -1, -1)
    assert (network.map(pair) == 0.5).all()


@pytest.mark.parametrize("size", [(7, 30), (150, 273)])
@pytest.mark.parametrize("tile", [32, 57])
def test_tiles_give_the_whole_image_result(network, size, tile):
    pair = noise(*size)[0].numpy()
    for runs in (network, network.map):
        whole = infer(runs, pair, options=InferenceOptions(tile="off"))
        assert abs(infer(runs, pair, options=InferenceOptions(tile=tile)) - whole).max() < 2e-6


def test_nothing_beyond_the_halo_counts(network):
    halo = registry.get("weight-map").halo(network)
    pair = torch.zeros(1, 2, 48, halo + 120)
    pair += 0.3 * noise(48, halo + 120)
    pair.requires_grad_()
    network.map(pair)[0, 0, 20, 8:16].sum().backward()
    reach = pair.grad.abs().amax((0, 1, 2)).nonzero().max().item() - 15
    assert halo / 2 < reach <= halo


def test_a_large_image_is_run_in_tiles_and_a_small_one_whole(network):
    tile = registry.get("weight-map").preferred_tile
    assert plan_run(network, 3000, 4000, InferenceOptions()).tile == tile
    assert plan_run(network, 480, 640, InferenceOptions()).tile is None
    assert plan_run(network, 3000, 4000, InferenceOptions(tile=512)).tile == 512
    # A gigabyte and a half with the pictures themselves.
    assert plan_run(network, 3000, 4000, InferenceOptions()).memory < 1.5e9


def test_saved_and_loaded_it_is_the_same(network, tmp_path):
    path = tmp_path / "saved.safetensors"
    save_checkpoint(path, network)
    checkpoint = load_checkpoint(path)
    assert checkpoint.architecture is registry.get("weight-map")
    assert checkpoint.config == network.config
    pair = noise(20, 30)
    assert torch.allclose(load_network(path)(pair), network(pair), atol=1e-5)
    assert registry.recognise(network.state_dict()) is registry.get("weight-map")
    del checkpoint.state_dict["map.decoder.head.bias"]
    with pytest.raises(WeightsError, match=r"map\.decoder\.head\.bias"):
        checkpoint.network()


@pytest.mark.parametrize("widths", [(8,), (4,) * 9, (8, 0)])
def test_impossible_widths(widths):
    with pytest.raises(ValueError, match="widths has"):
        WeightMapConfig(widths)


def test_widths_are_read_off_the_tensors(tmp_path):
    network = WeightedMean(WeightMapConfig((3, 5, 4)))
    save_checkpoint(tmp_path / "a.safetensors", network)
    assert load_checkpoint(tmp_path / "a.safetensors").config.widths == (3, 5, 4)
    architecture = registry.get("weight-map")
    assert architecture.weight_map(network) is network.map
    assert architecture.weight_map(network.map) is None
    assert architecture.alignment(network) == 4
    assert np.isclose(architecture.floats_per_pixel(network.config), 6 + 10 / 4 + 8 / 16 + 24)
