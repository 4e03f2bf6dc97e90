"""Brackets: more than two images of one scene, whose order does not matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from lkcfuse.errors import InputError, UsageError
from lkcfuse.images import Image
from lkcfuse.images.colour import FloatArray
from lkcfuse.pairs import Pair
from lkcfuse.tasks import Task

Progress = Callable[[float, float], None]

CLOSEST = 1e-6
"""A share is taken to be no closer than this to 0 or 1 where several sources are compared."""


def check_bracket(images: Sequence[Image], task: Task) -> None:
    """Check that images can be fused together.

    Raises:
        InputError: The sizes differ, or there are fewer than two images.
        UsageError: The task's sources have an order.
    """
    if task.ordered:
        raise UsageError(
            f"{task.name} takes two images, {task.first} and {task.second}, and got {len(images)}: "
            "several are fused by --task mef or --task mff"
        )
    if len(images) < 2:
        raise InputError(f"{len(images)} image given: a bracket has two or more")
    for image in images[1:]:
        Pair(images[0], image)


def weights_of_bracket(
    images: Sequence[Image],
    share_of_first: Callable[[Pair, Progress | None], FloatArray],
    progress: Progress | None = None,
) -> list[FloatArray]:
    """Compare every two images, and return the weight of each, (H, W), of a sum of 1.

    Args:
        images: Of one size.
        share_of_first: Gives the first one's weight beside the second's, (H, W).
        progress: Called with (done, total) as that goes on.
    """
    runs = list(combinations(range(len(images)), 2))
    shares: dict[tuple[int, int], FloatArray] = {}
    for number, (one, other) in enumerate(runs):
        told = None if progress is None else _part(progress, number, len(runs))
        shares[one, other] = share_of_first(Pair(images[one], images[other]), told)
    return shares_of_many(len(images), shares)


def shares_of_many(count: int, pairwise: dict[tuple[int, int], FloatArray]) -> list[FloatArray]:
    """Return the weights of several sources, from those of each two of them.

    The logits of a source's weights beside each other source are added up, as in a tournament, and
    the softmax of the sums over the number of sources is taken. Of two sources it is what it was.

    Args:
        count: Number of sources.
        pairwise: For every i < j the weight of source i beside source j, (H, W).
    """
    scores = [np.zeros(pairwise[0, 1].shape, np.float32) for _ in range(count)]
    for one, other in combinations(range(count), 2):
        share = np.clip(pairwise[one, other], CLOSEST, 1 - CLOSEST)
        logit = np.log(share) - np.log1p(-share)
        scores[one] += logit
        scores[other] -= logit
    highest = np.max(scores, axis=0)
    for score in scores:
        np.exp((score - highest) / np.float32(count), out=score)
    total = np.sum(scores, axis=0)
    return [score / total for score in scores]


def place_in_order(shares: Sequence[FloatArray]) -> FloatArray:
    """Return which source each pixel is of: 1 for the first, 0 for the last, (H, W).

    Of two sources it is the first one's weight; of more the mean of their places.
    """
    last = len(shares) - 1
    place = np.zeros_like(shares[0])
    for number, share in enumerate(shares):
        place += share * np.float32((last - number) / last)
    return place


def _part(progress: Progress, number: int, count: int) -> Progress:
    """Return what one run of several tells its progress to: it is put into that of all."""

    def told(done: float, total: float) -> None:
        progress(number + done / total, count)

    return told
