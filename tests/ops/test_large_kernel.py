import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from lkcfuse.ops.large_kernel import LargeKernelConv2d, fft_conv2d, large_kernel_conv2d
from lkcfuse.ops.row_steps import spectrum_parts


def random_layer(seed, batch, inputs, outputs, height, width, kernel):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    x = draw(batch, inputs, height, width)
    weight = draw(outputs, inputs, kernel, kernel) / (kernel * inputs**0.5)
    return x, weight, draw(outputs), draw(batch, outputs, height, width)


def value_and_gradients(convolution, x, weight, bias, grad):
    leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    result = convolution(*leaves)
    result.backward(grad)
    return [result.detach(), *(leaf.grad for leaf in leaves)]


def reference(x, weight, bias):
    return conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    kernel=st.sampled_from([1, 3, 5, 9, 11, 15]),
)
def test_values_and_gradients_are_those_of_conv2d(
    seed, batch, inputs, outputs, height, width, kernel
):
    layer = random_layer(seed, batch, inputs, outputs, height, width, kernel)
    # In double precision, for the rounding of sums over many pixels is not to be ours to explain.
    expected = value_and_gradients(reference, *(part.double() for part in layer))
    for found, wanted in zip(value_and_gradients(fft_conv2d, *layer), expected, strict=True):
        scale = max(1.0, wanted.abs().max().item())
        torch.testing.assert_close(found.double(), wanted, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("layout", ["strided", "channels last", "transposed", "expanded"])
def test_any_layout_of_the_input_is_taken(layout):
    x, weight, bias, grad = random_layer(1, 2, 4, 3, 40, 40, 9)
    x = {
        "strided": x.repeat_interleave(2, 3)[..., ::2],
        "channels last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.transpose(2, 3),
        "expanded": x[:1].expand(2, -1, -1, -1),
    }[layout]
    expected = value_and_gradients(reference, x, weight, bias, grad)
    for found, wanted in zip(
        value_and_gradients(fft_conv2d, x, weight, bias, grad), expected, strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-4)


def test_only_the_gradients_asked_for_are_computed():
    x, weight, bias, grad = random_layer(2, 1, 3, 2, 20, 30, 11)
    weight.requires_grad_()
    fft_conv2d(x, weight, bias).backward(grad)
    assert weight.grad is not None
    assert x.grad is None
    assert bias.grad is None


def test_a_large_layer_over_several_chunks_is_exact(monkeypatch):
    monkeypatch.setattr("lkcfuse.ops.tiles.CHUNK_FLOATS", 100_000)
    x, weight, bias, _ = random_layer(3, 2, 6, 4, 150, 90, 15)
    torch.testing.assert_close(
        fft_conv2d(x, weight, bias), reference(x, weight, bias), rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("parts", [2, 3])
def test_four_products_give_what_three_do(monkeypatch, parts):
    monkeypatch.setattr("lkcfuse.ops.products.numpy_is_faster", lambda: False)
    monkeypatch.setattr("lkcfuse.ops.overlap_save.spectrum_parts", lambda *_: parts)
    layer = random_layer(7, 2, 5, 4, 90, 70, 15)
    expected = value_and_gradients(reference, *layer)
    for found, wanted in zip(value_and_gradients(fft_conv2d, *layer), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=2e-5 * wanted.abs().max().item())


def test_four_products_need_ones_that_add_up_and_few_channels(monkeypatch):
    monkeypatch.setattr("lkcfuse.ops.products.numpy_is_faster", lambda: False)
    assert (spectrum_parts(32, 32), spectrum_parts(128, 128)) == (2, 3)
    monkeypatch.setattr("lkcfuse.ops.products.numpy_is_faster", lambda: True)
    assert spectrum_parts(32, 32) == 3


def test_a_large_offset_does_not_cost_precision():
    x, weight, bias, _ = random_layer(4, 1, 8, 8, 64, 64, 15)
    x += 100
    expected = reference(x.double(), weight.double(), bias.double())
    ours = (fft_conv2d(x, weight, bias) - expected).abs().max()
    native = (reference(x, weight, bias) - expected).abs().max()
    assert ours < 10 * native


def test_training_follows_inference_with_the_same_buffers():
    x, weight, bias, grad = random_layer(5, 1, 3, 3, 32, 32, 15)
    with torch.inference_mode():
        before = fft_conv2d(x, weight, bias)
    weight.requires_grad_()
    after = fft_conv2d(x, weight, bias)
    after.backward(grad)
    assert torch.equal(before, after)


def test_the_layer_chooses_and_agrees_either_way():
    layer = LargeKernelConv2d(16, 16, 15)
    with torch.no_grad():
        for size in (3, 200):
            x = torch.randn(1, 16, size, size)
            expected = reference(x, layer.weight, layer.bias)
            torch.testing.assert_close(layer(x), expected, rtol=0, atol=2e-5)


def test_other_types_go_through_the_native_convolution():
    x, weight, bias, _ = random_layer(6, 1, 4, 4, 200, 200, 15)
    x, weight, bias = x.double(), weight.double(), bias.double()
    assert torch.equal(large_kernel_conv2d(x, weight, bias), reference(x, weight, bias))
