"""How certain a label is: against a loop, at its ends, and whatever the order of the candidates."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.inference import certainty


def problem(seed, n=6, wide=5):
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.stack([torch.randperm(20, generator=generator)[:wide] for _ in range(n)])
    for row in range(n):
        candidates[row, wide - row % wide :] = -1
    weight = torch.rand(n, wide, generator=generator, dtype=torch.float64).pow(4) * (candidates >= 0)
    return weight / weight.sum(1, keepdim=True), candidates


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12))
def test_is_the_loop(seed, n):
    probs, candidates = problem(seed, n)
    for found, row, own in zip(certainty(probs, candidates).tolist(), probs.tolist(), candidates.tolist(), strict=True):
        shares = [share for share, k in zip(row, own, strict=True) if k >= 0]
        even = 1 / len(shares)
        expected = 1.0 if len(shares) == 1 else (sum(x * x for x in shares) - even) / (1 - even)
        assert found == pytest.approx(expected, abs=1e-9)
        assert 0 <= found <= 1


def test_its_ends():
    own = torch.tensor([[3, 5, 7], [3, 5, -1], [3, 5, 7], [4, -1, -1], [-1, -1, -1]])
    probs = torch.tensor([[1 / 3] * 3, [0.5, 0.5, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert certainty(probs, own).tolist() == pytest.approx([0, 0, 1, 1, 0], abs=1e-6)


def test_the_order_of_candidates_does_not_matter():
    probs, candidates = problem(3)
    order = torch.tensor([4, 2, 0, 1, 3])
    assert torch.allclose(certainty(probs[:, order], candidates[:, order]), certainty(probs, candidates))


def test_half_precision_is_computed_in_float32():
    probs, candidates = problem(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = certainty(probs.bfloat16().requires_grad_(), candidates)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert torch.equal(found, certainty(probs.bfloat16().float(), candidates))
