"""Clusters: DBSCAN against its definition, splitting against a loop."""

import warnings
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from wsreid.inference import candidate_counts, density_clusters, split_by_candidate


def graph_of(d, eps):
    row, column = np.nonzero(d <= eps)
    return csr_array((d[row, column], (row, column)), shape=d.shape)


def naive_dbscan(d, eps, least):
    """Cores, the components of cores, and which clusters a border image may belong to."""
    near = d <= eps
    core = near.sum(1) >= least
    label = [-1] * len(d)
    clusters = 0
    for i in range(len(d)):
        if core[i] and label[i] < 0:
            open_ = [i]
            while open_:
                j = open_.pop()
                if label[j] < 0:
                    label[j] = clusters
                    open_ += [k for k in range(len(d)) if near[j, k] and core[k] and label[k] < 0]
            clusters += 1
    return label, [{label[j] for j in range(len(d)) if near[i, j] and core[j]} for i in range(len(d))], core


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), least=st.integers(1, 5))
def test_dbscan_is_its_definition(seed, least):
    rng = np.random.default_rng(seed)
    x = rng.random((rng.integers(1, 25), 2))
    d = np.sqrt(((x[:, None] - x[None]) ** 2).sum(2))
    found = density_clusters(graph_of(d, 0.2), 0.2, least)
    label, may, core = naive_dbscan(d, 0.2, least)
    for i, own in enumerate(found.tolist()):
        if core[i]:
            assert own == label[i]
        else:
            assert own in may[i] if may[i] else own == -1


def test_an_unsorted_graph_stays_as_it_is_without_a_warning():
    x = np.array([[0.0], [0.3], [0.1]])
    graph = graph_of(np.abs(x - x.T), 0.5)
    before = graph.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert density_clusters(graph, 0.5, 2).tolist() == [0, 0, 0]
    assert np.array_equal(graph.data, before.data)
    assert np.array_equal(graph.indices, before.indices)


def test_stored_zeros_are_distances():
    d = np.zeros((4, 4))
    assert density_clusters(graph_of(d, 0.6), 0.6, 4).tolist() == [0, 0, 0, 0]


def naive_split(clusters, sets):
    result, named = [-1] * len(clusters), 0
    for k in range(max(clusters, default=-1) + 1):
        left = [i for i, own in enumerate(clusters) if own == k and sets[i]]
        while left:
            count = Counter(c for i in left for c in sets[i])
            best = min(count, key=lambda c: (-count[c], c))
            members = [i for i in left if best in sets[i]]
            if len(members) > 1:
                for i in members:
                    result[i] = named
                named += 1
            left = [i for i in left if i not in members]
    return result


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 25))
def test_split_is_the_loop(seed, n):
    rng = np.random.default_rng(seed)
    clusters = rng.integers(-1, 3, n)
    sets = [set(rng.choice(5, rng.integers(0, 4), replace=False).tolist()) for _ in range(n)]
    pairs = np.array([(i, c) for i, own in enumerate(sets) for c in sorted(own)], np.int64).reshape(-1, 2)
    found = split_by_candidate(clusters, pairs[:, 0], pairs[:, 1])
    assert found.tolist() == naive_split(clusters.tolist(), sets)
    for k in range(found.max(initial=-1) + 1):
        assert set.intersection(*(sets[i] for i in np.flatnonzero(found == k)))
    keys, counts = candidate_counts(clusters, pairs[:, 0], pairs[:, 1], 5)
    expected = Counter((clusters[i], c) for i, own in enumerate(sets) for c in own if clusters[i] >= 0)
    assert {(k // 5, k % 5): m for k, m in zip(keys.tolist(), counts.tolist(), strict=True)} == dict(expected)
    assert (np.diff(keys) > 0).all()
