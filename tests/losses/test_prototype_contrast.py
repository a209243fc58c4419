"""Contrast with prototypes by soft labels: against a loop, in chunks, gradients, and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from wsreid.losses import cluster_contrast_loss, prototype_contrast_loss


def problem(seed, n=7, classes=9, width=5, wide=3, zeros=()):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, width, generator=generator, dtype=torch.float64)
    prototypes = torch.randn(classes, width, generator=generator, dtype=torch.float64)
    prototypes = prototypes / prototypes.norm(dim=1, keepdim=True)
    prototypes[list(zeros)] = 0
    candidates = torch.stack([torch.randperm(classes, generator=generator)[:wide] for _ in range(n)])
    for row in range(n):
        candidates[row, wide - row % wide :] = -1
    weight = torch.rand(n, wide, generator=generator, dtype=torch.float64) * (candidates >= 0)
    return features, prototypes, candidates, weight / weight.sum(1, keepdim=True)


def naive(features, prototypes, candidates, probs, tau):
    mus = prototypes.tolist()
    terms = []
    for f, own, w in zip(features.tolist(), candidates.tolist(), probs.tolist(), strict=True):
        own = [(k, share) for k, share in zip(own, w, strict=True) if k >= 0]
        if not own or any(not any(mus[k]) for k, _ in own):
            continue
        norm = math.sqrt(sum(x * x for x in f))
        s = [sum(a * b for a, b in zip(f, mu, strict=True)) / norm / tau for mu in mus]
        top = max(s)
        total = top + math.log(sum(math.exp(x - top) for x, mu in zip(s, mus, strict=True) if any(mu)))
        terms.append(sum(share * (total - s[k]) for k, share in own))
    return sum(terms) / max(len(terms), 1)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 9),
    tau=st.sampled_from((0.05, 0.5)),
    chunk=st.sampled_from((1, 4, 5, 100)),
    zeros=st.sets(st.integers(0, 8), max_size=3),
)
def test_is_the_loop_however_it_is_cut(seed, n, tau, chunk, zeros):
    given_ = problem(seed, n, zeros=zeros)
    found = float(prototype_contrast_loss(*given_, tau, chunk))
    assert found == pytest.approx(naive(*given_, tau), rel=1e-9, abs=1e-9)


def test_sure_labels_are_those_of_cluster_contrast():
    features, prototypes, candidates, _ = problem(1)
    sure = (torch.arange(3) == 0).double().expand(len(features), 3)
    assert_close(
        prototype_contrast_loss(features, prototypes, candidates, sure, 0.1),
        cluster_contrast_loss(features, prototypes, candidates[:, 0], 0.1),
    )


@pytest.mark.parametrize("chunk", [2, 100])
def test_gradients_reach_the_features_alone(chunk):
    features, prototypes, candidates, probs = problem(2, zeros=(4, 5))
    features.requires_grad_()
    prototypes.requires_grad_()
    probs.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f: prototype_contrast_loss(f, prototypes, candidates, probs, 0.5, chunk), (features,)
    )
    prototype_contrast_loss(features, prototypes, candidates, probs, 0.5, chunk).backward()
    assert prototypes.grad is None
    assert probs.grad is None


@pytest.mark.parametrize("chunk", [2, 100])
@pytest.mark.parametrize("without", ["prototypes", "candidates"])
def test_without_prototypes_or_candidates_zero_and_zero_gradient(without, chunk):
    features, prototypes, candidates, probs = problem(3)
    features.requires_grad_()
    if without == "prototypes":
        prototypes = torch.zeros_like(prototypes)
    else:
        candidates, probs = torch.full_like(candidates, -1), torch.zeros_like(probs)
    loss = prototype_contrast_loss(features, prototypes, candidates, probs, 0.1, chunk)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not features.grad.any()


def test_float32_under_autocast_and_with_a_bank_in_half_precision():
    features, prototypes, candidates, probs = problem(4)
    features, prototypes, probs = features.float(), prototypes.half(), probs.float()
    outside = prototype_contrast_loss(features, prototypes, candidates, probs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = prototype_contrast_loss(features, prototypes, candidates, probs)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)
    assert_close(outside, prototype_contrast_loss(features, prototypes.float(), candidates, probs))
    double = prototype_contrast_loss(features.double(), prototypes.double(), candidates, probs.double())
    assert_close(outside, double.float(), rtol=1e-5, atol=1e-6)


def test_a_temperature_above_zero():
    with pytest.raises(ValueError, match="temperature"):
        prototype_contrast_loss(*problem(5), 0.0)
