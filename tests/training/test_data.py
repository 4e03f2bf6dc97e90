"""Pairs found, split, fingerprinted; crops drawn and varied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lkcfuse.errors import InputError
from lkcfuse.training.config import Augmentation, TrainingConfig
from lkcfuse.training.data import (
    Pair,
    PairSet,
    by_dataset,
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


def test_the_first_sub_folder_is_the_set(pair_folder: Folder) -> None:
    data = pair_folder(count=3)
    for side in ("ir", "vis"):
        for index, place in enumerate(("day", "night/late", ".")):
            (data / side / place).mkdir(parents=True, exist_ok=True)
            (data / side / f"{index}.png").rename(data / side / place / f"{index}.png")
    pairs = find_pairs(data / "ir", data / "vis", "ir-vis")
    assert {pair.name for pair in pairs} == {"day/0", "night/1", "2"}
    assert list(PairSet(pairs).datasets("ir-vis")) == ["", "day", "night"]


def in_sets(**sizes: int) -> list[Pair]:
    return [
        Pair("ir-vis", Path(f"/a/{name}/{i}.png"), Path(f"/b/{name}/{i}.png"), name)
        for name, size in sizes.items()
        for i in range(size)
    ]


def test_every_set_gives_a_tenth_to_choose_by_and_one_pair_alone_trains() -> None:
    learn, choose = split(in_sets(large=40, small=5, single=1))
    counts = {part: len(members) for part, members in by_dataset(choose).items()}
    assert counts == {"large": 4, "small": 1}
    assert len(learn) == 41
    # Two sets of a single pair each have none to spare: both parts have both.
    alone = in_sets(one=1, two=1)
    assert split(alone) == (alone, alone)


def test_sets_are_drawn_equally_often_whatever_their_size(
    pair_folder: Folder, tiny: TrainingConfig
) -> None:
    data = pair_folder(count=7)
    grey = {"large": 40, "small": 160}
    for index in range(7):
        name = "small" if index == 0 else "large"
        for side in ("ir", "vis"):
            (data / side / name).mkdir(exist_ok=True)
            (data / side / f"{index}.png").unlink()
            plane = np.full((60, 60), grey[name], np.uint8)
            cv2.imwrite(str(data / side / name / f"{index}.png"), plane)
    pairs = PairSet(find_pairs(data / "ir", data / "vis", "ir-vis"))
    plain = replace(tiny, augmentation=Augmentation(tone=0, dark=0, noise=0), crops=((48, 2),))
    drawn = [sample_batch(pairs, plain, step)[:, 0].mean((1, 2)) for step in range(60)]
    share = np.concatenate(drawn).mean() * 255
    assert share == pytest.approx(100, abs=15)


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
    # Every change of tone is monotonic: the two sources stay in step, but for levels that clipping
    # has made equal in one of them.
    first, second = (plane.ravel() for plane in varied)
    assert np.diff(second[np.lexsort((second, first))]).min() > -1e-6


@pytest.mark.parametrize("index", [0, 1])
def test_either_source_goes_dark(index: int) -> None:
    crop = np.full((2, 48, 48), 0.8, np.float32)
    darkest = [
        augment(crop, Augmentation(tone=0, dark=0.3, noise=0), np.random.default_rng(seed))[index]
        for seed in range(40)
    ]
    means = np.array([plane.mean() for plane in darkest])
    dark = means < 0.5
    assert 4 < dark.sum() < 20
    assert means[dark].min() >= 0.8 * 0.15
    assert np.allclose(means[~dark], 0.8)


def test_zoom_keeps_the_size_and_the_registration(
    pair_folder: Folder, tiny: TrainingConfig
) -> None:
    data = pair_folder(count=1)
    image = cv2.imread(str(data / "ir" / "0.png"))
    cv2.imwrite(str(data / "vis" / "0.png"), image)
    pairs = PairSet(find_pairs(data / "ir", data / "vis", "ir-vis"))
    still = Augmentation(tone=0, dark=0, noise=0, zoom=1.0)
    config = replace(tiny, augmentation=still, crops=((48, 1),))
    batches = [sample_batch(pairs, config, step) for step in range(12)]
    for batch in batches:
        assert batch.shape == (1, 2, 48, 48)
        assert torch.equal(batch[:, 0], batch[:, 1])
        assert batch.min() >= 0
        assert batch.max() <= 1
    # Enlarged pictures are smoother than reduced ones.
    rough = [batch.diff(dim=-1).abs().mean().item() for batch in batches]
    assert max(rough) > 1.5 * min(rough)


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
