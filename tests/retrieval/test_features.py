import numpy as np
import pytest
import torch

from wsreid.retrieval.features import (
    FeatureTable,
    exact_scores,
    first_equal_rows,
    pairwise_row_sum,
    root,
    row_sum,
    scale_rows,
)

from .oracle import scores


@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 15, 16, 64, 127, 128, 129, 136, 255, 300, 751, 2048, 10_001])
def test_the_order_of_additions_is_one_on_all_devices(width):
    values = np.random.default_rng(width).normal(size=(5, width)) * 10.0 ** np.random.default_rng(1).integers(
        -6, 6, width
    )
    expected = values.sum(axis=1)
    assert np.array_equal(row_sum(torch.from_numpy(values)).numpy(), expected)
    assert np.array_equal(pairwise_row_sum(torch.from_numpy(values)).numpy(), expected)
    alone = np.array([row_sum(torch.from_numpy(values[i : i + 1]))[0] for i in range(5)])
    assert np.array_equal(alone, expected)
    transposed = torch.from_numpy(np.asfortranarray(values))
    assert np.array_equal(row_sum(transposed).numpy(), expected)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("memory", [1, 2**20])
def test_exact_scores_order_as_the_naive_ones_do(metric, memory):
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(3, 20)).astype(np.float32), rng.normal(size=(11, 20)).astype(np.float32)
    tables = [FeatureTable(x, torch.device("cpu")) for x in (query, gallery)]
    squares = [torch.from_numpy((x.astype(np.float64) ** 2).sum(1)) for x in (query, gallery)]
    q, g = scale_rows(*tables, *squares, metric=metric)
    qi, gi = (torch.from_numpy(i.ravel()) for i in np.meshgrid(np.arange(3), np.arange(11), indexing="ij"))
    mine = exact_scores(q, g, qi, gi, metric=metric, memory=memory).numpy().reshape(3, 11)
    naive = scores(query, gallery, metric)
    assert np.array_equal(np.argsort(mine, axis=1), np.argsort(naive, axis=1))
    if metric == "cosine":
        np.testing.assert_array_equal(mine, naive)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_scaled_rows_are_short(metric):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(6, 4)) * 10.0 ** np.array([[-150], [-30], [0], [5], [30], [140]])
    features[1] = 0
    table = FeatureTable(features, torch.device("cpu"))
    square = torch.from_numpy((features**2).sum(1))
    for side in scale_rows(table, table, square, square, metric=metric):
        assert bool((side.square <= 1 + 1e-9).all())
        assert bool((side.scale > 0).all())
        rows = side.approximate(0, 6).double()
        np.testing.assert_allclose(rows.square().sum(1), side.square, rtol=1e-5, atol=1e-12)


def test_the_root_is_correctly_rounded_whatever_the_length():
    values = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 100
    assert np.array_equal(root(values).numpy(), np.sqrt(values.numpy()))
    assert all(root(values[i : i + 1])[0] == root(values)[i] for i in range(0, 20_000, 97))


def test_equal_rows_are_found_and_rows_of_equal_norm_are_not_taken_for_equal():
    rows = np.array([[3, 4], [1, 0], [4, 3], [3, 4], [0, 1], [4, 3], [4, 3], [9, 9]], np.float32)
    square = torch.from_numpy((rows.astype(np.float64) ** 2).sum(1))
    first = first_equal_rows(FeatureTable(rows, torch.device("cpu")), square).numpy()
    assert np.array_equal(rows[first], rows)
    assert (first <= np.arange(8)).all()
    assert (first[3], first[1], first[4], first[7]) == (0, 1, 4, 7)
