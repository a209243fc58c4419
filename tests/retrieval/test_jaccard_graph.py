"""The sparse graph of Jaccard distances: against loops over sets, and against re-ranking."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval import KReciprocal, jaccard_graph, rerank_distances


def features_of(seed, n, width=6, groups=3):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, width))
    return (centres[rng.integers(0, groups, n)] + 0.4 * rng.normal(size=(n, width))).astype(np.float32)


def naive(features, k1, k2):
    """Zhong et al. 2017 on one set, in sets and loops."""
    x = features.astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    n = len(x)
    d = np.round(np.maximum(2 - 2 * x @ x.T, 0) * 2.0**31) / 2.0**31
    np.fill_diagonal(d, -1)
    lists = [sorted(range(n), key=lambda j, i=i: (d[i, j], j)) for i in range(n)]
    np.fill_diagonal(d, 0)

    def mutual(i, k):
        return {j for j in lists[i][: k + 1] if i in lists[j][: k + 1]}

    v = np.zeros((n, n))
    for i in range(n):
        base = mutual(i, k1)
        whole = set(base)
        for j in base:
            near = mutual(j, round(k1 / 2))
            if 3 * len(near & base) > 2 * len(near):
                whole |= near
        scale = d[i].max() or 1.0
        for j in whole:
            v[i, j] = math.exp(-d[i, j] / scale)
        v[i] /= v[i].sum()
    v = np.stack([v[lists[i][:k2]].mean(0) for i in range(n)])
    s = np.minimum(v[:, None], v[None]).sum(2)
    return 1 - s / (2 - s)


def dense(graph):
    """All other pairs are at 1."""
    result = np.ones(graph.shape)
    row = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    result[row, graph.indices] = graph.data
    return result


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), k1=st.integers(1, 12), k2=st.integers(1, 6))
def test_is_the_loop(seed, n, k1, k2):
    features = features_of(seed, n)
    graph = jaccard_graph(features, k1, k2)
    np.testing.assert_allclose(dense(graph), np.maximum(naive(features, k1, k2), 0), atol=1e-9)
    assert (graph != graph.T).nnz == 0
    row = np.repeat(np.arange(n), np.diff(graph.indptr))
    stored = np.zeros((n, n), bool)
    stored[row, graph.indices] = True
    assert stored.diagonal().all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_agrees_with_re_ranking(metric):
    features = features_of(1, 60)
    expected = rerank_distances(features[:20], features[20:], KReciprocal(k1=8, k2=3, lam=0.0), metric=metric)
    found = dense(jaccard_graph(torch.from_numpy(features), 8, 3, metric=metric))
    np.testing.assert_allclose(found[:20, 20:], expected, atol=1e-6)


def test_pairs_beyond_the_limit_are_left_out_and_memory_changes_nothing():
    features = features_of(2, 80)
    whole = dense(jaccard_graph(features, 10, 3))
    part = jaccard_graph(features, 10, 3, below=0.6)
    assert np.array_equal(dense(part), np.where(whole <= 0.6, whole, 1))
    small = jaccard_graph(features, 10, 3, below=0.6, memory_mb=1)
    assert (small != part).nnz == 0


def test_copies_of_an_image_are_at_distance_zero_and_stored():
    features = np.repeat(features_of(3, 5), 4, axis=0)
    graph = jaccard_graph(features, 3, 1)
    assert np.allclose(dense(graph)[:4, :4], 0)
    assert graph.nnz >= 5 * 16


def test_refuses_what_cannot_be():
    with pytest.raises(ConfigError, match="k1"):
        jaccard_graph(features_of(0, 4), 0)
    with pytest.raises(ConfigError, match="below"):
        jaccard_graph(features_of(0, 4), below=2.0)
    with pytest.raises(ConfigError, match="dot"):
        jaccard_graph(features_of(0, 4), metric="dot")
    with pytest.raises(FeatureError):
        jaccard_graph(np.full((3, 2), np.nan, dtype=np.float32))
