from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
import tifffile

from lkcfuse.images.profiles import add_profile_to_png, add_profile_to_tiff, is_rgb_profile


def test_the_header_tells_what_a_profile_is_of(rgb_profile):
    assert is_rgb_profile(rgb_profile)
    assert not is_rgb_profile(rgb_profile[:16] + b"CMYK" + rgb_profile[20:])
    assert not is_rgb_profile(rgb_profile[:18])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("padding", [b"", b"\0"])
@pytest.mark.parametrize("pages", [1, 2])
def test_a_tiff_of_either_order_keeps_all_it_has(
    tmp_path, noise, rgb_profile, order, padding, pages
):
    array = noise(pages, 7, 5, 3)
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, array, photometric="rgb", byteorder=order, description="a street")
    # OpenCV's files may end anywhere.
    encoded, profile = path.read_bytes() + padding, rgb_profile + padding
    path.write_bytes(add_profile_to_tiff(encoded, profile))
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray().reshape(array.shape), array)
        tags = file.pages[0].tags
        assert tags[34675].value == profile
        assert tags[270].value == "a street"
        assert [tag.code for tag in tags] == sorted(tag.code for tag in tags)
        assert len(file.pages) == pages
    with PIL.Image.open(path) as opened:
        np.testing.assert_array_equal(np.asarray(opened), array[0])
        assert opened.info["icc_profile"] == profile
        assert opened.n_frames == pages


def test_a_png_is_whole_with_its_profile(make_png, noise, rgb_profile):
    array = noise(7, 5, 3)
    data = add_profile_to_png(make_png(array), rgb_profile)
    with PIL.Image.open(io.BytesIO(data)) as opened:
        opened.verify()  # every chunk's checksum
    with PIL.Image.open(io.BytesIO(data)) as opened:
        np.testing.assert_array_equal(np.asarray(opened), array)
        assert opened.info["icc_profile"] == rgb_profile
