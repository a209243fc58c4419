import numpy as np
import pytest
import torch

from wsreid.retrieval.doubts import Doubts, KnownScores, dots, order_by_row
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.products import dot_bound
from wsreid.retrieval.query_block import QueryBlock
from wsreid.retrieval.ranking import sort_thresholds
from wsreid.retrieval.scores import pair_scores, row_norms

from .problems import KINDS, make_problem

CPU = torch.device("cpu")
MEMORY = 2**22
METRICS = ("cosine", "dot", "euclidean")


def make_block(kind, metric, width=40, zero=()):
    p = make_problem(2, queries=6, images=80, width=width, kind=kind)
    p.gallery[list(zero)] = 0
    query, gallery = FeatureTable(p.query, CPU), FeatureTable(p.gallery, CPU)
    qi, gi = torch.arange(6).repeat_interleave(3), torch.arange(18)
    scores = pair_scores(query, gallery, qi, gi, metric=metric, memory=MEMORY)
    return QueryBlock(query, 0, sort_thresholds(qi, scores, 6), metric, MEMORY), gallery


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", METRICS)
def test_all_pairs_put_off_are_placed_by_their_exact_scores(kind, metric):
    block, gallery = make_block(kind, metric)
    doubts = Doubts(block, gallery, MEMORY)
    row = torch.arange(6).repeat(80)
    index = torch.arange(80).repeat_interleave(6)
    norm = row_norms(gallery.slice(0, 80))[index]
    half = len(row) // 2
    offset = block.thresholds.offset
    doubts.add(row[:half], index[:half], norm[:half], offset[row[:half]] + row[:half])
    doubts.add_close(row[half:], index[half:], torch.ones_like(row[half:]))
    doubts.settle()
    exact = pair_scores(block.query, gallery, row, index, metric=metric, memory=MEMORY)
    passed, tied = block.thresholds.place(row, exact)
    assert torch.equal(doubts.passes, torch.bincount(passed + row, minlength=24))
    ties = torch.bincount(passed + row, minlength=24) - torch.bincount(tied + row, minlength=24)
    assert torch.equal(doubts.ties, ties)
    assert doubts.rechecked == half


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("width", [3, 300])
def test_dot_products_lie_within_their_bound(kind, metric, width):
    block, gallery = make_block(kind, metric, width)
    row, index = torch.arange(6).repeat_interleave(80), torch.arange(80).repeat(6)
    norm = row_norms(gallery.slice(0, 80))[index]
    found = dots(block.rows64, gallery, row, index)
    if metric == "cosine":
        found = found / torch.where(norm > 0, norm, 1.0)
        norm = torch.ones_like(norm)
    elif metric == "euclidean":
        found = 2 * found - norm**2
    exact = pair_scores(block.query, gallery, row, index, metric=metric, memory=MEMORY)
    bound = dot_bound(width, metric, block.longest, norm)
    assert bool(((found - exact).abs() <= bound).all())
    scale = np.maximum(block.longest * norm.numpy() + norm.numpy() ** 2, 1e-30)
    assert float((bound.numpy() / scale).max()) < 1e-12


@pytest.mark.parametrize("metric", METRICS)
def test_rows_of_zeros_score_what_they_do_elsewhere(metric):
    block, gallery = make_block("random", metric, zero=[30, 50])
    doubts = Doubts(block, gallery, MEMORY)
    row, index = torch.arange(6).repeat(2), torch.tensor([30, 50]).repeat_interleave(6)
    doubts.add(row, index, torch.zeros(12).double(), block.thresholds.offset[row] + row)
    doubts.settle()
    exact = pair_scores(block.query, gallery, row, index, metric=metric, memory=MEMORY)
    passed, _ = block.thresholds.place(row, exact)
    assert torch.equal(doubts.passes, torch.bincount(passed + row, minlength=24))


