"""The leveraged weighted loss against a loop and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.losses import leveraged_weighted_loss

from .test_partial_label import random_inputs


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def naive(logits, candidates, weights, inside, outside, others=None):
    """`others`: v by image and class; by default from the logits."""
    terms = []
    for i, row in enumerate(candidates.tolist()):
        z = logits[i].tolist()
        own = {c: float(weights[i, j]) for j, c in enumerate(row) if c >= 0}
        if not own:
            continue
        rest = [c for c in range(len(z)) if c not in own]
        total = sum(math.exp(z[c]) for c in rest)
        v = {c: math.exp(z[c]) / total for c in rest} if others is None else others[i]
        good = sum(w * sigmoid(-z[c]) for c, w in own.items())
        bad = sum(v[c] * sigmoid(z[c]) for c in rest)
        terms.append(inside * good + outside * bad)
    return sum(terms) / max(len(terms), 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), inside=st.floats(0, 2), outside=st.floats(0, 2))
def test_it_is_the_loop(seed, inside, outside):
    logits, candidates, weights = random_inputs(seed)
    found = leveraged_weighted_loss(logits, candidates, weights, inside, outside)
    assert float(found) == pytest.approx(naive(logits, candidates, weights, inside, outside), abs=1e-9)


def test_gradients_are_those_of_fixed_weights():
    logits, candidates, weights = random_inputs(3)
    candidates[0] = -1
    z = logits.clone().requires_grad_()
    found = torch.autograd.grad(leveraged_weighted_loss(z, candidates, weights, 1.0, 2.0), z)[0]
    fixed = []
    for i, row in enumerate(candidates.tolist()):
        rest = [c for c in range(9) if c not in row]
        fixed.append(dict(zip(rest, logits[i, rest].softmax(0).tolist(), strict=True)))
    step = 1e-6
    for i in range(6):
        for c in range(9):
            up, down = logits.clone(), logits.clone()
            up[i, c] += step
            down[i, c] -= step
            slope = naive(up, candidates, weights, 1.0, 2.0, fixed) - naive(down, candidates, weights, 1.0, 2.0, fixed)
            assert float(found[i, c]) == pytest.approx(slope / (2 * step), abs=1e-7)


def test_gradcheck_where_the_others_have_no_part():
    logits, candidates, weights = random_inputs(4)
    assert torch.autograd.gradcheck(
        lambda z: leveraged_weighted_loss(z, candidates, weights, 1.0, 0.0), logits.requires_grad_()
    )


@pytest.mark.parametrize("width", [0, 3])
def test_no_candidates_gives_zero_and_zero_gradient(width):
    logits, candidates, weights = random_inputs(2, width=width)
    logits.requires_grad_()
    value = leveraged_weighted_loss(logits, torch.full_like(candidates, -1), weights)
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


def test_where_all_classes_are_candidates_there_is_no_other():
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    candidates = torch.tensor([[2, 0, 1], [1, 2, 0]])
    weights = torch.full((2, 3), 1 / 3)
    value = leveraged_weighted_loss(logits, candidates, weights, 1.0, 5.0)
    value.backward()
    assert value.item() == pytest.approx(float(torch.sigmoid(-logits.detach()).mean()))
    assert logits.grad.isfinite().all()


def test_all_equal_logits_and_extreme_ones():
    halves = torch.tensor([[0.5, 0.5]])
    at = torch.tensor([[1, 4]])
    assert float(leveraged_weighted_loss(torch.zeros(1, 6), at, halves)) == pytest.approx(1.0)
    logits = torch.tensor([[1e4, -1e4, 0.0, 1e4, 1e4, -1e4]], requires_grad=True)
    value = leveraged_weighted_loss(logits, at, halves)
    value.backward()
    assert value.item() == pytest.approx(0.5 + 1.0)
    assert logits.grad.isfinite().all()


def test_float32_under_autocast():
    logits, candidates, weights = random_inputs(7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = leveraged_weighted_loss(logits.bfloat16(), candidates, weights.float())
    assert found.dtype == torch.float32
    expected = naive(logits.bfloat16().double(), candidates, weights.float(), 1.0, 1.0)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_other_shapes_are_refused():
    logits, candidates, weights = random_inputs(8)
    with pytest.raises(ValueError, match="differ in shape"):
        leveraged_weighted_loss(logits, candidates, weights[:, :2])
