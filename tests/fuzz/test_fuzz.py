"""Damaged files end in a result or in an error of ours: what once fell daily, new ones slowly."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

# Relative imports need a package, which pytest does not make of a folder of tests.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.fuzzing import Child, fuzz
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import SEEDS

# A checkpoint takes a third of a second to be read and refused.
CASES = {"checkpoint": 400}

REPRODUCTIONS = sorted((Path(__file__).parent / "reproductions").glob("*.bin"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", SEEDS)
def test_damaged_files_end_in_an_error_of_ours(kind):
    found = fuzz(kind, CASES.get(kind, 2000))
    assert not found, [(finding.what, finding.data) for finding in found]


@pytest.mark.parametrize("path", REPRODUCTIONS, ids=lambda path: path.stem)
def test_what_once_fell_does_so_no_more(path, tmp_path):
    kind = path.name.split("-")[0]
    with Child(kind, SEEDS[kind](tmp_path)[0]) as child:
        assert child.run(path.read_bytes()) is None


def test_what_falls_is_found():
    """A kind that nothing reads falls at once: the child, its answers and its end are seen."""
    with (
        pytest.raises(RuntimeError, match="does not start"),
        Child("absent", b"") as child,
    ):
        child.run(b"")


def test_the_same_seed_makes_the_same_damage():
    seeds = [bytes(range(200)), b"abc" * 50]
    first, second = (
        [mutate(rng, seeds) for _ in range(50)] for rng in (random.Random(3), random.Random(3))
    )
    assert first == second
    assert sum(data not in seeds for data in first) > 25
