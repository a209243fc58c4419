import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsreid.retrieval.thresholds import Thresholds

lists = st.lists(st.lists(st.integers(-4, 4), max_size=6), min_size=1, max_size=5)


def make(rows):
    rows = [sorted(r) for r in rows]
    scores = torch.tensor([x / 4 for r in rows for x in r], dtype=torch.float64)
    return rows, Thresholds(scores, torch.tensor(np.cumsum([0, *map(len, rows)])))


@given(rows=lists, score=st.integers(-5, 5))
def test_exact_places_are_numpys(rows, score):
    rows, thresholds = make(rows)
    row = torch.arange(len(rows))
    passed, tied = thresholds.place(row, torch.full((len(rows),), score / 4, dtype=torch.float64))
    for i, r in enumerate(rows):
        start = int(thresholds.offset[i])
        assert int(passed[i]) - start == np.searchsorted(r, score, side="left")
        assert int(tied[i]) - start == np.searchsorted(r, score, side="right")


starts = st.floats(0, 1)


@given(rows=lists, score=st.integers(-5, 5), bound=st.sampled_from((0.0, 0.1, 0.3)), low=st.none() | starts)
def test_approximate_places_pass_what_is_sure_and_doubt_the_rest(rows, score, bound, low):
    rows, thresholds = make(rows)
    edges = thresholds.edges(bound)
    row = torch.arange(len(rows))
    sure = torch.tensor([sum(x / 4 + bound < score / 4 for x in r) for r in rows])
    first = thresholds.offset[:-1] + row
    start = None if low is None else first + (low * sure).long()
    passed, doubtful = edges.place(row, torch.full((len(rows),), score / 4), start)
    assert torch.equal(passed, first + sure)
    for i, r in enumerate(rows):
        near = [x for x in r if abs(x - score) / 4 <= bound]
        assert bool(doubtful[i]) == bool(near)
        if near:
            assert score / 4 >= edges.floor[i]


@given(rows=lists, score=st.integers(-5, 5), bound=st.sampled_from((0.0, 0.1, 0.3)), low=starts)
def test_places_within_a_bound_name_what_may_lie_elsewhere(rows, score, bound, low):
    rows, thresholds = make(rows)
    row = torch.arange(len(rows))
    below = torch.tensor([sum(x < score for x in r) for r in rows])
    first = thresholds.offset[:-1] + row
    scores = torch.full((len(rows),), score / 4, dtype=torch.float64)
    passed, unsure = thresholds.place_within(row, scores, bound, first + (low * below).long())
    assert torch.equal(passed, first + below)
    assert unsure.tolist() == [any(abs(x - score) / 4 <= bound for x in r) for r in rows]


def test_a_score_far_above_its_start_is_found_too():
    _rows, thresholds = make([list(range(40)), [3]])
    row, start = torch.tensor([0, 0, 1]), torch.tensor([0, 2, 41])
    score = torch.tensor([30.1, 39.9, 3.1]) / 4
    assert thresholds.place_within(row, score.double(), 0.0, start)[0].tolist() == [31, 40, 42]
    assert thresholds.edges(0.0).place(row, score, start)[0].tolist() == [31, 40, 42]


def test_the_least_score_of_each_query_is_infinite_without_a_match():
    _, thresholds = make([[2, 1], [], [-3], [4, 4]])
    assert thresholds.least.tolist() == [0.25, np.inf, -0.75, 1.0]
    assert thresholds.least.dtype == torch.float64


def test_part_keeps_the_rows():
    _, thresholds = make([[1], [], [2, 3], [4]])
    assert thresholds.part(2, 4).scores.tolist() == [0.5, 0.75, 1.0]
    assert thresholds.part(2, 4).offset.tolist() == [0, 2, 3]
    part = thresholds.part(1, 3)
    assert part.scores.tolist() == [0.5, 0.75]
    assert part.offset.tolist() == [0, 0, 2]
    assert part.row.tolist() == [1, 1]


def test_runs_of_one_query_are_placed_as_single_scores_are():
    rng = np.random.default_rng(3)
    _, thresholds = make([rng.integers(-9, 9, n).tolist() for n in (30, 0, 1, 7)])
    row = torch.from_numpy(np.repeat([2, 0, 3, 1, 0], 20))
    score = torch.from_numpy(rng.integers(-10, 10, len(row)) / 4)
    mixed = torch.from_numpy(rng.permutation(len(row)))  # no runs: halving of intervals
    for runs, single in zip(thresholds.place(row, score), thresholds.place(row[mixed], score[mixed]), strict=True):
        assert torch.equal(runs[mixed], single)


def test_scores_near_zero_are_told_apart():
    thresholds = Thresholds(torch.tensor([-3e-9, -1e-9, 1e-9, 3e-9], dtype=torch.float64), torch.tensor([0, 2, 4]))
    found, doubtful = thresholds.edges(0.0).place(torch.tensor([0, 0, 1, 1]), torch.tensor([-2e-9, 0.0, 0.0, 2e-9]))
    assert found.tolist() == [1, 2, 3, 4]
    assert not doubtful.any()
