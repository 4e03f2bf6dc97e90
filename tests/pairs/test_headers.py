from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from lkcfuse.errors import InputError
from lkcfuse.pairs import PairOptions, read_pair
from lkcfuse.pairs.headers import check_headers

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def two_sizes(tmp_path):
    for name, size in (("a.png", (12, 20)), ("b.png", (30, 40))):
        PIL.Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / name)
    return tmp_path / "a.png", tmp_path / "b.png"


def test_sizes_must_agree(two_sizes):
    first, second = two_sizes
    assert check_headers(first, first) == (12, 20)
    with pytest.raises(InputError) as refused:
        read_pair(first, second)
    with pytest.raises(InputError) as checked:
        check_headers(first, second)
    assert str(checked.value) == str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        PairOptions(resize="first"),
        PairOptions(resize="second"),
        PairOptions(transform=IDENTITY),
        PairOptions(transform=IDENTITY, grid="second"),
    ],
)
def test_options_that_bring_two_sizes_together(two_sizes, options):
    assert check_headers(*two_sizes, options) == read_pair(*two_sizes, options).size


def test_a_file_that_is_missing_is_named(two_sizes):
    first, second = two_sizes
    second.unlink()
    with pytest.raises(InputError, match=r"b\.png does not exist"):
        check_headers(first, second, PairOptions(resize="first"))
