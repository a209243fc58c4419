import numpy as np
import pytest
import torch

from wsreid.retrieval import counting, doubts, placing
from wsreid.retrieval.counting import Counts, count_better
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.junk import same_identity_pairs
from wsreid.retrieval.ranking import counts_of_pairs, sort_thresholds
from wsreid.retrieval.scores import pair_scores

from .problems import KINDS, make_problem

CPU = torch.device("cpu")
MEMORY = 2**24
METRICS = ("cosine", "dot", "euclidean")


def everything(p, metric):
    query, gallery = FeatureTable(p.query, CPU), FeatureTable(p.gallery, CPU)
    pairs = same_identity_pairs(p.q_pid, p.g_pid, p.q_cam, p.g_cam)
    good = ~pairs.junk
    qi, gi = torch.from_numpy(pairs.query[good]), torch.from_numpy(pairs.gallery[good])
    scores = pair_scores(query, gallery, qi, gi, metric=metric, memory=MEMORY)
    return query, gallery, sort_thresholds(qi, scores, len(p.query))


def naive_counts(query, gallery, thresholds, metric, known):
    """Each threshold against each row, by the exact scores."""
    above, tied = [], []
    for q, match in zip(thresholds.row.tolist(), thresholds.scores.tolist(), strict=True):
        rows = torch.tensor([g for g in range(gallery.rows) if known[g]])
        scores = pair_scores(query, gallery, torch.full_like(rows, q), rows, metric=metric, memory=MEMORY)
        above.append(sum(s > match for s in scores.tolist()))
        tied.append(sum(s == match for s in scores.tolist()))
    return above, tied


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("path", ["as it comes", "grid", "float64"])
def test_counts_are_the_naive_ones_on_each_path(kind, metric, path, monkeypatch):
    if path != "as it comes":
        monkeypatch.setattr(placing, "MANY", -1.0)
        monkeypatch.setattr(placing, "UNSURE", -1.0 if path == "float64" else 2.0)
        monkeypatch.setattr(placing, "CROWDED", 2.0)
    p = make_problem(7, images=60, width=300, kind=kind)
    query, gallery, thresholds = everything(p, metric)
    known = torch.from_numpy(p.g_pid != -1)
    found = count_better(query, gallery, thresholds, metric=metric, memory=MEMORY, known=known)
    above, tied = naive_counts(query, gallery, thresholds, metric, known)
    assert found.above.tolist() == above
    assert found.tied.tolist() == tied
    assert found.compared == len(p.query) * int(known.sum())
    if path == "float64":
        assert found.doubled > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", METRICS)
def test_counts_of_shards_add_up(kind, metric):
    p = make_problem(1, images=50, kind=kind)
    query, gallery, thresholds = everything(p, metric)
    whole = count_better(query, gallery, thresholds, metric=metric, memory=MEMORY)
    total = None
    for shard in np.array_split(np.random.default_rng(2).permutation(50), 3):
        part = count_better(query, FeatureTable(p.gallery[shard], CPU), thresholds, metric=metric, memory=MEMORY)
        total = part if total is None else total + part
    assert torch.equal(total.above, whole.above)
    assert torch.equal(total.tied, whole.tied)
    assert total.compared == whole.compared == 7 * 50


def test_counts_of_pairs_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    query = torch.from_numpy(np.sort(rng.integers(0, 4, 30)))
    scores = torch.from_numpy(rng.integers(0, 5, 30).astype(float))
    match = torch.from_numpy(rng.random(30) < 0.5)
    thresholds = sort_thresholds(query[match], scores[match], 5)
    above, tied = counts_of_pairs(thresholds, query, scores)
    pairs = list(zip(query.tolist(), scores.tolist(), strict=True))
    for m, (q, t) in enumerate(zip(thresholds.row.tolist(), thresholds.scores.tolist(), strict=True)):
        assert above[m] == sum(1 for a, s in pairs if a == q and s > t)
        assert tied[m] == sum(1 for a, s in pairs if a == q and s == t)


def test_counts_add_up_over_galleries_and_lose_what_is_junk():
    first, second = (Counts(torch.tensor([n]), torch.tensor([10 * n]), 100 * n, 1000 * n, 10_000 * n) for n in (1, 2))
    assert first + second == Counts(torch.tensor([3]), torch.tensor([30]), 300, 3000, 30_000)
    assert second.without(first.above, first.tied) == Counts(first.above, first.tied, 200, 2000, 20_000)
    assert Counts(first.above, first.tied).compared == 0


