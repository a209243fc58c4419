import numpy as np
import pytest
import torch

from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.tiles import distinct_rows, read_tile

CPU = torch.device("cpu")


def tile_of(rows, metric="cosine", known=None):
    known = torch.ones(len(rows), dtype=torch.bool) if known is None else torch.from_numpy(known)
    return read_tile(FeatureTable(rows, CPU), 0, len(rows), known, metric)


def test_equal_rows_are_found_and_rows_of_equal_norm_are_not_taken_for_equal():
    rows = np.array([[3, 4], [1, 0], [4, 3], [3, 4], [0, 1], [4, 3], [4, 3], [9, 9]], np.float32)
    place, times = distinct_rows(tile_of(rows))
    assert dict(zip(map(tuple, rows[place].tolist()), times.tolist(), strict=True)) == {
        (3, 4): 2,
        (1, 0): 1,
        (4, 3): 3,
        (0, 1): 1,
        (9, 9): 1,
    }


def test_rows_that_do_not_count_are_left_out():
    rows = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    known = np.arange(11) != 4
    tile = tile_of(rows, known=known)
    assert tile.index.tolist() == [i for i in range(11) if i != 4]
    assert tile.quick.shape == (10, 3)
    np.testing.assert_allclose(tile.quick.norm(dim=1), 1, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-15, 1e15])
def test_float32_is_not_tried_where_it_would_lose_digits(factor):
    rows = np.ones((3, 2), np.float32) * np.float32(factor)
    assert tile_of(rows, "dot").quick is None
    assert tile_of(rows, "euclidean").quick is None
    np.testing.assert_allclose(tile_of(rows, "cosine").quick, np.full((3, 2), 0.5**0.5), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_numbers_that_cannot_be_ranked_are_noticed(value):
    rows = np.ones((3, 2))
    assert tile_of(rows).finite
    rows[1, 1] = value
    assert not tile_of(rows).finite
