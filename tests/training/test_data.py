"""Pairs found, split, fingerprinted; crops drawn and varied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lkcfuse.errors import InputError
from lkcfuse.training.config import Augmentation, TrainingConfig
from lkcfuse.training.data import (
    Pair,
    PairSet,
    find_pairs,
    find_task_pairs,
    fingerprint,
    split,
)
from lkcfuse.training.sampling import augment, sample_batch, sample_quarter

Folder = Callable[..., Path]


def test_pairs_are_found_by_stem_in_any_of_the_layouts(pair_folder: Folder) -> None:
    data = pair_folder(count=3)
    pairs = find_task_pairs(data, "ir-vis", "train")
    assert pairs is not None
    assert [pair.first.name for pair in pairs] == ["0.png", "1.png", "2.png"]
    assert all(pair.second.parent.name == "vis" for pair in pairs)
    assert find_task_pairs(data, "ir-vis", "val") is None
    nested = pair_folder("more/mri-ct/val", 2, names=("mri", "ct")).parent.parent
    assert len(find_task_pairs(nested, "mri-ct", "val") or []) == 2


def test_sub_folders_count_and_hidden_files_do_not(pair_folder: Folder) -> None:
    data = pair_folder(count=2)
    for name in ("ir", "vis"):
        (data / name / "night").mkdir()
        (data / name / "1.png").rename(data / name / "night" / "0.png")
        (data / name / "._0.png").write_bytes(b"of a Mac")
    pairs = find_pairs(data / "ir", data / "vis", "ir-vis")
    with pytest.raises(InputError, match="the same folder"):
        find_pairs(data / "ir", data / "vis" / ".." / "ir", "ir-vis")
    stems = [pair.first.relative_to(data / "ir").as_posix() for pair in pairs]
    assert stems == ["0.png", "night/0.png"]


def test_an_image_without_partner_is_named(pair_folder: Folder) -> None:
    data = pair_folder(count=2)
    (data / "vis" / "1.png").rename(data / "vis" / "x.png")
    with pytest.raises(InputError, match=r"ir/1\.png has no partner"):
        find_pairs(data / "ir", data / "vis", "ir-vis")


def test_two_sizes_are_named(pair_folder: Folder) -> None:
    data = pair_folder(count=1)
    cv2.imwrite(str(data / "vis" / "0.png"), np.zeros((10, 12), np.uint8))
    pairs = PairSet(find_pairs(data / "ir", data / "vis", "ir-vis"))
    with pytest.raises(InputError, match="12x10"):
        pairs.load(pairs.pairs[0])


def test_loading_gives_the_luma_of_the_files(pair_folder: Folder) -> None:
    data = pair_folder(count=1)
    pairs = PairSet(find_pairs(data / "ir", data / "vis", "ir-vis"))
    loaded = pairs.load(pairs.pairs[0])
    first = cv2.imread(str(data / "ir" / "0.png"), cv2.IMREAD_GRAYSCALE)
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(np.rint(loaded[0] * 255), first)
    np.testing.assert_array_equal(pairs.load_crop(pairs.pairs[0], 5, 7, 20), loaded[:, 5:25, 7:27])


def test_a_tenth_is_kept_aside_whatever_the_folder() -> None:
    pairs = [Pair("ir-vis", Path(f"/a/{i}.png"), Path(f"/b/{i}.png")) for i in range(40)]
    moved = [Pair("ir-vis", Path(f"/c/{i}.png"), Path(f"/d/{i}.png")) for i in range(40)]
    learn, choose = split(pairs)
    assert (len(learn), len(choose)) == (36, 4)
    assert not set(learn) & set(choose)
    assert {p.first.stem for p in split(moved)[1]} == {p.first.stem for p in choose}


def test_the_fingerprint_sees_every_byte_and_no_folder(pair_folder: Folder) -> None:
    one, two = pair_folder("one", 2), pair_folder("two", 2)
    prints = [fingerprint(find_pairs(d / "ir", d / "vis", "ir-vis")) for d in (one, two)]
    assert prints[0] == prints[1]
    with (two / "vis" / "1.png").open("ab") as file:
        file.write(b"x")
    assert fingerprint(find_pairs(two / "ir", two / "vis", "ir-vis")) != prints[0]


def test_a_step_always_draws_the_same_batch(pair_folder: Folder, tiny: TrainingConfig) -> None:
    data = pair_folder()
    pairs = PairSet(find_pairs(data / "ir", data / "vis", "ir-vis"))
    batches = [sample_batch(pairs, tiny, step) for step in (3, 4, 3)]
    assert (batches[0] == batches[2]).all()
    assert batches[0].shape != batches[1].shape or not (batches[0] == batches[1]).all()
    assert {tuple(sample_batch(pairs, tiny, step).shape) for step in range(12)} == {
        (2, 2, 48, 48),
        (1, 2, 56, 56),
    }


def test_channel_0_is_the_second_source(pair_folder: Folder, tiny: TrainingConfig) -> None:
    data = pair_folder(count=2)
    for index in range(2):
        cv2.imwrite(str(data / "vis" / f"{index}.png"), np.full((72, 80), 200, np.uint8))
    pairs = PairSet(find_pairs(data / "ir", data / "vis", "ir-vis"))
    plain = replace(tiny, augmentation=Augmentation(tone=0, dark=0, noise=0))
    batch = sample_batch(pairs, plain, 0)
    assert batch[:, 0].mul(255).round().eq(200).all()
    assert batch[:, 1].std() > 0.05


def test_crops_larger_than_an_image_are_cut_down(pair_folder: Folder, tiny: TrainingConfig) -> None:
    data = pair_folder()
    pairs = PairSet(find_pairs(data / "ir", data / "vis", "ir-vis"))
    assert sample_batch(pairs, replace(tiny, crops=((500, 1),)), 0).shape == (1, 2, 72, 72)


@pytest.mark.parametrize("seed", range(20))
def test_augmentation_keeps_the_range_and_the_registration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plane = rng.random((64, 64), dtype=np.float32)
    crop = np.stack([plane, plane])
    varied = augment(crop, Augmentation(tone=1, strength=1, dark=0.5, noise=0), rng)
    assert varied.dtype == np.float32
    assert varied.min() >= 0
    assert varied.max() <= 1
    # Every change of tone is monotonic: the two sources stay in step, unless clipped.
    inside = (varied > 0).all(axis=0) & (varied < 1).all(axis=0)
    first, second = (plane[inside] for plane in varied)
    assert np.diff(second[np.argsort(first, kind="stable")]).min(initial=0) > -1e-6


def test_black_stays_black() -> None:
    crop = np.zeros((2, 48, 48), np.float32)
    for seed in range(20):
        varied = augment(crop, Augmentation(tone=1, noise=0), np.random.default_rng(seed))
        assert varied.max() == 0


def test_a_quarter_lies_in_its_crop_and_is_the_central_one_half_of_the_time() -> None:
    quarters = [sample_quarter(3, step, 96) for step in range(200)]
    central = (slice(24, 72), slice(24, 72))
    assert 70 < sum(quarter == central for quarter in quarters) < 130
    for part in {part for quarter in quarters for part in ((q.start, q.stop) for q in quarter)}:
        assert part[1] - part[0] == 48
        assert 0 <= part[0] <= 48
    assert quarters == [sample_quarter(3, step, 96) for step in range(200)]
