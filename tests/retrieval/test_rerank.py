import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.distance_ranks import counts_of_distances
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.junk import same_identity_pairs
from wsreid.retrieval.metrics import query_figures
from wsreid.retrieval.rerank import memory_needed, rerank_distances, reranked_distances
from wsreid.retrieval.rerank_settings import KReciprocal

from .oracle import SHARE, naive_figures, scores
from .problems import KINDS, make_problem
from .test_evaluate import CONFORMANCE, VECTORS

CPU = torch.device("cpu")
BENCHMARK = Path(__file__).parents[2] / "experiments" / "benchmarks" / "rerank.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_rerank", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def squared_distances(query, gallery, metric):
    """All with all, on the grid that the neighbours are ordered by; -1 on the diagonal."""
    x = np.concatenate([np.asarray(query, dtype=np.float64), np.asarray(gallery, dtype=np.float64)])
    if metric == "cosine":
        d = 2 - 2 * scores(x, x, "cosine")
    else:
        square = (x * x).sum(1)
        d = square[:, None] - scores(x, x, "euclidean")
        d /= 4.0 ** np.frexp(np.sqrt(square.max()))[1]
    d = np.maximum(np.rint(d * 2.0**31), 0) / 2.0**31
    np.fill_diagonal(d, -1)
    return d


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_agrees_with_the_public_program(path):
    f = np.load(path)
    d = rerank_distances(f["query"], f["gallery"])
    np.testing.assert_allclose(d, f["rerank_dist"], atol=1e-5)
    pairs = same_identity_pairs(f["q_pid"], f["g_pid"], f["q_cam"], f["g_cam"])
    ranks, _ = counts_of_distances([(0, len(d), d)], pairs, f["g_pid"] != -1, share=0.5)
    kept = [r for r in ranks if len(r)]
    cmc, _ = naive_figures(kept, 50)
    np.testing.assert_allclose(cmc.mean(0), f["rerank_cmc"], atol=1e-5)
    np.testing.assert_allclose(query_figures(kept).ap_step.mean(), f["rerank_map"], atol=1e-5)


def test_conformance_vectors_are_there():
    assert VECTORS, f"no retrieval_*.npz in {CONFORMANCE}"


@example(seed=0, kind="small whole numbers", metric="cosine", dtype=np.float16, width=1, k1=13, k2=1, lam=0.0)  # zeros
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    metric=st.sampled_from(("cosine", "euclidean")),
    dtype=st.sampled_from((np.float16, np.float32, np.float64)),
    width=st.sampled_from((1, 9, 130)),
    k1=st.integers(1, 60),
    k2=st.integers(1, 9),
    lam=st.sampled_from((0.0, 0.3, 1.0)),
)
def test_is_the_dense_formula(benchmark, seed, kind, metric, dtype, width, k1, k2, lam):
    p = make_problem(seed, kind=kind, width=width, dtype=dtype)
    options = KReciprocal(k1, k2, lam)
    mine = rerank_distances(p.query, p.gallery, options, metric=metric)
    expected = benchmark.dense_distances(squared_distances(p.query, p.gallery, metric), len(p.query), options)
    np.testing.assert_allclose(mine, expected, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    metric=st.sampled_from(("cosine", "euclidean")),
    side=st.integers(1, 50),
    memory=st.integers(10**3, 10**6),
    top=st.sampled_from((None, 1, 5)),
)
def test_not_a_bit_depends_on_tiles(seed, kind, metric, side, memory, top):
    from wsreid.retrieval.distances import Distances

    p = make_problem(seed, kind=kind, width=130)
    tables = FeatureTable(p.query, CPU), FeatureTable(p.gallery, CPU)
    options = KReciprocal(6, 3, 0.3, top=top)
    whole = np.concatenate([b for *_, b in reranked_distances(*tables, options, metric=metric, memory=2**26)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Distances, "side", property(lambda _: side))
        tiled = list(reranked_distances(*tables, options, metric=metric, memory=memory))
    assert [start for start, *_ in tiled] == [0, *(stop for _, stop, _ in tiled[:-1])]
    assert np.array_equal(np.concatenate([b for *_, b in tiled]), whole)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["random", "duplicated"])
def test_top_is_the_graph_of_the_first_images_alone(benchmark, metric, kind):
    p = make_problem(4, images=60, kind=kind)
    options = KReciprocal(5, 3, 0.4, top=2)
    n, d = len(p.query), squared_distances(p.query, p.gallery, metric)
    first = np.argsort(d[:n, n:], axis=1, kind="stable")[:, :2]
    chosen = np.unique(first)
    assert len(chosen) < 20
    nodes = np.concatenate([np.arange(n), n + chosen])
    jaccard = np.ones((n, len(p.gallery)))
    jaccard[:, chosen] = benchmark.dense_distances(d[np.ix_(nodes, nodes)], n, KReciprocal(5, 3, 0.0))
    expected = 0.6 * jaccard + 0.4 * d[:n, n:] / d[:n].max(axis=1, keepdims=True)
    np.testing.assert_allclose(rerank_distances(p.query, p.gallery, options, metric=metric), expected, atol=1e-6)


