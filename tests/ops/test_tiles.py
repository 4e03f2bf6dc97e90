import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lkcfuse.ops.tiles import direct_cost, plan_tiles


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    kernel=st.sampled_from([5, 9, 11, 15]),
    inputs=st.integers(1, 160),
    outputs=st.integers(1, 128),
)
def test_tiles_cover_the_image_and_no_tile_is_idle(height, width, kernel, inputs, outputs):
    plan = plan_tiles(height, width, kernel, inputs, outputs, always=True)
    assert plan.rows * plan.step_y >= height
    assert (plan.rows - 1) * plan.step_y < height
    # the last tile of a row must not need what lies beyond the row
    assert plan.columns * plan.step_x >= width + kernel - 1
    assert (plan.columns - 1) * plan.step_x < width + kernel - 1


@pytest.mark.parametrize(
    ("size", "kernel", "channels", "by_fft"),
    [(480, 15, 128, True), (480, 15, 32, True), (8, 15, 128, False), (480, 3, 32, False)],
)
def test_the_cost_model_takes_fft_where_it_pays(size, kernel, channels, by_fft):
    plan = plan_tiles(size, size, kernel, channels, channels)
    assert (plan is not None) == by_fft
    if plan is not None:
        assert plan.cost(channels, channels) < direct_cost(size, size, kernel, channels, channels)
