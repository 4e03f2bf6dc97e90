import torch
from hypothesis import given
from hypothesis import strategies as st

from lkcfuse.ops.regions import Region, cut, fill_region

NUMBERS = st.integers(-12, 24)


@given(top=NUMBERS, left=NUMBERS, height=st.integers(1, 20), width=st.integers(1, 20))
def test_a_region_is_filled_with_pixels_where_there_are_any_and_zeros_elsewhere(
    top, left, height, width
):
    image = torch.randn(10, 12, 3)
    region, bounds = Region(top, top + height, left, left + width), Region(2, 9, 1, 11)
    out = torch.full((height, width, 3), torch.nan)

    def read(inner, target):
        target.copy_(image[inner.top : inner.bottom, inner.left : inner.right])

    fill_region(region, bounds, out, read)
    wide = torch.zeros(80, 80, 3)
    inside = (
        slice(20 + bounds.top, 20 + bounds.bottom),
        slice(20 + bounds.left, 20 + bounds.right),
    )
    wide[inside] = image[bounds.top : bounds.bottom, bounds.left : bounds.right]
    expected = wide[20 + top : 20 + top + height, 20 + left : 20 + left + width]
    assert torch.equal(out, expected)


@given(rows=st.integers(1, 20), columns=st.integers(1, 20))
def test_an_image_is_cut_into_regions_that_cover_it_once(rows, columns):
    seen = torch.zeros(13, 17, dtype=torch.int64)
    for region in cut(13, 17, rows, columns):
        assert region.height <= rows
        assert region.width <= columns
        assert region.within(Region(0, 13, 0, 17)) == region
        seen[region.top : region.bottom, region.left : region.right] += 1
    assert torch.equal(seen, torch.ones_like(seen))


def test_a_moved_region_keeps_its_size():
    region = Region(1, 4, 2, 7).moved(-3, 10)
    assert region == Region(-2, 1, 12, 17)
    assert (region.height, region.width) == (3, 5)
