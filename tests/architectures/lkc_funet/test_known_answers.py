import pytest
import torch
from reference import golden_cases, reference_state_dict

from lkcfuse.architectures.lkc_funet import NetworkConfig
from lkcfuse.inference import InferenceOptions, infer
from lkcfuse.models.checkpoint import load_network


@pytest.fixture(scope="module")
def full_network():
    return load_network(reference_state_dict())


def test_the_full_network_is_read_off_the_tensors(full_network):
    assert full_network.config == NetworkConfig(32, (15, 11, 5), "batch", "none")
    assert sum(parameter.numel() for parameter in full_network.parameters()) == 41_174_438
    assert len(full_network.state_dict()) == 276


@pytest.mark.parametrize("index", range(len(golden_cases())))
def test_the_network_gives_the_known_answers(full_network, index):
    pair, expected = golden_cases()[index]
    with torch.inference_mode():
        torch.testing.assert_close(full_network(pair), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("tile", ["auto", 32])
def test_inference_gives_the_known_answers(full_network, tile):
    pair, expected = golden_cases()[0]
    fused = infer(full_network, pair[0].numpy(), options=InferenceOptions(tile=tile))
    torch.testing.assert_close(torch.from_numpy(fused), expected[0, 0], rtol=0, atol=2e-4)
