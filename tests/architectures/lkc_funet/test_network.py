import pytest
import torch
from networks import random_network

from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
from lkcfuse.ops.padding import pad_to_multiple


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (5, 7), (16, 16), (33, 50)])
@pytest.mark.parametrize("stem_norm", ["batch", "instance"])
def test_every_size_comes_out_as_it_went_in(size, stem_norm):
    network = random_network(stem_norm=stem_norm)
    fused = network(torch.rand(2, 2, *size))
    assert fused.shape == (2, 1, *size)
    assert torch.isfinite(fused).all()


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 3, 8, 8), (1, 2, 0, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(N, 2, H, W\)"):
        random_network()(torch.zeros(shape))


def test_padding_is_below_and_right_and_does_not_show():
    network = random_network()
    pair = torch.rand(1, 2, 14, 19)
    padded = pad_to_multiple(pair, 4)
    assert padded.shape == (1, 2, 16, 20)
    assert torch.equal(padded[..., :14, :19], pair)
    assert torch.equal(padded[..., 14, :19], pair[..., 12, :])  # reflected about the last row
    assert torch.equal(network(padded)[..., :14, :19], network(pair))


def test_a_new_network_on_the_maximum_gives_the_maximum():
    network = LKCFUNet(NetworkConfig(inner=2, base="max")).eval()
    pair = torch.rand(1, 2, 20, 12)
    assert torch.equal(network(pair), pair.amax(1, keepdim=True))


def test_the_base_is_added_to_the_output():
    pair = torch.rand(1, 2, 20, 12)
    plain, based = random_network(base="none"), random_network(base="max")
    based.load_state_dict(plain.state_dict())
    torch.testing.assert_close(based(pair) - pair.amax(1, keepdim=True), plain(pair))


def test_training_sees_every_parameter():
    network = random_network(inner=4).train().requires_grad_(True)
    for level in network.decoder:
        # So few squeezed channels might all be cut off by the ReLU behind them.
        level.fusion.channel_squeeze.bias.data.add_(5)
    network(torch.rand(2, 2, 32, 32)).square().mean().backward()
    idle = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    # A convolution's bias before a normalisation over the very channel it shifts has no effect.
    assert [name for name in idle if "bias" not in name] == []


def test_dropouts_act_in_training_alone():
    torch.manual_seed(0)
    network = LKCFUNet(NetworkConfig(inner=2), dropout=0.5, drop_path=0.5)
    pair = torch.rand(1, 2, 16, 16)
    assert not torch.equal(network(pair), network(pair))
    network.eval()
    assert torch.equal(network(pair), network(pair))


@pytest.mark.parametrize(
    "fields", [{"inner": 1}, {"inner": 3}, {"kernels": (15, 10, 5)}, {"base": "mean"}]
)
def test_impossible_configurations_are_refused(fields):
    with pytest.raises(ValueError, match="must be"):
        NetworkConfig(**fields)
