"""The term that asks for the darker source's detail."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lkcfuse.training.detail import FEWEST_PIXELS, MARGIN, lost_detail

SIDE = 60


@pytest.fixture
def texture() -> Tensor:
    return 8 * torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def test_detail_that_is_kept_costs_nothing_and_detail_that_is_covered_one(texture: Tensor) -> None:
    dark, bright = 80 + texture, torch.full_like(texture, 200.0)
    assert lost_detail(200 + texture, dark, bright).item() == pytest.approx(0, abs=0.01)
    assert lost_detail(bright, dark, bright).item() == pytest.approx(1, abs=0.01)
    assert lost_detail(200 - texture, dark, bright).item() == pytest.approx(2, abs=0.01)
    # The other way round it is the second source's.
    assert lost_detail(bright, bright, dark).item() == pytest.approx(1, abs=0.01)


def test_of_the_first_source_alone_the_seconds_detail_may_be_lost(texture: Tensor) -> None:
    dark, bright = 80 + texture, torch.full_like(texture, 200.0)
    assert lost_detail(bright, dark, bright, first_only=True).item() == pytest.approx(1, abs=0.01)
    assert lost_detail(bright, bright, dark, first_only=True).item() == 0


@pytest.mark.parametrize(
    ("dark", "bright"),
    [(80.0, 85.0), (80.0, 250.0), (5.0, 200.0)],
    ids=["hardly brighter", "nearly white", "nearly black"],
)
def test_where_nothing_is_covered_nothing_is_lost(
    texture: Tensor, dark: float, bright: float
) -> None:
    covered = torch.full_like(texture, dark), torch.full_like(texture, bright)
    assert lost_detail(texture, *covered).item() == 0


def test_too_few_pixels_do_not_count(texture: Tensor) -> None:
    dark, bright = 80 + texture, torch.full_like(texture, 60.0)
    inside = slice(MARGIN, SIDE - MARGIN)
    one_row = bright.clone()
    one_row[..., MARGIN, inside] = 200
    assert SIDE - 2 * MARGIN < FEWEST_PIXELS
    assert lost_detail(dark, dark, one_row).item() == pytest.approx(
        lost_detail(dark, dark, bright).item(), abs=0.05
    )
