import numpy as np
import pytest
import torch

from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.precision import full_float32
from wsreid.retrieval.products import (
    BLOCK,
    CPU_BLOCK,
    NARROW,
    block_of,
    error_bound,
    error_bound64,
    fits_float32,
    product32,
    product64,
)
from wsreid.retrieval.scores import pair_scores, scaled_rows
from wsreid.retrieval.tiles import read_tile

CPU = torch.device("cpu")


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("width", [5, 256, 1500])
def test_products_stay_within_their_bounds(metric, width):
    rng = np.random.default_rng(width)
    # all of one sign and badly scaled: the rounding errors add up
    query = (rng.random((8, width)) * 10.0 ** rng.integers(-3, 3, width)).astype(np.float32)
    gallery = (rng.random((60, width)) * 10.0 ** rng.integers(-3, 3, width)).astype(np.float32)
    q, g = FeatureTable(query, CPU), FeatureTable(gallery, CPU)
    tiles = [read_tile(t, 0, t.rows, torch.ones(t.rows, dtype=torch.bool), metric) for t in (q, g)]
    with full_float32(CPU):
        fast = product32(tiles[0].quick[:8], tiles[1].quick[:60])
    wide = product64(scaled_rows(q, torch.arange(8), metric)[0], scaled_rows(g, torch.arange(60), metric)[0])
    if metric == "euclidean":
        fast = fast.mul(2).sub(tiles[1].norms.square().float())
        wide = 2 * wide - tiles[1].norms.square()
    qi, gi = torch.meshgrid(torch.arange(8), torch.arange(60), indexing="ij")
    exact = pair_scores(q, g, qi.flatten(), gi.flatten(), metric=metric, memory=2**24).reshape(8, 60)
    longest = (1.0, 1.0) if metric == "cosine" else (tiles[0].longest, tiles[1].longest)
    bound = error_bound(width, metric, *longest, block_of(tiles[0].quick))
    assert float((fast - exact).abs().max()) <= bound <= error_bound(width, metric, *longest)
    assert float((wide - exact).abs().max()) <= error_bound64(width, metric, *longest)


def test_the_bounds_are_the_documented_ones():
    assert error_bound(2048, "cosine", 1.0, 1.0) == pytest.approx(1.6e-5, rel=0.05)
    assert error_bound(2048, "cosine", 1.0, 1.0, 64) == pytest.approx(6.1e-6, rel=0.05)
    assert all(error_bound(d, "dot", 1, 1, 64) <= error_bound(d, "dot", 1, 1) for d in (1, 64, 100, 256, 2048, 16384))


def test_only_mild_norms_fit_float32():
    assert fits_float32(torch.tensor([1e-3, 0.0, 1e3]))
    assert not fits_float32(torch.tensor([1e-12, 1.0]))
    assert not fits_float32(torch.tensor([1.0, 1e12]))
    assert not fits_float32(torch.tensor([1.0, torch.nan]))


def test_long_rows_are_added_up_in_shorter_blocks():
    widths = [NARROW, NARROW + 1, CPU_BLOCK * BLOCK, CPU_BLOCK * BLOCK + 1]
    assert [block_of(torch.empty(1, width)) for width in widths] == [CPU_BLOCK // 2, CPU_BLOCK, CPU_BLOCK, BLOCK]
