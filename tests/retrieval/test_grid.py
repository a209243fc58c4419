import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.retrieval import grid as grids
from wsreid.retrieval.grid import Grid
from wsreid.retrieval.scratch import Scratch
from wsreid.retrieval.thresholds import Thresholds

CPU = torch.device("cpu")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from((torch.float32, torch.float64)),
    spread=st.sampled_from((0.0, 1e-6, 0.1, 100.0)),
    zone=st.sampled_from((1e-9, 1e-4, 1.0)),
    at_once=st.sampled_from((64 * 3, grids.AT_ONCE)),  # three of the four queries, or all
)
def test_what_is_placed_is_placed_right_and_the_rest_is_named(seed, dtype, spread, zone, at_once):
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids, "AT_ONCE", at_once)
        placed = grid.place(scores, Scratch(CPU))
    unsure = set(zip(placed.row.tolist(), placed.column.tolist(), strict=True))
    expected = torch.zeros_like(placed.tally)
    offset = thresholds.offset.tolist()
    start = dict(zip(zip(placed.row.tolist(), placed.column.tolist(), strict=True), placed.start.tolist(), strict=True))
    for q in range(4):
        low, high = (x[offset[q] : offset[q + 1]].tolist() for x in (lower, upper))
        for j, s in enumerate(scores[q].tolist()):
            doubtful = any(a <= s <= b for a, b in zip(low, high, strict=True))
            assert (q, j) in unsure or not doubtful
            passed = sum(s > b for b in high)
            assert offset[q] + q <= start.get((q, j), offset[q] + q) <= offset[q] + q + passed
            if passed and (q, j) not in unsure:
                expected[offset[q] + q + passed] += 1
    assert torch.equal(placed.tally, expected)


def test_columns_count_as_often_as_they_are_there():
    thresholds = Thresholds(torch.tensor([0.0]), torch.tensor([0, 1]))
    grid = Grid(thresholds, torch.tensor([-0.1]), torch.tensor([0.1]), 2**20)
    scores = torch.tensor([[-1.0, 1.0, 0.0, -1.0, 2.0, -1.0, -1.0, -1.0]])
    placed = grid.place(scores, Scratch(CPU), torch.tensor([1, 2, 4, 8, 16, 0, 0, 0]))
    assert placed.tally.tolist() == [0, 18]
    assert placed.column.tolist() == [2]


def test_a_small_memory_gives_a_coarse_grid():
    edges = torch.linspace(0, 1, 2000)
    thresholds = Thresholds(edges, torch.tensor([0, 2000]))
    assert Grid(thresholds, edges, edges, 2**20).cells == 16384 * 3 // 2
    assert Grid(thresholds, edges, edges, 2**12).cells == 512 * 3 // 2


def test_spans_and_the_size_of_the_tables_numbers_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    number = rng.integers(0, 40, 12)
    scores = torch.from_numpy(np.concatenate([np.sort(rng.normal(size=n)) for n in number]))
    thresholds = Thresholds(scores, torch.from_numpy(np.cumsum([0, *number])))
    met = torch.from_numpy(rng.normal(size=(12, 300)))
    found, kinds = [], []
    for short, at_once in ((2**15, 2**18), (230, 700), (8, 2**18)):
        monkeypatch.setattr(grids, "SHORT", short)
        monkeypatch.setattr(grids, "AT_ONCE", at_once)
        grid = Grid(thresholds, scores - 0.01, scores + 0.01, 2**22)
        kinds.append((grid.table.dtype, len(grid.spans) > 1))
        found.append(grid.place(met, Scratch(CPU)))
    assert kinds == [(torch.int16, False), (torch.int16, True), (torch.int32, False)]
    for other in found[1:]:
        assert all(torch.equal(getattr(found[0], of), getattr(other, of)) for of in vars(other))
