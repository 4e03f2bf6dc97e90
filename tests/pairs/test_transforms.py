from __future__ import annotations

import json

import numpy as np
import pytest

from lkcfuse.errors import InputError
from lkcfuse.pairs import read_transform

MATRIX = [[1.1, 0.1, 5], [-0.05, 0.9, -3], [1e-4, -2e-4, 1]]


def test_a_matrix_is_read_and_scaled(tmp_path):
    path = tmp_path / "rig.json"
    path.write_text(json.dumps({"transform": (np.array(MATRIX) * 2).tolist()}))
    np.testing.assert_allclose(np.reshape(read_transform(path), (3, 3)), MATRIX)


@pytest.mark.parametrize("count", [4, 7])
def test_points_give_the_transform_that_maps_them(tmp_path, count):
    second = np.array([[0, 0], [300, 10], [20, 200], [310, 220], [99, 88], [7, 150], [250, 99]])
    mapped = np.c_[second, np.ones(len(second))] @ np.transpose(MATRIX)
    points = np.c_[second, mapped[:, :2] / mapped[:, 2:]][:count]
    path = tmp_path / "points.json"
    path.write_text(json.dumps({"points": points.tolist()}))
    np.testing.assert_allclose(np.reshape(read_transform(path), (3, 3)), MATRIX, atol=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "{}",
        '{"transform": [[1, 0], [0, 1]]}',
        '{"transform": [[1, 0, 0], [0, 1, 0], [0, 0, 0]]}',
        '{"transform": [[1, 0, 0], [2, 0, 0], [0, 0, 1]]}',
        '{"transform": [[1, 0, 0], [0, "x", 0], [0, 0, 1]]}',
        '{"transform": [[1, 0, 0], [0, NaN, 0], [0, 0, 1]]}',
        '{"points": [[0, 0, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]]}',
        '{"points": [[0, 0, 0, 0], [1, 0, 1, 0], [2, 0, 2, 0], [3, 0, 3, 0]]}',
        '{"points": [[0, 0, 0], [1, 0, 1], [2, 0, 2], [3, 5, 3]]}',
    ],
)
def test_what_is_no_transform_is_refused_by_its_file(tmp_path, text):
    path = tmp_path / "rig.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"rig\.json.*\"points\""):
        read_transform(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"rig\.json cannot be read: No such file"):
        read_transform(tmp_path / "rig.json")
