"""The two partial-label losses against loops and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.inference import candidate_softmax
from wsreid.losses import (
    candidate_cross_entropy,
    classifier_consistent_loss,
    unary_loss,
    weighted_candidate_cross_entropy,
)


def random_inputs(seed, n=6, c=9, width=3):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, c, generator=generator, dtype=torch.float64) * 3
    candidates = torch.stack([torch.randperm(c, generator=generator)[:width] for _ in range(n)])
    candidates[torch.rand(n, width, generator=generator) < 0.3] = -1
    weights = torch.rand(n, width, generator=generator, dtype=torch.float64)
    return logits, candidates, weights


def naive(logits, candidates, weights=None):
    terms = []
    for i, row in enumerate(candidates.tolist()):
        log_p = logits[i].log_softmax(0).tolist()
        own = [(j, c) for j, c in enumerate(row) if c >= 0]
        if not own:
            continue
        if weights is None:
            terms.append(-math.log(sum(math.exp(log_p[c]) for _, c in own)))
        else:
            terms.append(-sum(float(weights[i, j]) * log_p[c] for j, c in own))
    return sum(terms) / max(len(terms), 1)


def weighted(logits, candidates):
    """With weights that are fixed but uneven, so that it takes what the other takes."""
    weights = torch.linspace(0.1, 1.0, candidates.numel()).view(candidates.shape)
    return weighted_candidate_cross_entropy(logits, candidates, weights)


LOSSES = [classifier_consistent_loss, weighted]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.sampled_from([6, 1]))
def test_they_are_the_loops(seed, n):
    logits, candidates, weights = (x[:n] for x in random_inputs(seed))
    found = weighted_candidate_cross_entropy(logits, candidates, weights)
    assert float(found) == pytest.approx(naive(logits, candidates, weights), abs=1e-9)
    assert float(classifier_consistent_loss(logits, candidates)) == pytest.approx(naive(logits, candidates), abs=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients(loss):
    logits, candidates, _ = random_inputs(3)
    candidates[0] = -1
    assert torch.autograd.gradcheck(lambda z: loss(z, candidates), logits.requires_grad_())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("width", [0, 3])
def test_no_candidates_gives_zero_and_zero_gradient(loss, width):
    logits, candidates, _ = random_inputs(2, width=width)
    logits.requires_grad_()
    value = loss(logits, torch.full_like(candidates, -1))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_logits_are_finite(loss):
    logits = torch.tensor([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    value = loss(logits, torch.tensor([[1, 2], [0, -1]]))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_float32_under_autocast(loss):
    logits, candidates, _ = random_inputs(7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(logits.bfloat16(), candidates)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(loss(logits.bfloat16().double(), candidates)), rel=1e-5)


def test_weights_at_padding_are_not_read():
    logits, candidates, weights = random_inputs(4)
    changed = torch.where(candidates < 0, torch.nan, weights)
    assert weighted_candidate_cross_entropy(logits, candidates, changed) == weighted_candidate_cross_entropy(
        logits, candidates, weights
    )


def test_uniform_weights_are_the_lower_line_and_hard_ones_plain_cross_entropy():
    logits, candidates, _ = random_inputs(5)
    valid = candidates >= 0
    uniform = valid / valid.sum(1, keepdim=True).clamp(min=1).double()
    assert torch.allclose(
        weighted_candidate_cross_entropy(logits, candidates, uniform), candidate_cross_entropy(logits, candidates)
    )
    candidates[:, 1] = torch.arange(6)
    hard = torch.tensor([[0.0, 1.0, 0.0]] * 6)
    assert torch.allclose(
        weighted_candidate_cross_entropy(logits, candidates, hard), unary_loss(logits, candidates[:, 1])
    )


def test_all_equal_logits_cost_what_the_size_of_the_set_says():
    logits = torch.zeros(2, 8, dtype=torch.float64)
    candidates = torch.tensor([[1, 5], [3, -1]])
    expected = (math.log(8 / 2) + math.log(8 / 1)) / 2
    assert float(classifier_consistent_loss(logits, candidates)) == pytest.approx(expected)
    halves = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    assert float(weighted_candidate_cross_entropy(logits, candidates, halves)) == pytest.approx(math.log(8))


def test_cc_has_the_gradient_of_weights_from_its_own_softmax():
    logits, candidates, _ = random_inputs(6)
    logits.requires_grad_()
    weights = candidate_softmax(logits.detach(), candidates)
    consistent = torch.autograd.grad(classifier_consistent_loss(logits, candidates), logits)[0]
    by_weights = torch.autograd.grad(weighted_candidate_cross_entropy(logits, candidates, weights), logits)[0]
    assert torch.allclose(consistent, by_weights)


def test_other_shapes_are_refused():
    logits, candidates, weights = random_inputs(8)
    with pytest.raises(ValueError, match="differ in shape"):
        weighted_candidate_cross_entropy(logits, candidates, weights[:, :2])


def test_smoothing_moves_mass_to_all_classes():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(3, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    candidates = torch.tensor([[0, 4], [2, -1], [-1, -1]])
    weights = torch.tensor([[0.3, 0.7], [1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    logp = logits.log_softmax(1)
    expected = 0.0
    for i in range(2):
        for c in range(6):
            target = 0.1 / 6
            for k in range(2):
                if int(candidates[i, k]) == c:
                    target += 0.9 * float(weights[i, k])
            expected = expected - target * logp[i, c] / 2
    assert torch.allclose(weighted_candidate_cross_entropy(logits, candidates, weights, 0.1), expected)
    assert torch.autograd.gradcheck(lambda z: weighted_candidate_cross_entropy(z, candidates, weights, 0.1), logits)
