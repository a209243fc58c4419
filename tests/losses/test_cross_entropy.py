"""The three cross entropies against loops and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.losses import candidate_binary_cross_entropy, candidate_cross_entropy, smoothed_cross_entropy

CANDIDATE_LOSSES = [candidate_cross_entropy, candidate_binary_cross_entropy]


def random_inputs(seed, n=6, c=9):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, c, generator=generator, dtype=torch.float64) * 3
    candidates = torch.stack([torch.randperm(c, generator=generator)[:3] for _ in range(n)])
    candidates[torch.rand(n, 3, generator=generator) < 0.3] = -1
    return logits, candidates


def naive_candidate(loss, logits, candidates):
    terms = []
    for z, row in zip(logits, candidates.tolist(), strict=True):
        own = {c for c in row if c >= 0}
        if not own:
            continue
        if loss is candidate_cross_entropy:
            terms.append(-sum(float(z.log_softmax(0)[c]) for c in own) / len(own))
        else:
            p = z.sigmoid().tolist()
            terms.append(-sum(math.log(v) if c in own else math.log(1 - v) for c, v in enumerate(p)))
    return sum(terms) / max(len(terms), 1)


@pytest.mark.parametrize("loss", CANDIDATE_LOSSES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.sampled_from([6, 1]))
def test_candidate_losses_are_the_loops(loss, seed, n):
    logits, candidates = random_inputs(seed, n)
    assert float(loss(logits, candidates)) == pytest.approx(naive_candidate(loss, logits, candidates), abs=1e-9)


@pytest.mark.parametrize("loss", CANDIDATE_LOSSES)
def test_order_and_padding_do_not_matter(loss):
    logits, candidates = random_inputs(1)
    padded = torch.cat([torch.full((6, 2), -1), candidates.flip(1)], 1)
    assert float(loss(logits, padded)) == pytest.approx(float(loss(logits, candidates)))


@pytest.mark.parametrize("loss", CANDIDATE_LOSSES)
def test_no_candidates_gives_zero_and_zero_gradient(loss):
    logits, candidates = random_inputs(2)
    logits.requires_grad_()
    value = loss(logits, torch.full_like(candidates, -1))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("loss", CANDIDATE_LOSSES)
def test_extreme_logits_are_finite(loss):
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    value = loss(logits, torch.tensor([[1, 2]]))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", CANDIDATE_LOSSES)
def test_gradients(loss):
    logits, candidates = random_inputs(3)
    assert torch.autograd.gradcheck(lambda z: loss(z, candidates), logits.requires_grad_())


def test_one_candidate_is_cross_entropy():
    logits, _ = random_inputs(4)
    labels = torch.arange(6)
    expected = torch.nn.functional.cross_entropy(logits, labels)
    assert float(candidate_cross_entropy(logits, labels[:, None])) == pytest.approx(float(expected))


def test_smoothing_is_the_loop():
    logits, _ = random_inputs(5)
    labels = torch.tensor([0, 3, -1, 8, 1, -1])
    terms = []
    for z, y in zip(logits, labels.tolist(), strict=True):
        target = [0.1 / 9 + (0.9 if c == y else 0) for c in range(9)]
        if y >= 0:
            terms.append(-sum(t * float(v) for t, v in zip(target, z.log_softmax(0), strict=True)))
    assert float(smoothed_cross_entropy(logits, labels)) == pytest.approx(sum(terms) / len(terms))


def test_smoothing_without_labels_is_zero():
    logits, _ = random_inputs(6)
    logits.requires_grad_()
    value = smoothed_cross_entropy(logits, torch.full((6,), -1))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


def test_float32_under_autocast():
    logits, candidates = random_inputs(7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for loss in CANDIDATE_LOSSES:
            assert loss(logits.bfloat16(), candidates).dtype == torch.float32
    assert smoothed_cross_entropy(logits.bfloat16(), candidates[:, 0]).dtype == torch.float32


def test_the_mean_over_one_image_is_its_own():
    logits, _ = random_inputs(8, n=2)
    one = smoothed_cross_entropy(logits[:1], torch.tensor([4]))
    assert float(smoothed_cross_entropy(logits, torch.tensor([4, -1]))) == pytest.approx(float(one))
    assert float(smoothed_cross_entropy(logits[[0, 0]], torch.tensor([4, 4]))) == pytest.approx(float(one))
