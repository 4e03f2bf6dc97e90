from __future__ import annotations

import weakref

import numpy as np
import PIL.Image
import pytest
import tifffile

from lkcfuse.errors import InputError, UsageError
from lkcfuse.images import Image, ReadOptions, image_from_array, read_image
from lkcfuse.images.reading import count_pages
from lkcfuse.images.stacks import check_stack_output, write_stack


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_every_page_is_read_as_it_was(tmp_path, noise, dtype, channels):
    path = tmp_path / "new" / "stack.tif"
    arrays = [noise(9, 13, *channels) // (seed + 1) for seed in range(3)]
    if dtype == np.float32:
        arrays = [(array / 255).astype(dtype) for array in arrays]
    else:
        arrays = [array.astype(dtype) * (np.iinfo(dtype).max // 255) for array in arrays]
    write_stack(map(image_from_array, arrays), path, count=3)
    assert count_pages(path) == 3
    for number, array in enumerate(arrays, 1):
        page = read_image(path, ReadOptions(page=number))
        assert page.dtype == dtype
        # Colour goes through luma and chroma.
        tolerance = 0 if not channels else 1 if np.dtype(dtype).kind == "u" else 1e-5
        difference = page.luma_samples.astype(float) - array.astype(float)
        assert np.abs(difference).max() <= tolerance


def test_what_has_no_data_is_transparent(tmp_path, noise):
    coverage = np.full((9, 13), 255, np.uint8)
    coverage[:4] = 0
    whole = image_from_array(noise(9, 13))
    holed = Image(whole.luma_samples, None, whole.dtype, coverage=coverage)
    write_stack([whole, holed], tmp_path / "s.tif", count=2)
    assert read_image(tmp_path / "s.tif", ReadOptions(page=1)).coverage is None
    found = read_image(tmp_path / "s.tif", ReadOptions(page=2)).coverage
    np.testing.assert_array_equal(found, coverage)


def test_one_page_at_a_time_is_in_memory(tmp_path):
    alive = []

    def pages():
        for value in range(6):
            array = np.full((50, 60), value, np.uint8)
            alive.append(weakref.ref(array))
            yield image_from_array(array)
            del array
            assert sum(reference() is not None for reference in alive) <= 2

    write_stack(pages(), tmp_path / "s.tif", count=6)
    assert [int(page.mean()) for page in tifffile.imread(tmp_path / "s.tif")] == list(range(6))


def test_a_stack_that_fails_leaves_nothing(tmp_path):
    def pages():
        yield image_from_array(np.zeros((5, 6), np.uint8))
        raise InputError("page 2 is damaged")

    with pytest.raises(InputError, match="page 2"):
        write_stack(pages(), tmp_path / "s.tif", count=2)
    assert list(tmp_path.iterdir()) == []


def test_large_stacks_are_bigtiff(tmp_path):
    image = image_from_array(np.zeros((64, 64), np.uint16))
    write_stack([image], tmp_path / "large.tif", count=1 << 19)
    write_stack([image], tmp_path / "small.tif", count=1)
    kinds = [(tmp_path / f"{name}.tif").read_bytes()[:4] for name in ("large", "small")]
    assert kinds == [b"II+\0", b"II*\0"]


def test_only_tiff_holds_a_stack(tmp_path):
    check_stack_output(tmp_path / "new" / "x.tiff")
    check_stack_output(tmp_path / "x.bin", format="tif")
    with pytest.raises(UsageError, match=r"png holds one page.*\.tif"):
        check_stack_output(tmp_path / "x.png")
    (tmp_path / "x.tif").touch()
    with pytest.raises(UsageError, match="exists"):
        check_stack_output(tmp_path / "x.tif")


def test_pages_are_counted(tmp_path, noise):
    stack = noise(4, 20, 30)
    tifffile.imwrite(tmp_path / "pages.tif", stack, photometric="minisblack")
    # What tifffile makes of such an array by default: planes of RGB and something.
    tifffile.imwrite(tmp_path / "planes.tif", stack, photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "rgb.tif", stack[:3], photometric="rgb", planarconfig="separate")
    np.save(tmp_path / "stack.npy", stack)
    np.save(tmp_path / "columns.npy", np.asfortranarray(stack))
    np.save(tmp_path / "one.npy", stack[0])
    frames = [PIL.Image.fromarray(page) for page in stack]
    frames[0].save(tmp_path / "frames.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "one.png")
    counts = {path.name: count_pages(path) for path in tmp_path.iterdir()}
    assert counts == {
        "pages.tif": 4,
        "planes.tif": 4,
        "rgb.tif": 1,
        "stack.npy": 4,
        "columns.npy": 4,
        "one.npy": 1,
        "frames.gif": 4,
        "one.png": 1,
    }
    for name in ("pages.tif", "planes.tif", "stack.npy", "columns.npy"):
        for number, page in enumerate(stack, 1):
            image = read_image(tmp_path / name, ReadOptions(page=number, page_chosen=True))
            np.testing.assert_array_equal(image.luma_samples, page)
            assert image.notes == ()
    with pytest.raises(InputError, match="does not exist"):
        count_pages(tmp_path / "missing.tif")
