"""Damage: bits, cuts, repeats, numbers at the limits of their types, parts of other files."""

from __future__ import annotations

import random

from .seeds import INTERESTING


def mutate(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return one of some files, damaged in one to six places."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        # Headers decide most: half of the damage is there.
        reach = len(data) if rng.random() < 0.5 else min(len(data), 160)
        place = rng.randrange(reach + 1)
        kind = rng.randrange(8)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = rng.randrange(256)
        elif kind == 2:
            del data[place:]
        elif kind == 3:
            del data[place : place + rng.randint(1, 64)]
        elif kind == 4:
            part = data[place : place + rng.randint(1, 64)]
            data[place:place] = part * rng.randint(1, 40)
        elif kind in (5, 6):
            value = rng.choice(INTERESTING)
            end = place + (len(value) if rng.random() < 0.7 else 0)
            data[place:end] = value
        else:
            other = rng.choice(seeds)
            start = rng.randrange(len(other) + 1)
            data[place : place + 64] = other[start : start + rng.randint(1, 64)]
    return bytes(data)
