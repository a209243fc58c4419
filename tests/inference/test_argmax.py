"""The softmax over the candidates and its largest entry."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.inference import candidate_argmax, candidate_softmax, most_probable


def random_inputs(seed, n=6, c=9):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, c, generator=generator) * 3
    candidates = torch.stack([torch.randperm(c, generator=generator)[:4] for _ in range(n)])
    candidates[torch.rand(n, 4, generator=generator) < 0.3] = -1
    return logits, candidates


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_are_the_loops(seed):
    logits, candidates = random_inputs(seed)
    labels = candidate_argmax(logits, candidates)
    for z, row, label, probs in zip(
        logits.tolist(), candidates.tolist(), labels.ids.tolist(), labels.probs.tolist(), strict=True
    ):
        own = [c for c in row if c >= 0]
        assert label == (max(own, key=lambda c: z[c]) if own else -1)
        mass = sum(math.exp(z[c]) for c in own)
        assert probs == pytest.approx([math.exp(z[c]) / mass if c >= 0 else 0 for c in row], abs=1e-6)


def test_underflowing_probabilities_stay_inside_the_bag():
    logits = torch.tensor([[300.0, -300.0, -299.0]])
    labels = candidate_argmax(logits, torch.tensor([[1, 2]]))
    assert labels.ids.tolist() == [2]
    assert labels.probs.sum().item() == pytest.approx(1)


def test_ties_go_to_the_first_candidate():
    candidates = torch.tensor([[-1, 5, 2]])
    assert candidate_argmax(torch.zeros(1, 7), candidates).ids.tolist() == [5]
    assert most_probable(torch.tensor([[0.0, 0.5, 0.5]]), candidates).tolist() == [5]


def test_class_0_is_a_candidate_like_any_other():
    candidates = torch.tensor([[4, 0, -1], [0, -1, 3]])
    assert most_probable(torch.tensor([[0.1, 0.9, 0.0], [0.2, 0.0, 0.8]]), candidates).tolist() == [0, 3]


def test_no_candidates():
    logits = torch.zeros(2, 3)
    for candidates in (torch.full((2, 2), -1), torch.empty(2, 0, dtype=torch.long)):
        labels = candidate_argmax(logits, candidates)
        assert labels.ids.tolist() == [-1, -1]
        assert not labels.probs.any()


def test_half_precision_gives_float32_and_gradient_flows():
    logits = torch.randn(3, 5, dtype=torch.bfloat16, requires_grad=True)
    probs = candidate_softmax(logits, torch.tensor([[0, 1]] * 3))
    assert probs.dtype == torch.float32
    probs[:, 0].sum().backward()
    assert logits.grad.abs().sum() > 0
    assert not candidate_argmax(logits, torch.tensor([[0, 1]] * 3)).probs.requires_grad
