"""Sharpening: against a loop, and at the edges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from wsreid.inference import sharpened


def naive(probs, candidates, temperature):
    rows = []
    for p, own in zip(probs.tolist(), candidates.tolist(), strict=True):
        powers = [x ** (1 / temperature) if c >= 0 else 0.0 for x, c in zip(p, own, strict=True)]
        total = sum(powers)
        rows.append([x / total if total else 0.0 for x in powers])
    return torch.tensor(rows, dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), temperature=st.sampled_from((0.25, 0.5, 1.0, 3.0)))
def test_is_the_loop(seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.tensor([[0, 3, 5], [2, 4, -1], [7, -1, -1], [-1, -1, -1]])
    probs = torch.rand(4, 3, generator=generator, dtype=torch.float64)
    assert_close(sharpened(probs, candidates, temperature), naive(probs, candidates, temperature))


def test_equal_ones_stay_equal_and_a_temperature_near_zero_decides():
    candidates = torch.arange(3).expand(2, 3)
    assert_close(sharpened(torch.full((2, 3), 0.2), candidates, 0.5), torch.full((2, 3), 1 / 3))
    found = sharpened(torch.tensor([[0.5, 0.3, 0.2], [0.0, 1e-30, 1.0]]), candidates, 0.001)
    assert_close(found, torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]))


def test_float32_under_autocast_and_no_gradient():
    probs = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    candidates = torch.arange(3).expand(4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = sharpened(probs.requires_grad_(), candidates, 0.5)
    assert torch.equal(inside, sharpened(probs, candidates, 0.5))
    assert not inside.requires_grad
    assert sharpened(probs.bfloat16(), candidates, 0.5).dtype == torch.float32


def test_no_candidate_column_and_no_temperature():
    assert sharpened(torch.zeros(2, 0), torch.zeros(2, 0).long(), 0.5).shape == (2, 0)
    with pytest.raises(ValueError, match="temperature"):
        sharpened(torch.ones(1, 1), torch.zeros(1, 1).long(), 0.0)
