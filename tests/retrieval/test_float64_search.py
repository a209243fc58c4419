import numpy as np
import pytest
import torch

from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.float64_search import _first_equal, _may_reach
from wsreid.retrieval.scores import scaled_rows

from .oracle import scores

CPU = torch.device("cpu")


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_what_reaches_the_floor_is_never_passed_over_and_what_lies_far_below_is(metric):
    rng = np.random.default_rng(0)
    query, gallery = (rng.normal(size=(n, 2000)) for n in (5, 60))
    exact = scores(query, gallery, metric)
    q, _ = scaled_rows(FeatureTable(query, CPU), torch.arange(5), metric)
    g, square = scaled_rows(FeatureTable(gallery, CPU), torch.arange(60), metric)
    size = np.abs(exact).max()
    for column in range(60):
        least = torch.from_numpy(exact[:, column].copy())
        assert _may_reach(q, g, square, least, metric)[:, column].all()
        assert not _may_reach(q, g, square, least + 1e-9 * size, metric)[:, column].any()


def test_equal_rows_are_those_of_the_same_numbers():
    rows = torch.tensor([[1e-20, 0.0], [2e-20, 0.0], [1e-20, -0.0], [2e-20, 0.0]], dtype=torch.float64)
    assert _first_equal(rows).tolist() == [0, 1, 0, 1]
