import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.retrieval.grid import Grid
from wsreid.retrieval.thresholds import Thresholds


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from((torch.float32, torch.float64)),
    spread=st.sampled_from((0.0, 1e-6, 0.1, 100.0)),
    zone=st.sampled_from((1e-9, 1e-4, 1.0)),
)
def test_what_is_placed_is_placed_right_and_the_rest_is_named(seed, dtype, spread, zone):
    rng = np.random.default_rng(seed)
    number = rng.integers(0, 5, 4)
    number[0] = 3
    edge = [np.sort(0.7 + spread * rng.normal(size=n)) for n in number]
    thresholds = Thresholds(
        torch.from_numpy(np.concatenate(edge)), torch.from_numpy(np.concatenate([[0], np.cumsum(number)]))
    )
    lower = (thresholds.scores - zone).to(dtype)
    upper = (thresholds.scores + zone).to(dtype)
    grid = Grid(thresholds, lower, upper, 2**22)
    scores = torch.from_numpy(0.7 + 2 * (spread + zone) * rng.normal(size=(4, 64))).to(dtype)
    scores[:, -3:] = -torch.inf
    scores[0, :6] = torch.stack([lower[:3], upper[:3]]).flatten()
    order = torch.from_numpy(rng.permutation(4)[:3])
    placed, (row, column) = grid.place(scores[order].contiguous(), order, 2.0)
    unsure = set(zip(order[row].tolist(), column.tolist(), strict=True))
    expected = torch.zeros_like(placed)
    offset = thresholds.offset.tolist()
    for q in order.tolist():
        for j, s in enumerate(scores[q].tolist()):
            low, high = (x[offset[q] : offset[q + 1]].tolist() for x in (lower, upper))
            doubtful = any(a <= s <= b for a, b in zip(low, high, strict=True))
            if (q, j) in unsure:
                continue
            assert not doubtful
            expected[offset[q] + q + sum(s > b for b in high)] += 1
    assert torch.equal(placed, expected)


def test_columns_count_as_often_as_they_are_there():
    thresholds = Thresholds(torch.tensor([0.0]), torch.tensor([0, 1]))
    grid = Grid(thresholds, torch.tensor([-0.1]), torch.tensor([0.1]), 2**20)
    scores = torch.tensor([[-1.0, 1.0, 0.0, -1.0, 2.0, -1.0, -1.0, -1.0]])
    placed, (_, column) = grid.place(scores, torch.tensor([0]), 2.0, torch.tensor([1, 2, 4, 8, 16, 0, 0, 0]))
    assert placed.tolist() == [9, 18]
    assert column.tolist() == [2]


def test_too_many_unsure_scores_are_given_back():
    thresholds = Thresholds(torch.tensor([0.0]), torch.tensor([0, 1]))
    grid = Grid(thresholds, torch.tensor([-0.1]), torch.tensor([0.1]), 2**20)
    placed, places = grid.place(torch.zeros(1, 8), torch.tensor([0]), 0.5)
    assert placed is None
    assert len(places[0]) == 0


def test_a_small_memory_gives_a_coarse_grid():
    edges = torch.linspace(0, 1, 2000)
    thresholds = Thresholds(edges, torch.tensor([0, 2000]))
    assert Grid(thresholds, edges, edges, 2**20).cells == 32768
    assert Grid(thresholds, edges, edges, 2**13).cells == 2048
