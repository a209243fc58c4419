"""Mean field: the formula as a loop, no graph, what couplings do, what never leaves the candidates."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsreid.inference import mean_field

BAG = torch.tensor([0, 0, 0, 1, 1, 2])
CANDIDATES = torch.tensor([[3, 5, 9]] * 3 + [[4, 8, -1]] * 2 + [[-1, -1, -1]])


def problem(seed):
    generator = torch.Generator().manual_seed(seed)
    unary = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    coupling = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    same = (BAG[:, None] == BAG[None, :]).double().fill_diagonal_(0)
    return unary, (coupling + coupling.T) * same


def softmax(values):
    top = max(values)
    powers = [math.exp(v - top) for v in values]
    return [p / sum(powers) for p in powers]


def naive(unary, coupling, rounds, damping):
    width = [int((row >= 0).sum()) for row in CANDIDATES]
    q = [softmax(unary[i, :w].tolist()) if w else [] for i, w in enumerate(width)]
    for _ in range(rounds):
        new = []
        for i, w in enumerate(width):
            field = [
                float(unary[i, k]) + sum(float(coupling[i, j]) * q[j][k] for j in range(6) if BAG[j] == BAG[i])
                for k in range(w)
            ]
            new.append(softmax(field) if w else [])
        q = [[damping * a + (1 - damping) * b for a, b in zip(x, y, strict=True)] for x, y in zip(q, new, strict=True)]
    return q


@given(st.integers(0, 99), st.integers(0, 4), st.sampled_from([0.0, 0.5, 0.9]))
def test_the_formula_as_a_loop(seed, rounds, damping):
    unary, coupling = problem(seed)
    found = mean_field(unary, CANDIDATES, coupling, rounds, damping)
    for row, expected in zip(found.tolist(), naive(unary, coupling, rounds, damping), strict=True):
        assert row == pytest.approx(expected + [0.0] * (3 - len(expected)), abs=1e-9)


def test_rows_are_distributions_over_the_candidates():
    unary, coupling = problem(0)
    found = mean_field(unary, CANDIDATES, 50 * coupling, 10)
    assert torch.allclose(found.sum(1), torch.tensor([1.0] * 5 + [0.0]).double())
    assert bool((found >= 0).all())
    assert bool((found[CANDIDATES < 0] == 0).all())


def test_an_attraction_persuades_and_a_repulsion_keeps_apart():
    candidates = torch.tensor([[1, 2], [1, 2]])
    unary = torch.tensor([[2.0, 0.0], [0.0, 0.2]])
    pair = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert mean_field(unary, candidates, 3 * pair, 20).argmax(1).tolist() == [0, 0]
    same = torch.tensor([[2.0, 0.0], [0.3, 0.0]])
    assert mean_field(same, candidates, -3 * pair, 20).argmax(1).tolist() == [0, 1]


def test_equal_logits_stay_equal():
    candidates = torch.tensor([[1, 2]] * 3)
    coupling = torch.ones(3, 3).fill_diagonal_(0)
    assert torch.allclose(mean_field(torch.zeros(3, 2), candidates, coupling, 5), torch.full((3, 2), 0.5))


def test_half_precision_is_computed_in_float32():
    unary, coupling = problem(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mean_field(unary.bfloat16(), CANDIDATES, coupling.float(), 3)
    assert found.dtype == torch.float32
    assert torch.allclose(found, mean_field(unary.bfloat16().float(), CANDIDATES, coupling.float(), 3))


def test_no_graph_and_any_number_names_a_class():
    unary, coupling = problem(4)
    found = mean_field(unary.requires_grad_(), CANDIDATES, coupling)
    assert not found.requires_grad
    least = CANDIDATES[CANDIDATES >= 0].min()
    from_0 = torch.where(CANDIDATES >= 0, CANDIDATES - least, -1)
    assert torch.equal(found, mean_field(unary, from_0, coupling))


def test_wrong_arguments_are_named():
    unary, coupling = problem(0)
    with pytest.raises(ValueError, match="damping"):
        mean_field(unary, CANDIDATES, coupling, damping=1.0)
    with pytest.raises(ValueError, match="coupling"):
        mean_field(unary, CANDIDATES, coupling[:5])
