from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from allocations import traced_peak
from hypothesis import given
from hypothesis import strategies as st

from lkcfuse.images import Image, image_from_array, image_to_array, read_image, samples
from lkcfuse.images.samples import is_grey, row_bands, swap_red_and_blue


@given(st.integers(1, 3000), st.integers(1, 1_000_000))
def test_bands_cover_every_row_once(height, width):
    rows = [row for band in row_bands(height, width) for row in range(height)[band]]
    assert rows == list(range(height))


@pytest.mark.parametrize("turn", [lambda a: a, lambda a: a[:, ::-1], lambda a: a.swapaxes(0, 1)])
def test_the_layout_in_memory_changes_no_value(noise, turn):
    array = turn(noise(31, 57, 3))
    image, copied = image_from_array(array), image_from_array(array.copy())
    np.testing.assert_array_equal(image.luma, copied.luma)
    np.testing.assert_array_equal(image.chroma, copied.chroma)


def test_grey_means_equal_to_the_last_pixel(noise, monkeypatch):
    monkeypatch.setattr(samples, "_BAND_PIXELS", 20)
    array = np.dstack([noise(9, 7)] * 3)
    assert is_grey(array)
    array[-1, -1, 2] ^= 1
    assert not is_grey(array)


def test_red_and_blue_change_places(noise, monkeypatch):
    monkeypatch.setattr(samples, "_BAND_PIXELS", 20)
    array = noise(9, 7, 4)
    swapped = array.copy()
    swap_red_and_blue(swapped)
    np.testing.assert_array_equal(swapped, array[..., [2, 1, 0, 3]])


HEIGHT, WIDTH = 1536, 2048


@pytest.fixture
def narrow_bands(monkeypatch):
    """Make what the bands take negligible beside an image."""
    monkeypatch.setattr(samples, "_BAND_PIXELS", 1 << 14)


@pytest.mark.usefixtures("narrow_bands")
class TestMemory:
    """Bytes for each pixel, beyond what was there before: those of the result and no others."""

    spare = 0.5

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_merging_takes_no_more_than_its_result(self, noise, dtype):
        luma = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
        fused = Image(luma, noise(HEIGHT, WIDTH, 3), np.dtype(dtype))
        with traced_peak() as peak:
            image_to_array(fused)
            assert peak() / luma.size < 3 * np.dtype(dtype).itemsize + self.spare

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_luma_takes_no_more_than_its_plane(self, noise, channels, dtype):
        array = noise(HEIGHT, WIDTH, channels, dtype=dtype).squeeze()
        plane = np.empty((HEIGHT, WIDTH), np.float32)
        with traced_peak() as peak:
            image_from_array(array).copy_luma(plane)
            assert peak() / plane.size < self.spare

    @pytest.mark.parametrize("channels", [1, 3])
    def test_reading_takes_no_more_than_the_samples(self, noise, channels, tmp_path):
        array = noise(HEIGHT, WIDTH, channels).squeeze()
        path = tmp_path / "x.png"
        PIL.Image.fromarray(array).save(path, compress_level=0)
        with traced_peak() as peak:
            image = read_image(path)
            assert peak() / (HEIGHT * WIDTH) < channels + self.spare
        np.testing.assert_array_equal(image_to_array(image), array)
