"""Optimal transport inside bags: against a loop, against linear programming where entropy vanishes, at the edges."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch.testing import assert_close

from wsreid.inference import sinkhorn


def naive(scores, mass, at_least, eps, rounds=5000):
    """One bag, exponentials and loops."""
    n, L = len(scores), len(scores[0])
    K = [[math.exp(scores[i][c] / eps) for c in range(L)] for i in range(n)]
    v = [1.0] * L
    for _ in range(rounds):
        u = [1 / n / sum(K[i][c] * v[c] for c in range(L)) for i in range(n)]
        for c in range(L):
            held = sum(u[i] * K[i][c] for i in range(n))
            v[c] = max(1.0, mass[c] / held) if at_least else mass[c] / held
    u = [1 / n / sum(K[i][c] * v[c] for c in range(L)) for i in range(n)]
    return [[n * u[i] * K[i][c] * v[c] for c in range(L)] for i in range(n)]


def problem(seed, n, L, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, L, generator=generator, dtype=torch.float64) * scale
    return scores, torch.arange(L).expand(n, L), torch.zeros(n, dtype=torch.long)


def of_bag(scores, mass, at_least, **options):
    candidates = torch.arange(scores.shape[1]).expand(scores.shape)
    bag = torch.zeros(len(scores), dtype=torch.long)
    return sinkhorn(scores, candidates, bag, mass[None], torch.tensor([at_least]), **options)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 9),
    L=st.integers(1, 5),
    at_least=st.booleans(),
    eps=st.sampled_from((0.3, 1.0)),
)
def test_is_the_loop(seed, n, L, at_least, eps):
    scores, candidates, bag = problem(seed, n, L)
    generator = torch.Generator().manual_seed(seed)
    mass = torch.rand(L, generator=generator, dtype=torch.float64) + 0.1
    mass = mass / mass.sum() * (0.8 if at_least else 1.0)
    expected = naive(scores.tolist(), mass.tolist(), at_least, eps, rounds=1500)
    found = sinkhorn(
        scores, candidates, bag, mass[None], torch.tensor([at_least]), eps=eps, tolerance=1e-12, max_rounds=1500
    )
    assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("at_least", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_little_entropy_gives_the_linear_programs_optimum(seed, at_least):
    n, L, eps = 12, 4, 0.05
    scores, _, _ = problem(seed, n, L)
    if at_least:  # a candidate that no image likes: the bound must bite
        scores[:, 0] -= 3
    mass = torch.full((L,), 1 / n if at_least else 1 / L, dtype=torch.float64)
    rows = np.kron(np.eye(n), np.ones(L))
    columns = np.kron(np.ones(n), np.eye(L))
    held = {"A_ub": -columns, "b_ub": -mass.numpy()} if at_least else {"A_eq": columns, "b_eq": mass.numpy()}
    equal = [rows, held.pop("A_eq")] if not at_least else [rows]
    right = [np.full(n, 1 / n), held.pop("b_eq")] if not at_least else [np.full(n, 1 / n)]
    best = linprog(-scores.numpy().ravel(), A_eq=np.concatenate(equal), b_eq=np.concatenate(right), **held)
    assert best.status == 0
    found = of_bag(scores, mass, at_least, eps=eps, tolerance=1e-6, max_rounds=3000)
    value = float((found * scores).sum()) / n
    # the entropy is worth at most eps log L an image
    assert -best.fun - eps * math.log(L) <= value <= -best.fun + 1e-3
    same = found.argmax(1) == torch.from_numpy(best.x.reshape(n, L)).argmax(1)
    assert same.sum() >= n - 1  # a swap that is worth less than the entropy
    counts = found.sum(0)
    assert (counts >= 1 - 1e-3).all() if at_least else torch.allclose(counts, torch.full_like(counts, n / L), atol=1e-3)


def test_it_is_better_than_clipping_and_renormalising_for_a_bound():
    """The multiplier of a bound that was needed in an early round and is not at the end must go back to 1."""
    scores = torch.tensor([[0.0, -1.0, -4.0], [0.0, -1.2, -4.0], [0.0, -0.3, -5.0], [0.1, 0.0, -4.5]]).double()
    mass = torch.tensor([0.25, 0.25, 0.25]).double()
    found = of_bag(scores, mass, True, eps=0.5, tolerance=1e-12, max_rounds=5000)

    def objective(q):
        return float((q * scores).sum() - 0.5 * (q * (q.clamp(min=1e-300).log() - 1)).sum()) / 4

    best = objective(found)
    generator = torch.Generator().manual_seed(0)
    assert (found.sum(0) >= 1 - 1e-9).all()
    for _ in range(300):  # any other plan within the bounds is worth less
        step = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        step = step - step.mean(1, keepdim=True)
        other = found + 0.01 * step
        if bool((other >= 0).all()) and bool((other.sum(0) >= 1).all()):
            assert objective(other) <= best + 1e-12


def test_bags_are_apart_padding_is_ignored_and_rows_sum_to_one():
    generator = torch.Generator().manual_seed(0)
    bag = torch.tensor([0, 1, 0, 1, 0, 1, 0, 2, 1, 3])
    lists = torch.tensor([[3, 7, -1], [1, 2, 11], [-1, -1, -1], [5, 6, 8]])
    scores = torch.randn(10, 3, generator=generator)
    scores[lists[bag] < 0] = torch.nan
    mass = torch.tensor([[1.0, 3.0, 9.0], [0.2, 0.2, 0.2], [1.0, 1.0, 1.0], [0.5, 0.25, 0.25]])
    bound = torch.tensor([False, True, True, False])
    found = sinkhorn(scores, lists[bag], bag, mass, bound, tolerance=1e-6)
    assert_close(found.sum(1), torch.tensor([1.0, 1, 1, 1, 1, 1, 1, 0, 1, 1]))
    assert not found[lists[bag] < 0].any()
    assert_close(found[bag == 0].sum(0), torch.tensor([1.0, 3.0, 0.0]), atol=1e-4, rtol=0)  # 4 images, as 1 : 3
    assert (found[bag == 1].sum(0) >= 0.8 - 1e-4).all()
    for b in (0, 1, 3):
        own = bag == b
        width = int((lists[b] >= 0).sum())
        alone = of_bag(scores[own][:, :width], mass[b, :width], bool(bound[b]), tolerance=1e-6)
        assert_close(found[own][:, :width], alone, atol=1e-4, rtol=0)


def test_a_single_image_takes_the_masses_and_a_single_candidate_all():
    mass = torch.tensor([0.2, 0.3, 0.5])
    assert_close(of_bag(torch.tensor([[5.0, 0.0, 0.0]]), mass, False), mass[None], atol=1e-3, rtol=0)
    assert_close(of_bag(torch.randn(4, 1), torch.tensor([1.0]), False), torch.ones(4, 1))


def test_equal_scores_give_the_masses_to_each():
    mass = torch.tensor([0.2, 0.3, 0.5])
    assert_close(of_bag(torch.full((6, 3), -2.0), mass, False), mass.expand(6, 3), atol=1e-4, rtol=0)
    even = of_bag(torch.full((6, 3), -2.0), torch.full((3,), 1 / 6), True)
    assert_close(even, torch.full((6, 3), 1 / 3))


def test_bounds_that_do_not_bind_leave_the_softmax():
    scores, *_ = problem(3, 8, 3, scale=0.2)
    found = of_bag(scores, torch.full((3,), 1 / 8).double(), True, eps=0.5)
    assert_close(found, (scores / 0.5).softmax(1))


def test_bounds_beyond_the_bag_are_scaled_to_equality():
    """Two images and three candidates cannot hold each candidate once."""
    scores, *_ = problem(4, 2, 3)
    found = of_bag(scores, torch.full((3,), 0.5).double(), True, tolerance=1e-9)
    assert_close(found.sum(0), torch.full((3,), 2 / 3).double(), atol=1e-6, rtol=0)


def test_masses_of_zero():
    scores, *_ = problem(5, 5, 3)
    found = of_bag(scores, torch.tensor([0.5, 0.0, 0.5]).double(), False, tolerance=1e-9)
    assert not found[:, 1].any()
    even = of_bag(scores, torch.zeros(3).double(), False, tolerance=1e-9)
    assert_close(even.sum(0), torch.full((3,), 5 / 3).double(), atol=1e-6, rtol=0)


def test_capped_turns_leave_rows_exact():
    scores, *_ = problem(6, 9, 4, scale=20.0)
    found = of_bag(scores, torch.full((4,), 0.25).double(), False, eps=0.01, max_rounds=3)
    assert_close(found.sum(1), torch.ones(9).double())


def test_float32_under_autocast():
    scores, *_ = problem(7, 9, 4)
    scores, mass = scores.float(), torch.full((4,), 0.25)
    outside = of_bag(scores, mass, False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = of_bag(scores, mass, False)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)
    assert of_bag(scores.bfloat16(), mass, False).dtype == torch.float32
    assert not of_bag(scores.requires_grad_(), mass, False).requires_grad


def test_nothing_and_no_candidate_column():
    none = torch.zeros(0, dtype=torch.long)
    assert sinkhorn(torch.zeros(0, 2), torch.zeros(0, 2).long(), none, torch.zeros(0, 2)).shape == (0, 2)
    assert sinkhorn(torch.zeros(3, 0), torch.zeros(3, 0).long(), torch.zeros(3).long(), torch.zeros(1, 0)).shape == (
        3,
        0,
    )


def test_a_bag_whose_only_candidate_is_class_0():
    found = sinkhorn(
        torch.zeros(2, 3), torch.tensor([[0, -1, -1]] * 2), torch.zeros(2, dtype=torch.long), torch.ones(1, 3)
    )
    assert_close(found, torch.tensor([[1.0, 0.0, 0.0]] * 2))


def test_a_bag_without_images():
    scores, candidates, _ = problem(8, 4, 2)
    found = sinkhorn(scores, candidates, torch.tensor([0, 2, 0, 2]), torch.full((3, 2), 0.5).double(), tolerance=1e-9)
    assert_close(found[::2].sum(0), torch.ones(2).double(), atol=1e-6, rtol=0)


def test_refuses_what_cannot_be():
    scores, candidates, bag = problem(9, 3, 2)
    with pytest.raises(ValueError, match="eps"):
        sinkhorn(scores, candidates, bag, torch.ones(1, 2), eps=0.0)
    with pytest.raises(ValueError, match="mass"):
        sinkhorn(scores, candidates, bag, torch.ones(1, 3))


def test_a_bound_on_a_bag_of_one_image_in_half_precision():
    scores, one = torch.zeros(1, 2).bfloat16(), torch.zeros(1, dtype=torch.long)
    mass = torch.tensor([[0.8, 0.1]])
    found = sinkhorn(scores, torch.tensor([[1, 2]]), one, mass, torch.tensor([True]), tolerance=1e-6)
    assert found.dtype == torch.float32
    assert found[0].tolist() == pytest.approx([0.8, 0.2], abs=1e-4)
