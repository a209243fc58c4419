import numpy as np
import pytest
import torch

from wsreid.retrieval import counting
from wsreid.retrieval.checks import squared_norms
from wsreid.retrieval.counting import count_better, error_bound
from wsreid.retrieval.evaluate import sort_thresholds
from wsreid.retrieval.features import FeatureTable, exact_scores, scale_rows
from wsreid.retrieval.junk import Pairs, same_identity_pairs
from wsreid.retrieval.precision import full_float32

from .problems import KINDS, make_problem

CPU = torch.device("cpu")
MEMORY = 2**24


def prepare(query, gallery, metric):
    tables = FeatureTable(query, CPU), FeatureTable(gallery, CPU)
    squares = squared_norms(tables[0], "query", memory=MEMORY), squared_norms(tables[1], "gallery", memory=MEMORY)
    return scale_rows(*tables, *squares, metric=metric)


def everything(p, metric):
    query, gallery = prepare(p.query, p.gallery, metric)
    pairs = same_identity_pairs(p.q_pid, p.g_pid, p.q_cam, p.g_cam)
    good = ~pairs.junk
    qi, gi = torch.from_numpy(pairs.query[good]), torch.from_numpy(pairs.gallery[good])
    scores = exact_scores(query, gallery, qi, gi, metric=metric, memory=MEMORY)
    return query, gallery, pairs, sort_thresholds(qi, scores, len(p.query))


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("width", [5, 256, 1500])
def test_the_float32_product_stays_within_its_bound(metric, width):
    rng = np.random.default_rng(width)
    # all of one sign and badly scaled: the rounding errors add up
    query = (rng.random((8, width)) * 10.0 ** rng.integers(-3, 3, width)).astype(np.float32)
    gallery = (rng.random((60, width)) * 10.0 ** rng.integers(-3, 3, width)).astype(np.float32)
    q, g = prepare(query, gallery, metric)
    with full_float32(CPU):
        fast = counting._product(q.approximate(0, 8), g.approximate(0, 60))
    if metric == "euclidean":
        fast = fast.mul(2).sub(g.square.float())
    qi, gi = torch.meshgrid(torch.arange(8), torch.arange(60), indexing="ij")
    exact = exact_scores(q, g, qi.flatten(), gi.flatten(), metric=metric, memory=MEMORY).reshape(8, 60)
    bound = error_bound(width, metric, float(q.square.max().sqrt()), float(g.square.max().sqrt()))
    assert float((fast - exact).abs().max()) <= bound


def test_the_bound_is_the_documented_one():
    assert error_bound(2048, "cosine", 1.0, 1.0) == pytest.approx(1.6e-5, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_counts_of_shards_add_up(kind, metric):
    p = make_problem(1, images=50, kind=kind)
    query, gallery, pairs, thresholds = everything(p, metric)
    whole = count_better(query, gallery, p.g_pid, pairs, thresholds, metric=metric, memory=MEMORY)
    total = None
    for shard in np.array_split(np.random.default_rng(2).permutation(50), 3):
        q, g = prepare(p.query, p.gallery[shard], metric)
        if metric == "euclidean":  # one unit for all shards
            table = FeatureTable(p.gallery[shard], CPU)
            index = torch.from_numpy(shard)
            q, g = query, type(gallery)(table, gallery.scale[index], gallery.square[index], torch.arange(len(shard)))
        position = np.full(50, -1)
        position[shard] = np.arange(len(shard))
        here = position[pairs.gallery] >= 0
        mine = Pairs(pairs.query[here], position[pairs.gallery[here]], pairs.junk[here])
        part = count_better(q, g, p.g_pid[shard], mine, thresholds, metric=metric, memory=MEMORY)
        total = part if total is None else total + part
    assert torch.equal(total.above, whole.above)
    assert torch.equal(total.tied, whole.tied)
    assert total.compared == whole.compared == len(p.query) * (p.g_pid != -1).sum()


def test_only_doubtful_pairs_are_rechecked():
    p = make_problem(1, queries=20, images=200, width=64)
    few = count_better(
        *everything(p, "cosine")[:2], p.g_pid, *everything(p, "cosine")[2:], metric="cosine", memory=MEMORY
    )
    assert few.rechecked < 0.01 * few.compared
    p = make_problem(1, kind="constant")
    query, gallery, pairs, thresholds = everything(p, "cosine")
    all_ = count_better(query, gallery, p.g_pid, pairs, thresholds, metric="cosine", memory=MEMORY)
    with_match = len(np.unique(pairs.query[~pairs.junk]))
    assert all_.rechecked > 0.5 * with_match * len(p.gallery)


@pytest.mark.parametrize(
    ("rows", "width", "memory_mb"), [(1000, 2048, 512), (11_659, 2048, 512), (5, 2048, 1), (10**6, 64, 64)]
)
def test_tiles_fit_the_memory(rows, width, memory_mb):
    held, queries, columns = counting._tile_sizes(rows, width, memory_mb * 2**20)
    assert held * width * 4 <= memory_mb * 2**20 // 4
    assert (columns * width * 16 <= memory_mb * 2**20 // 4) or columns == 1
    assert (columns * queries * 80 <= memory_mb * 2**20 // 4) or columns == 1
    assert 1 <= queries <= held <= rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_the_float64_product_and_the_shared_scores_change_no_count(kind, metric, monkeypatch):
    p = make_problem(7, images=60, width=300, kind=kind)
    query, gallery, pairs, thresholds = everything(p, metric)
    arguments = (query, gallery, p.g_pid, pairs, thresholds)
    monkeypatch.setattr(counting, "CROWDED", 2.0)  # never
    monkeypatch.setattr(type(query), "distinct", True)
    plain = count_better(*arguments, metric=metric, memory=MEMORY)
    monkeypatch.undo()
    monkeypatch.setattr(counting, "CROWDED", 0.0)  # always
    for memory in (MEMORY, 2**17):
        quick = count_better(*arguments, metric=metric, memory=memory)
        assert torch.equal(quick.above, plain.above)
        assert torch.equal(quick.tied, plain.tied)
        assert quick.rechecked <= plain.rechecked
    if kind == "near":
        assert quick.rechecked < plain.rechecked


def test_equal_images_of_a_collapsed_network_are_scored_once(monkeypatch):
    p = make_problem(1, kind="constant")
    query, gallery, pairs, thresholds = everything(p, "cosine")
    scored = []
    monkeypatch.setattr(
        counting, "exact_scores", lambda q, g, qi, gi, **o: scored.append(len(qi)) or exact_scores(q, g, qi, gi, **o)
    )
    count_better(query, gallery, p.g_pid, pairs, thresholds, metric="cosine", memory=MEMORY)
    assert scored == [1]
