import math

import numpy as np
import pytest
import torch

from lkcfuse.ops import products
from lkcfuse.ops.column_steps import fold_down, make_groups, unfold_up
from lkcfuse.ops.tiles import plan_tiles

SIZE, COLUMNS = 22, 300


@pytest.fixture(params=["torch", "numpy"], autouse=True)
def library(request, monkeypatch):
    monkeypatch.setattr(products, "numpy_is_faster", lambda: request.param == "numpy")


def waves(points):
    """exp(-2 pi i (k + 1/2) place / SIZE), places counted from the middle."""
    places = np.arange(points) - (points - 1) / 2
    return np.exp(-2j * math.pi / SIZE * np.outer(np.arange(SIZE // 2) + 0.5, places))


@pytest.mark.parametrize("points", [SIZE, 10])
def test_rows_are_transformed_down_the_columns(points):
    rows = torch.randn(points, COLUMNS)
    expected = waves(points) @ rows.double().numpy()
    spectrum = torch.empty(2, SIZE // 2, COLUMNS)
    fold_down(rows.clone(), spectrum[0], spectrum[1])
    np.testing.assert_allclose(spectrum[0], expected.real, atol=1e-5)
    np.testing.assert_allclose(spectrum[1], expected.imag, atol=1e-5)


@pytest.mark.parametrize("points", [10, 15])
def test_a_spectrum_is_transformed_up_the_columns(points):
    real, imag = torch.randn(2, SIZE // 2, COLUMNS)
    out = torch.empty(points, COLUMNS)
    unfold_up(real, imag, 7, out)
    spectrum = real.double().numpy() + 1j * imag.double().numpy()
    expected = 2 / (SIZE * 7) * (waves(points).conj().T @ spectrum).real
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_groups_share_the_rows_of_tiles_out():
    plan = plan_tiles(2000, 300, 15, 32, 32, always=True)
    lines = [(image, row) for image in range(2) for row in range(plan.rows)]
    groups = make_groups(lines, plan, 32)
    assert [line for group in groups for line in group.lines] == lines
    counts = [len(group.lines) for group in groups]
    assert len(counts) > 1
    assert max(counts) - min(counts) <= 1


def test_results_take_the_place_of_what_they_are_made_of():
    plan = plan_tiles(100, 120, 15, 6, 4, always=True)
    (group,) = make_groups([(0, row) for row in range(plan.rows)], plan, 6)
    for channels, points in ((6, plan.size_x), (4, plan.step_x)):
        tiles = group.as_tiles(points, channels)
        assert tiles.shape == (plan.frequencies_y, 2 * group.tiles, points, channels)
        for line in range(plan.rows):
            for part, values in enumerate(group.parts(line, channels)):
                values.copy_(torch.randn_like(values))
                pixels = values.view(plan.frequencies_y, plan.padded_width, channels)
                for column in range(plan.columns):
                    left = column * plan.step_x
                    tile = tiles[:, part * group.tiles + line * plan.columns + column]
                    inside = pixels[:, left : left + points]
                    assert np.array_equal(tile[:, : inside.shape[1]], inside)
    group.end_rows(6)
    last = group.as_tiles(plan.size_x, 6)[:, -1, plan.step_x :]
    assert not last.any()
