import pytest

from lkcfuse.architectures.lkc_funet import NetworkConfig
from lkcfuse.architectures.lkc_funet.memory import map_memory
from lkcfuse.errors import ResourceError
from lkcfuse.inference.plan import make_plan

COMPACT = map_memory(NetworkConfig(inner=8))
FULL = map_memory(NetworkConfig(inner=32))
GB = 10**9


def test_a_small_image_is_kept_in_memory():
    plan = make_plan(COMPACT, 480, 640, limit=2 * GB)
    assert not plan.tiled
    assert plan.scratch == 0
    assert plan.memory < 1 * GB


def test_the_finest_maps_go_to_disk_first():
    plan = make_plan(COMPACT, 4000, 6000, limit=4 * GB)
    assert plan.scratch_levels == (True, False, False)
    assert plan.memory <= 4 * GB
    # two and a half maps of 32 channels in float32
    assert plan.scratch == 2.5 * 32 * 4000 * 6000 * 4


def test_half_precision_scratch_takes_half():
    full = make_plan(COMPACT, 4000, 6000, limit=2 * GB)
    half = make_plan(COMPACT, 4000, 6000, limit=2 * GB, scratch_itemsize=2)
    assert half.scratch * 2 == full.scratch


def test_less_memory_never_plans_for_more():
    plans = [make_plan(FULL, 1080, 1920, limit=int(limit * GB)) for limit in (16, 8, 4, 3)]
    memory = [plan.memory for plan in plans]
    assert memory == sorted(memory, reverse=True)
    assert all(plan.memory <= limit * GB for plan, limit in zip(plans, (16, 8, 4, 3), strict=True))


def test_a_tile_asked_for_is_kept_to():
    assert make_plan(COMPACT, 480, 640, limit=8 * GB, tile=64).tile == 64


def test_too_little_memory_is_told_with_what_helps():
    with pytest.raises(ResourceError, match="--memory"):
        make_plan(FULL, 480, 640, limit=10_000_000)
    with pytest.raises(ResourceError, match="--tile auto"):
        make_plan(FULL, 4000, 6000, limit=8 * GB, whole=True)


def test_an_image_of_one_pixel_has_a_plan():
    plan = make_plan(FULL, 1, 1, limit=4 * GB)
    assert (plan.height, plan.width) == (4, 4)