def test_a_pair_that_its_dot_product_decides_takes_no_exact_score(monkeypatch):
    block, gallery = make_block("random", "cosine")
    doubts = Doubts(block, gallery, MEMORY)
    monkeypatch.setattr("wsreid.retrieval.doubts.pair_scores", None)
    index = torch.arange(20, 80)
    row = torch.zeros_like(index)
    doubts.add(row, index, row_norms(gallery.slice(0, 80))[index], row)
    doubts.settle()
    assert int(doubts.passes.sum()) == 60


def test_a_score_that_is_known_is_not_computed_again(monkeypatch):
    block, gallery = make_block("random", "cosine")
    row, index = torch.arange(6).repeat_interleave(3), torch.arange(18)
    known = KnownScores(row, index, pair_scores(block.query, gallery, row, index, metric="cosine", memory=MEMORY), 80)
    doubts = Doubts(block, gallery, MEMORY, known)
    monkeypatch.setattr("wsreid.retrieval.doubts.pair_scores", None)
    more = torch.arange(20, 80)
    row, index = torch.cat([row, torch.full_like(more, 5)]), torch.cat([index, more])
    norm = row_norms(gallery.slice(0, 80))[index]
    doubts.add(row, index, norm, block.thresholds.offset[row] + row)
    doubts.settle()
    assert int(doubts.passes.sum()) == 78
    assert doubts.ties.cumsum(0).view(6, 4).tolist() == [[1, 1, 1, 0]] * 6


def test_pairs_are_found_by_both_their_rows():
    known = KnownScores(torch.tensor([2, 0]), torch.tensor([1, 3]), torch.tensor([0.5, 0.25]).double(), 10)
    place, found = known.find(torch.tensor([0, 2, 2, 9]), torch.tensor([3, 3, 1, 9]))
    assert found.tolist() == [True, False, True, False]
    assert known.scores[place[found]].tolist() == [0.25, 0.5]
    nothing = KnownScores(*torch.zeros(3, 0).long(), 10)
    assert nothing.find(torch.tensor([1]), torch.tensor([1]))[1].tolist() == [False]


def test_the_order_by_row_is_stable_whatever_sorts():
    row = torch.randint(0, 5, (300,), generator=torch.Generator().manual_seed(0))
    expected = torch.argsort(row, stable=True)
    assert torch.equal(order_by_row(row, 5), expected)
    assert torch.equal(order_by_row(row, 2**16), expected)


def test_dot_products_of_long_and_short_runs_are_those_of_their_rows(monkeypatch):
    monkeypatch.setattr("wsreid.retrieval.doubts.AT_ONCE", 8 * 40 * 7)  # seven rows at once
    block, gallery = make_block("random", "dot")
    row = torch.tensor([0] * 20 + [1] + [2] * 6 + [4] * 8 + [5] * 7)
    index = torch.randint(0, 80, (len(row),), generator=torch.Generator().manual_seed(1))
    expected = (block.rows64[row] * gallery.pick(index)).sum(1)
    for n in (len(row), 27, 1, 0):
        assert torch.allclose(dots(block.rows64, gallery, row[:n], index[:n]), expected[:n], rtol=1e-12, atol=1e-12)


def test_what_waits_is_placed_before_it_takes_too_much_memory():
    block, gallery = make_block("near", "cosine")
    row, index = torch.arange(6).repeat(80), torch.arange(80).repeat_interleave(6)
    norm, start = row_norms(gallery.slice(0, 80))[index], block.thresholds.offset[row] + row
    sums = []
    for memory in (1, MEMORY):
        doubts = Doubts(block, gallery, memory)
        for part in torch.arange(480).split(120):
            doubts.add(row[part], index[part], norm[part], start[part])
            doubts.add_close(row[part], index[part], torch.ones_like(row[part]))
            assert (bool(doubts._near), bool(doubts._close)) == (memory > 1, memory > 1)
        doubts.settle()
        sums.append((doubts.passes, doubts.ties))
    assert torch.equal(sums[0][0], sums[1][0])
    assert torch.equal(sums[0][1], sums[1][1])
