"""Convolution with products in bfloat16: close to the exact one, and for gradients alone."""

import pytest
import torch
from torch.nn.functional import conv2d

from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
from lkcfuse.ops.large_kernel import LargeKernelConv2d, use_mixed_precision
from lkcfuse.ops.mixed_precision import bfloat16_conv2d, has_fast_bfloat16

# A bfloat16 has 8 bits of precision; a sum of many rounded products is off by less than one. Where
# the processor has no instructions for them, torch's stand-in also rounds partial sums.
ROUNDING = 2**-8 if has_fast_bfloat16() else 2**-6


def layer(*, inputs=5, outputs=3, kernel=7, size=(20, 23)):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, inputs, *size, generator=generator)
    weight = torch.randn(outputs, inputs, kernel, kernel, generator=generator) / kernel
    bias = torch.randn(outputs, generator=generator)
    return [tensor.requires_grad_() for tensor in (x, weight, bias)]


def test_values_and_gradients_are_those_of_conv2d_but_for_rounding():
    leaves = layer()
    exact = conv2d(*leaves, padding=3)
    grad = torch.randn(exact.shape, generator=torch.Generator().manual_seed(4))
    expected = [exact, *torch.autograd.grad(exact, leaves, grad)]

    rounded = bfloat16_conv2d(*leaves)
    found = [rounded, *torch.autograd.grad(rounded, leaves, grad)]

    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < ROUNDING * other.norm()
    # The bias is no product: it keeps its precision, and so does its gradient.
    torch.testing.assert_close(found[3], expected[3])
    assert not torch.equal(found[0], expected[0])


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_only_the_gradients_asked_for_are_computed(wanted):
    leaves = [tensor.requires_grad_(index == wanted) for index, tensor in enumerate(layer())]
    bfloat16_conv2d(*leaves).sum().backward()
    assert [leaf.grad is not None for leaf in leaves] == [index == wanted for index in range(3)]


def test_a_convolution_without_bias_is_taken():
    x, weight, _ = layer()
    found, exact = bfloat16_conv2d(x, weight), conv2d(x, weight, padding=3)
    assert (found - exact).norm() < ROUNDING * exact.norm()


def test_what_needs_no_gradients_stays_exact():
    convolution = LargeKernelConv2d(4, 4, 15)
    x = torch.randn(1, 4, 40, 40)
    with torch.no_grad():
        before = convolution(x)
        convolution.mixed_precision = True
        assert torch.equal(convolution(x), before)
    assert not torch.equal(convolution(x), before)


def test_a_network_uses_it_where_the_processor_is_fast_at_it():
    network = LKCFUNet(NetworkConfig(inner=2))
    assert use_mixed_precision(network) == has_fast_bfloat16()
    large = [m for m in network.modules() if isinstance(m, LargeKernelConv2d)]
    assert large
    assert {m.mixed_precision for m in large} == {has_fast_bfloat16()}


def test_an_older_torch_that_tells_nothing_of_the_processor_is_taken_as_slow(monkeypatch):
    has_fast_bfloat16.cache_clear()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    try:
        assert not has_fast_bfloat16()
    finally:
        has_fast_bfloat16.cache_clear()
