import numpy as np
import pytest
import torch

from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.query_block import QueryBlock
from wsreid.retrieval.thresholds import Thresholds

CPU = torch.device("cpu")


def make(metric):
    query = FeatureTable(np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32), CPU)
    thresholds = Thresholds(torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64), torch.tensor([0, 1, 3]))
    return QueryBlock(query, 0, thresholds, metric, 2**20)


def asked_in_turn(grids):
    """The zones of short rows and those of longer ones, which stay."""
    (first, small), (_, again), (second, wide), (_, after) = (grids(size) for size in (1.0, 0.9, 1e6, 1.0))
    assert again is small
    assert wide is not small
    assert after is wide
    return first, second


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_longer_rows_widen_the_zones_of_float64_scores(metric):
    block = make(metric)
    first, second = asked_in_turn(block.grid64)
    assert second > first
    assert block._zone >= 2 * second


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_longer_rows_widen_the_zones_of_float32_scores(metric):
    first, second = asked_in_turn(make(metric).grid)
    assert (second.lower < first.lower).all()
    assert (second.upper > first.upper).all()


def test_cosines_have_one_zone():
    block = make("cosine")
    bound, grid = block.grid64(1.0)
    assert 2 * bound <= block._zone < 1e-12
    assert block.grid64(1.0)[1] is grid
    assert block.grid(1.0)[1] is block.grid(7.0)[1]
