"""SeAFusion and LTOFusion: known answers, exact tiles, checkpoints as published."""

import numpy as np
import pytest
import torch
from stand_ins import golden_arrays, stand_in_tensors

from lkcfuse.architectures import registry
from lkcfuse.errors import WeightsError
from lkcfuse.inference import InferenceOptions, infer
from lkcfuse.models import load_checkpoint, load_network, save_checkpoint

NETWORKS = ("seafusion", "ltofusion")


@pytest.fixture(scope="module")
def checkpoints():
    return {name: load_checkpoint(stand_in_tensors(name)) for name in NETWORKS}


def pair_of(index, order):
    arrays = golden_arrays()
    return np.stack([arrays[f"{source}{index}"] for source in order])


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    ("name", "task", "answer"),
    [
        ("seafusion", "ir-vis", "seafusion{}"),
        ("ltofusion", "ir-vis", "ltofusion{}"),
        ("ltofusion", "mri-pet", "ltofusion{}_five"),
    ],
)
def test_the_known_answers(checkpoints, index, name, task, answer):
    checkpoint = checkpoints[name]
    order = checkpoint.architecture.processing(task).channel_order
    fused = infer(checkpoint.network(task), pair_of(index, order))
    assert abs(fused - golden_arrays()[answer.format(index)]).max() < 2e-6


@pytest.mark.parametrize(("name", "parameters"), [("seafusion", 166_529), ("ltofusion", 437_000)])
def test_sizes_are_read_off_the_tensors(checkpoints, name, parameters):
    checkpoint = checkpoints[name]
    assert checkpoint.architecture is registry.get(name)
    found = sum(parameter.numel() for parameter in checkpoint.network().parameters())
    assert found == pytest.approx(parameters, rel=0.02)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(1, 1), (7, 30), (150, 173)])
@pytest.mark.parametrize("tile", [32, 57])
def test_tiles_give_the_whole_image_result(checkpoints, name, size, tile):
    network = checkpoints[name].network("ir-vis")
    pair = np.random.default_rng(0).random((2, *size), dtype=np.float32)
    whole = infer(network, pair, options=InferenceOptions(tile="off"))
    fused = infer(network, pair, options=InferenceOptions(tile=tile))
    assert fused.shape == size
    assert abs(fused - whole).max() < 2e-6


@pytest.mark.parametrize(("name", "task"), [("seafusion", "ir-vis"), ("ltofusion", "mri-ct")])
def test_nothing_beyond_the_halo_counts(checkpoints, name, task):
    checkpoint = checkpoints[name]
    network = checkpoint.network(task)
    halo = checkpoint.architecture.halo(network)
    # A step of LTOFusion moves values by little: many of them are clamped, and show nothing.
    pair = torch.full((1, 2, 40, halo + 90), 0.5, requires_grad=True)
    network(pair)[0, 0, 20, 8:16].sum().backward()
    reach = pair.grad.abs().amax((0, 1, 2)).nonzero().max().item() - 15
    assert 8 < reach <= halo


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_and_loaded_it_is_the_same(checkpoints, name, tmp_path):
    network = checkpoints[name].network("mri-ct")
    save_checkpoint(tmp_path / "saved.safetensors", network)
    loaded = load_network(tmp_path / "saved.safetensors", task="mri-ct")
    pair = torch.rand(1, 2, 20, 30)
    assert torch.equal(loaded(pair), network(pair))


def test_ltofusion_comes_as_two_tables_with_left_overs(checkpoints, tmp_path):
    tables = {"policy": {}, "action": {}}
    for name, tensor in stand_in_tensors("ltofusion").items():
        table, _, rest = name.partition(".")
        tables[table][rest] = tensor
    tables["policy"]["B_enc1.convup.conv.weight"] = torch.zeros(1)
    tables["action"]["affine1.weight"] = torch.zeros(1)
    torch.save(tables, tmp_path / "best.ckpt")
    loaded = load_network(tmp_path / "best.ckpt", task="ir-vis")
    pair = torch.rand(1, 2, 20, 30)
    assert torch.equal(loaded(pair), checkpoints["ltofusion"].network("ir-vis")(pair))


@pytest.mark.parametrize(
    ("name", "missing"),
    [("seafusion", "vis_rgbd2.sobelconv.convx.weight"), ("ltofusion", "action.dec5.up.bias")],
)
def test_a_missing_tensor_is_named(name, missing):
    tensors = stand_in_tensors(name)
    del tensors[missing]
    with pytest.raises(WeightsError, match="is missing"):
        load_network(tensors)


@pytest.mark.parametrize(
    ("name", "missing"),
    [("seafusion", "vis_conv.conv.weight"), ("ltofusion", "policy.bottle.conv.0.weight")],
)
def test_a_missing_tensor_that_tells_a_size_is_named(name, missing):
    tensors = stand_in_tensors(name)
    del tensors[missing]
    with pytest.raises(WeightsError, match="it has no tensor"):
        load_network(tensors)


def test_the_gradient_of_a_new_block_is_sobels():
    from lkcfuse.architectures.gradient_block import GradientBlock

    block = GradientBlock(1, 4)
    ramp = torch.arange(5.0).expand(1, 1, 5, 5)
    assert block.gradient_x(ramp)[0, 0, 2, 2].abs() == 8
    assert block.gradient_y(ramp)[0, 0, 2, 2] == 0