@pytest.mark.parametrize("top", [40, 41, 10**6])
def test_a_top_of_the_whole_gallery_is_none(top):
    p = make_problem(1)
    expected = rerank_distances(p.query, p.gallery, KReciprocal(6, 3))
    assert np.array_equal(rerank_distances(p.query, p.gallery, KReciprocal(6, 3, top=top)), expected)


def test_threads_change_nothing():
    p = make_problem(2, queries=30, images=200, width=300, kind="near")
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(rerank_distances(p.query, p.gallery, KReciprocal(8, 3)))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*found)


def test_a_collapsed_network_ties_everything():
    one = np.ones((30, 8), np.float32)
    with np.errstate(all="raise"):
        assert np.isfinite(rerank_distances(one[:4], one, KReciprocal(5, 2))).all()
        only_distance = rerank_distances(one[:4], one, KReciprocal(5, 2, lam=1.0))
    assert (only_distance == 0).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), ties=st.sampled_from(tuple(SHARE)), cut=st.integers(0, 7))
def test_ranks_of_distances_are_the_definition(seed, ties, cut):
    p = make_problem(seed)
    d = np.random.default_rng(seed).integers(0, 6, (7, 40)).astype(np.float32)
    pairs = same_identity_pairs(p.q_pid, p.g_pid, p.q_cam, p.g_cam)
    blocks = [(a, b, d[a:b]) for a, b in ((0, cut), (cut, 7)) if b > a]
    ranks, tied = counts_of_distances(blocks, pairs, p.g_pid != -1, share=SHARE[ties])
    expected_tied = 0
    assert len(ranks) == 7
    for i in range(7):
        same = p.g_pid == p.q_pid[i]
        junk = same & (p.q_cam[i] == p.g_cam) & (p.q_cam[i] != -1)
        known = p.g_pid != -1
        match, bad = sorted(d[i, same & ~junk & known]), d[i, ~same & known]
        steps = sorted((bad < x).sum() + SHARE[ties] * (bad == x).sum() for x in match)
        assert ranks[i].tolist() == [n + x for n, x in enumerate(steps)]
        expected_tied += sum((bad == x).any() for x in match)
    assert tied == expected_tied


@pytest.mark.parametrize(
    "wrong", [{"k1": 0}, {"k2": 0}, {"top": 0}, {"lam": 1.1}, {"lam": float("nan")}, {"memory_mb": 0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        KReciprocal(**wrong)


def test_a_graph_that_does_not_fit_is_refused_before_a_feature_is_read():
    class Untouched(FeatureTable):
        def __init__(self, rows):
            self.rows, self.width, self.device = rows, 2048, CPU

    options = KReciprocal(memory_mb=1024)
    with pytest.raises(ConfigError, match=r"MiB.*top=K"):
        reranked_distances(Untouched(1000), Untouched(479_730), options, metric="cosine", memory=2**29)
    assert memory_needed(1000, 479_730, 2048, KReciprocal(top=50)) < 2**30
    with pytest.raises(ConfigError, match="dot"):
        reranked_distances(Untouched(3), Untouched(5), options, metric="dot", memory=2**29)


def test_a_matrix_that_does_not_fit_and_bad_features_are_refused():
    query, gallery = np.ones((600, 2), np.float32), np.ones((60_000, 2), np.float32)
    with pytest.raises(ConfigError, match="no matrix"):
        rerank_distances(query, gallery, KReciprocal(top=1, memory_mb=100))
    with pytest.raises(FeatureError, match="dimensions"):
        rerank_distances(query, np.ones((4, 3), np.float32))
    gallery = np.ones((9, 2), np.float32)
    gallery[3, 1] = np.nan
    with pytest.raises(FeatureError, match="row 3"):
        rerank_distances(query, gallery)


def test_the_benchmark_runs(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "MARKET", (20, 150))
    monkeypatch.setattr(sys, "argv", ["rerank.py", "--dense", "120", "90", "--width", "8"])
    benchmark.main()
    import json

    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["images"] for row in last["beside_dense"]] == [120, 90]
    assert all(row["largest_difference"] < 1e-5 for row in last["beside_dense"])
    assert last["market"]["images"] == 170


def test_an_unknown_metric_is_refused():
    p = make_problem(0)
    with pytest.raises(ConfigError, match="metric='l2': expected one of cosine, dot, euclidean"):
        rerank_distances(p.query, p.gallery, KReciprocal(3, 2), metric="l2")
