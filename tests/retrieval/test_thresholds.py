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


@given(rows=lists, score=st.integers(-5, 5), bound=st.sampled_from((0.0, 0.1, 0.3)))
def test_approximate_places_pass_what_is_sure_and_doubt_the_rest(rows, score, bound):
    rows, thresholds = make(rows)
    edges = thresholds.edges(bound)
    row = torch.arange(len(rows))
    passed, doubtful = edges.place(row, torch.full((len(rows),), score / 4))
    for i, r in enumerate(rows):
        sure = sum(x / 4 + bound < score / 4 for x in r)
        near = [x for x in r if abs(x - score) / 4 <= bound]
        assert int(passed[i]) - int(thresholds.offset[i]) == sure
        assert bool(doubtful[i]) == bool(near)
        if near:
            assert score / 4 >= edges.floor[i]


def test_part_keeps_the_rows():
    _, thresholds = make([[1], [], [2, 3], [4]])
    part = thresholds.part(1, 3)
    assert part.scores.tolist() == [0.5, 0.75]
    assert part.offset.tolist() == [0, 0, 2]
    assert part.row.tolist() == [1, 1]
