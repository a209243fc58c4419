import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.retrieval import exact_search
from wsreid.retrieval.exact_search import nearest, search_error
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.junk import Pairs

from .oracle import scores
from .problems import KINDS, make_problem

CPU = torch.device("cpu")
METRICS = ("cosine", "dot", "euclidean")


def sorted_lists(s, rows, k, junk=()):
    """Each query's rows by score, ties by row, in a loop."""
    lists = np.full((len(s), k), -1)
    for i, mine in enumerate(s):
        order = sorted((j for j in rows if (i, j) not in junk), key=lambda j: (-mine[j], j))[:k]
        lists[i, : len(order)] = order
    return lists


def search(p, rows, k, metric, memory=2**28, pairs=None):
    return nearest(
        FeatureTable(p.query, CPU), FeatureTable(p.gallery, CPU), rows, k, metric=metric, memory=memory, pairs=pairs
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from(KINDS),
    metric=st.sampled_from(METRICS),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    k=st.integers(1, 12),
    memory=st.sampled_from([2**13, 2**15, 2**28]),
)
def test_lists_are_those_of_a_full_sort(seed, kind, metric, dtype, k, memory):
    p = make_problem(seed, images=120, width=5, kind=kind, dtype=dtype)
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(120) < 0.8)
    pairs = sorted({(int(q), int(g)) for q, g in zip(rng.integers(0, 7, 30), rng.integers(0, 120, 30), strict=True)})
    query, gallery = np.array(pairs).T
    junk = rng.random(len(pairs)) < 0.7
    lists, found = search(p, rows, k, metric, memory, Pairs(query, gallery, junk))
    s = scores(p.query, p.gallery, metric)
    taken = {pair for pair, is_junk in zip(pairs, junk, strict=True) if is_junk}
    assert np.array_equal(lists, sorted_lists(s, rows, k, taken))
    assert np.array_equal(found, np.take_along_axis(s, lists, axis=1))


@pytest.mark.parametrize("metric", METRICS)
def test_near_duplicates_at_the_edge_do_not_depend_on_tiles_or_order(metric, caplog):
    rng = np.random.default_rng(0)
    gallery = np.repeat(rng.normal(size=(3, 300)), 200, axis=0) + 1e-9 * rng.normal(size=(600, 300))
    query = rng.normal(size=(4, 300))
    s = scores(query, gallery, metric)
    p = make_problem(queries=4, images=600, width=300)
    p.query, p.gallery = query, gallery
    with caplog.at_level(logging.DEBUG, logger="wsreid"):
        lists = search(p, np.arange(600), 20, metric)[0]
    assert "float64 search" in caplog.text  # else the case is not the hard one
    assert np.array_equal(lists, sorted_lists(s, range(600), 20))
    assert np.array_equal(search(p, np.arange(600), 20, metric, memory=2**20)[0], lists)


def test_a_constant_gallery_is_listed_in_its_own_order():
    p = make_problem(images=3000, width=40, kind="constant")
    lists, found = search(p, np.arange(0, 3000, 2), 30, "cosine", memory=2**18)
    assert np.array_equal(lists, np.tile(np.arange(0, 60, 2), (7, 1)))
    assert (found == found[0, 0]).all()


@pytest.mark.parametrize("size", [1e-20, 1e20])
@pytest.mark.parametrize("metric", METRICS)
def test_features_beyond_the_squares_of_float32(metric, size):
    p = make_problem(images=200, width=6, dtype=np.float64)
    p.query, p.gallery = p.query * size, p.gallery * size
    assert np.array_equal(
        search(p, np.arange(200), 5, metric)[0], sorted_lists(scores(p.query, p.gallery, metric), range(200), 5)
    )


@pytest.mark.parametrize("metric", METRICS)
def test_a_list_shorter_than_k_is_filled(metric):
    p = make_problem(images=4)
    lists, found = search(p, np.array([1, 3]), 5, metric)
    assert (np.sort(lists[:, :2]) == [1, 3]).all()
    assert (lists[:, 2:] == -1).all()
    assert np.isneginf(found[:, 2:]).all()
    assert (search(p, np.array([], dtype=np.int64), 5, metric)[0] == -1).all()


@pytest.mark.parametrize("metric", METRICS)
def test_the_error_bound_holds(metric):
    rng = np.random.default_rng(1)
    q, g = (torch.from_numpy(rng.normal(size=(n, 2000)).astype(np.float32)) for n in (50, 400))
    q, g = q / q.norm(dim=1, keepdim=True), g / g.norm(dim=1, keepdim=True)
    s = scores(q.numpy(), g.numpy(), "euclidean" if metric == "euclidean" else "dot")
    if metric == "euclidean":
        s = s - (q.numpy().astype(float) ** 2).sum(1, keepdims=True)
    value, column = exact_search._tile_best(q, g, 400, metric)
    off = np.abs(np.take_along_axis(s, column.numpy(), axis=1) - value.numpy().astype(float)).max()
    bound = search_error(2000, metric, q.double().norm(dim=1)).max().item()
    assert 0 < off <= bound < 1e-3


@pytest.mark.parametrize("metric", METRICS)
def test_without_faiss_torch_finds_the_same_and_says_so(metric, monkeypatch, caplog):
    p = make_problem(images=500, width=20)
    with_faiss = search(p, np.arange(500), 9, metric)
    monkeypatch.setattr(exact_search, "faiss_or_none", lambda: None)
    exact_search._warn_without_faiss.cache_clear()
    try:
        without = search(p, np.arange(500), 9, metric, memory=2**16)
    finally:
        exact_search._warn_without_faiss.cache_clear()
    assert all(np.array_equal(a, b) for a, b in zip(with_faiss, without, strict=True))
    assert "pip install faiss-cpu" in caplog.text


@pytest.mark.parametrize("kind", ["random", "near", "constant"])
def test_tiles_without_a_row_that_may_be_listed_are_passed_over(kind):
    p = make_problem(1, images=120, width=5, kind=kind)
    rows = np.arange(100, 120)
    lists, _ = search(p, rows, 4, "cosine", 2**13)  # tiles of 40 rows, of 12 where float64 decides
    assert np.array_equal(lists, sorted_lists(scores(p.query, p.gallery, "cosine"), rows, 4))
