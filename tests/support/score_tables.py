"""Tables of scores to test with: a small one with what is undefined, and any there may be."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from lkcfuse.metrics import METRICS
from lkcfuse.metrics.scoring import Score
from lkcfuse.metrics.table import Table

SCORES = [
    Score("day/1", "ours", {"EN": 7.25, "SCD": math.nan, "MSE": 1487.4721679}),
    Score("day/2", "ours", {"EN": 6.25, "SCD": math.nan, "MSE": 1.0}),
    Score("day/1", "theirs", {"EN": 1.5, "SCD": 1.25, "MSE": math.inf}),
]
TABLE = Table.of(["EN", "SCD", "MSE"], SCORES)

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
VALUES = st.floats(-1e9, 1e9) | st.just(math.nan) | st.just(math.inf) | st.just(1.7e308)


@st.composite
def tables(draw):
    metrics = draw(st.lists(st.sampled_from(list(METRICS)), min_size=1, max_size=4, unique=True))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    methods = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    return Table.of(
        metrics,
        [Score(n, m, {c: draw(VALUES) for c in metrics}) for m in methods for n in names],
    )