def test_only_doubtful_pairs_are_rechecked():
    p = make_problem(1, queries=20, images=4000, width=64, ids=2000)
    arguments = everything(p, "cosine")
    found = count_better(*arguments, metric="cosine", memory=MEMORY)
    matches = len(arguments[2].scores)  # each match meets itself
    assert matches <= found.rechecked < matches + 0.002 * found.compared
    assert found.doubled == 0


def test_near_duplicates_are_decided_in_float64():
    p = make_problem(1, queries=20, images=4000, width=64, ids=2000)
    p.gallery[:] = p.gallery[:1] + np.float32(1e-6) * p.gallery
    arguments = everything(p, "cosine")
    found = count_better(*arguments, metric="cosine", memory=MEMORY)
    assert found.doubled > 0
    assert found.rechecked <= len(arguments[2].scores) + 0.002 * found.compared


def test_equal_images_of_a_collapsed_network_are_scored_once(monkeypatch):
    p = make_problem(1, kind="constant", images=400)
    query, gallery, thresholds = everything(p, "cosine")
    scored = []
    monkeypatch.setattr(doubts, "pair_scores", lambda *a, **o: scored.append(len(a[2])) or pair_scores(*a, **o))
    count_better(query, gallery, thresholds, metric="cosine", memory=MEMORY)
    assert sum(scored) <= len(p.query)


def test_memory_of_another_size_changes_no_count():
    p = make_problem(5, queries=30, images=300, width=40, kind="near")
    arguments = everything(p, "euclidean")
    big = count_better(*arguments, metric="euclidean", memory=2**26)
    small = count_better(*arguments, metric="euclidean", memory=2**14)
    assert torch.equal(big.above, small.above)
    assert torch.equal(big.tied, small.tied)


@pytest.mark.parametrize(
    ("rows", "width", "memory_mb"), [(1000, 2048, 512), (11_659, 2048, 512), (5, 2048, 1), (10**6, 64, 64)]
)
@pytest.mark.parametrize("workers", [1, 16])
def test_tiles_fit_the_memory(rows, width, memory_mb, workers):
    query = FeatureTable(torch.empty(rows, width, device="meta"), CPU)
    held, queries, columns = counting._tile_sizes(query, memory_mb * 2**20, 100 * rows, workers)
    assert held * width * 12 <= memory_mb * 2**20 // 4
    assert (workers * columns * width * 16 <= memory_mb * 2**20 // 4) or columns == 8
    assert (workers * columns * queries * 16 <= memory_mb * 2**20 // 4) or columns == 8
    assert 1 <= queries <= held <= rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", METRICS)
def test_threads_and_tiles_change_no_count(kind, metric, monkeypatch):
    p = make_problem(3, queries=12, images=200, width=40, kind=kind)
    arguments = everything(p, metric)
    known = torch.from_numpy(p.g_pid != -1)
    whole = count_better(*arguments, metric=metric, memory=MEMORY, known=known)
    monkeypatch.setattr(counting, "_tile_sizes", lambda *_: (8, 3, 17))
    threads = torch.get_num_threads()
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            found = count_better(*arguments, metric=metric, memory=MEMORY, known=known)
            assert torch.equal(found.above, whole.above)
            assert torch.equal(found.tied, whole.tied)
            assert found.compared == whole.compared
    finally:
        torch.set_num_threads(threads)


def test_a_failure_in_one_thread_stops_the_others(monkeypatch):
    p = make_problem(3, queries=4, images=4000, width=8)
    arguments = everything(p, "cosine")
    p.gallery[0] = np.nan
    monkeypatch.setattr(counting, "_tile_sizes", lambda *_: (4, 4, 1))
    read = []
    original = counting.read_tile
    monkeypatch.setattr(counting, "read_tile", lambda *a: read.append(a[1]) or original(*a))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(counting.NonFiniteTileError):
            count_better(*arguments, metric="cosine", memory=MEMORY)
    finally:
        torch.set_num_threads(threads)
    assert len(read) < 2000
