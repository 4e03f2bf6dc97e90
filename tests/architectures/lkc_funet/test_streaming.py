"""The tiled result is the whole-image result: the promise everything in inference rests on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network

from lkcfuse.inference import InferenceOptions, infer
from lkcfuse.inference.storage import MemoryMap, MemoryPool
from lkcfuse.ops.streaming.features import Stored
from lkcfuse.ops.streaming.layers import (
    SpectrumCache,
    convolve,
    downsample,
    to_one_channel,
    upsample,
)


def whole(network, pair):
    with torch.inference_mode():
        return network(torch.from_numpy(pair)[None])[0, 0].numpy()


def random_pair(height, width, seed=0):
    return torch.rand(2, height, width, generator=torch.Generator().manual_seed(seed)).numpy()


@pytest.mark.parametrize("config", [{}, {"stem_norm": "instance", "base": "max"}, {"inner": 8}])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (37, 4), (53, 131)])
@pytest.mark.parametrize("tile", ["auto", "off", 32, 57])
def test_any_tiling_gives_the_whole_image_result(config, size, tile):
    network = random_network(**config)
    pair = random_pair(*size)
    fused = infer(network, pair, options=InferenceOptions(tile=tile))
    assert fused.shape == size
    assert abs(fused - whole(network, pair)).max() < 1e-4


@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 100),
    height=st.integers(1, 120),
    width=st.integers(1, 120),
    tile=st.integers(32, 130),
)
def test_sizes_and_tiles_that_fit_nothing(seed, height, width, tile):
    network = random_network(seed)
    pair = random_pair(height, width, seed)
    fused = infer(network, pair, options=InferenceOptions(tile=tile))
    assert abs(fused - whole(network, pair)).max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("inner", "tile"), [(8, 64), (8, 100), (32, 96)])
def test_real_widths(inner, tile):
    network = random_network(inner=inner)
    pair = random_pair(333, 517)
    fused = infer(network, pair, options=InferenceOptions(tile=tile))
    assert abs(fused - whole(network, pair)).max() < 1e-4


def test_an_image_after_another_is_not_touched_by_it():
    network = random_network()
    pairs = [random_pair(40, 60, 1), random_pair(90, 33, 2), random_pair(40, 60, 1)]
    first, _, again = (infer(network, pair) for pair in pairs)
    assert (first == again).all()


def test_a_flat_and_an_extreme_image_stay_finite():
    network = random_network()
    for value in (0.0, 1.0):
        pair = random_pair(20, 20) * 0 + value
        assert abs(infer(network, pair) - whole(network, pair)).max() < 1e-3


def stored(height, width, channels):
    values = torch.randn(height, width, channels)
    memory = MemoryMap(height, width, channels, MemoryPool())
    memory.read(_all(values)).copy_(values)
    return Stored(memory), values.permute(2, 0, 1)[None]


def _all(values):
    from lkcfuse.ops.regions import Region

    return Region(0, values.shape[0], 0, values.shape[1])


def assembled(layer, height, width, channels):
    """Put the pieces of a result together, and see that each pixel comes once."""
    result, seen = torch.zeros(height, width, channels), torch.zeros(height, width)

    def emit(region, values):
        rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
        result[rows, columns] = values
        seen[rows, columns] += 1

    layer(emit)
    assert (seen == 1).all()
    return result.permute(2, 0, 1)[None]


@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize("layer", [(4, 6, 15, 1), (6, 6, 11, 6), (5, 3, 3, 1)])
def test_a_convolution_by_regions_is_conv2d(layer, tile):
    inputs, outputs, kernel, groups = layer
    conv = torch.nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    source, image = stored(70, 90, inputs)
    with torch.no_grad():
        found = assembled(
            lambda emit: convolve(source, conv, SpectrumCache(0), emit, tile=tile), 70, 90, outputs
        )
        torch.testing.assert_close(found, conv(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("tile", [None, 17])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_convolution_to_one_channel_is_conv2d(kernel, tile):
    conv = torch.nn.Conv2d(6, 1, kernel, padding=kernel // 2, bias=False)
    source, image = stored(40, 50, 6)
    with torch.no_grad():
        found = assembled(lambda emit: to_one_channel(source, conv, emit, tile=tile), 40, 50, 1)
        torch.testing.assert_close(found, conv(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("floats", [500, 8 * 1024 * 1024])
def test_resampling_by_regions_is_the_networks_own(monkeypatch, floats):
    monkeypatch.setattr("lkcfuse.ops.streaming.layers.NATIVE_FLOATS", floats)
    network = random_network()
    source, image = stored(20, 36, 8)
    down, up = network.downsample[0], network.upsample[0]
    with torch.no_grad():
        halved = assembled(lambda emit: downsample(source, down.conv, emit), 10, 18, 8)
        doubled = assembled(lambda emit: upsample(source, up.conv, emit), 40, 72, 8)
        bias = down.conv.bias[:, None, None], up.conv.bias[:, None, None]
        torch.testing.assert_close(halved + bias[0], down(image), rtol=0, atol=1e-5)
        torch.testing.assert_close(doubled + bias[1], up(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_image_gives_the_same_bits_whichever_thread_is_first(threads):
    network, pair, before = random_network(inner=4), random_pair(90, 120), torch.get_num_threads()
    expected = whole(network, pair)
    try:
        torch.set_num_threads(threads)
        results = [infer(network, pair) for _ in range(3)]
    finally:
        torch.set_num_threads(before)
    assert all((result == results[0]).all() for result in results)
    assert abs(results[0] - expected).max() < 1e-4


def test_spectra_are_kept_within_their_budget():
    from lkcfuse.ops.tiles import plan_tiles

    weight = torch.randn(8, 8, 15, 15)
    plan = plan_tiles(64, 64, 15, 8, 8, always=True)
    roomy, narrow = SpectrumCache(1 << 30), SpectrumCache(0)
    # Once is no reason to keep one.
    first = roomy.get(weight, plan).clone()
    assert not any(spectrum is not None for _, spectrum in roomy._kept.values())
    kept = roomy.get(weight, plan)
    assert roomy.get(weight, plan) is kept
    assert torch.equal(first, kept)
    for _ in range(3):
        assert torch.equal(narrow.get(weight, plan), kept)
        assert not any(spectrum is not None for _, spectrum in narrow._kept.values())


def test_spectra_of_other_sizes_do_not_pile_up():
    from lkcfuse.ops.tiles import plan_tiles

    weight, spectra = torch.randn(8, 8, 15, 15), SpectrumCache(1 << 30)
    plans = [plan_tiles(size, size, 15, 8, 8, always=True) for size in (40, 64, 90)]
    for plan in plans:
        spectra.get(weight, plan)
    assert len({(plan.size_y, plan.size_x) for plan in plans}) > 1
    assert len(spectra._kept) == 1


def test_spectra_follow_the_weights():
    from lkcfuse.ops.overlap_save import kernel_spectrum
    from lkcfuse.ops.tiles import plan_tiles

    conv, spectra = torch.nn.Conv2d(8, 8, 15), SpectrumCache(1 << 30)
    weight = conv.weight
    plan = plan_tiles(64, 64, 15, 8, 8, always=True)
    for factor in (1, 2, 0):
        with torch.no_grad():
            weight.mul_(factor)
            for _ in range(3):
                assert torch.equal(spectra.get(weight, plan), kernel_spectrum(weight, plan))
    assert spectra.nbytes
    # Nor are those of weights that are gone taken for those of others.
    del conv, weight
    assert not spectra.nbytes
