"""The graph model's losses: against the official numbers (conftest), against loops, and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from wsreid.inference import candidate_argmax
from wsreid.losses import graph_loss, pairwise_loss, soft_pairwise_loss, unary_loss

from .conftest import assert_near


def random_inputs(seed, n=7, c=9, dims=4):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, c, generator=generator, dtype=torch.float64) * 2
    pseudo = torch.randint(-1, 3, (n,), generator=generator)
    low_level = torch.rand(n, dims, generator=generator, dtype=torch.float64)
    bag = torch.randint(0, 3, (n,), generator=generator)
    return logits, pseudo, low_level, bag


def naive_pairwise(logits, pseudo, low_level, sigma, bag):
    probs = logits.softmax(1).tolist()
    features = low_level.tolist()
    total, pairs = 0.0, 0
    for i in range(len(probs)):
        for j in range(len(probs)):
            if pseudo[i] < 0 or pseudo[j] < 0 or (bag is not None and bag[i] != bag[j]):
                continue
            pairs += 1
            if pseudo[i] != pseudo[j]:
                distance = sum((a - b) ** 2 for a, b in zip(features[i], features[j], strict=True))
                total -= math.exp(-distance / sigma) * sum(a * b for a, b in zip(probs[i], probs[j], strict=True))
    return total / max(pairs, 1)


def test_official_losses_and_gradients(dgl_vector):
    arrays, numbers = dgl_vector
    logits = arrays["logits"].requires_grad_()
    low_level = arrays["low_level"].requires_grad_()
    pseudo = candidate_argmax(logits, arrays["candidates"]).ids
    assert torch.equal(pseudo, arrays["pseudo"])
    assert_near(unary_loss(logits, pseudo).detach(), numbers["cls_loss"])
    assert_near(pairwise_loss(logits, pseudo, low_level, numbers["sigma"]).detach(), numbers["pairwise_loss"])
    total = graph_loss(logits, pseudo, low_level, numbers["pairwise_weight"], numbers["sigma"])
    assert_near(total.detach(), numbers["graph_loss"])
    total.backward()
    assert_near(logits.grad, arrays["grad_logits"])
    assert_near(low_level.grad, arrays["grad_low_level"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), sigma=st.floats(0.2, 5), in_bag=st.booleans())
def test_pairwise_is_the_double_sum(seed, sigma, in_bag):
    logits, pseudo, low_level, bag = random_inputs(seed)
    bag = bag if in_bag else None
    expected = naive_pairwise(logits, pseudo, low_level, sigma, bag)
    assert float(pairwise_loss(logits, pseudo, low_level, sigma, bag)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_unary_is_the_mean_over_labelled_images():
    logits, pseudo, _, _ = random_inputs(1)
    terms = [-float(logits[i].log_softmax(0)[k]) for i, k in enumerate(pseudo.tolist()) if k >= 0]
    assert float(unary_loss(logits, pseudo)) == pytest.approx(sum(terms) / len(terms))


def test_unary_of_one_image_is_its_own_and_float32():
    logits, _, _, _ = random_inputs(1)
    found = unary_loss(logits[:2], torch.tensor([3, -1]))
    assert torch.allclose(found, -logits[0].log_softmax(0)[3])
    assert unary_loss(logits.bfloat16(), torch.zeros(7, dtype=torch.long)).dtype == torch.float32


def test_gradients():
    logits, pseudo, low_level, bag = random_inputs(2)
    logits.requires_grad_()
    low_level.requires_grad_()
    assert torch.autograd.gradcheck(lambda z, g: graph_loss(z, pseudo, g, 2.0, 1.0, bag), (logits, low_level))


def test_permuting_images_changes_nothing():
    logits, pseudo, low_level, bag = random_inputs(3)
    order = torch.randperm(len(bag), generator=torch.Generator().manual_seed(0))
    assert_close(
        graph_loss(logits, pseudo, low_level, 2.0, 1.0, bag),
        graph_loss(logits[order], pseudo[order], low_level[order], 2.0, 1.0, bag[order]),
    )


def test_detach_stops_the_appearance_gradient():
    logits, pseudo, low_level, _ = random_inputs(4)
    logits.requires_grad_()
    low_level.requires_grad_()
    pairwise_loss(logits, pseudo, low_level, detach=True).backward()
    assert low_level.grad is None
    assert logits.grad.abs().sum() > 0


def test_no_labels_gives_zero_and_zero_gradient():
    logits, pseudo, low_level, bag = random_inputs(5)
    logits.requires_grad_()
    loss = graph_loss(logits, torch.full_like(pseudo, -1), low_level, 2.0, 1.0, bag)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_probabilities_that_underflow_stay_finite():
    logits = torch.tensor([[200.0, 0.0, -50.0], [200.0, 1.0, 0.0]], requires_grad=True)
    pseudo = candidate_argmax(logits, torch.tensor([[1, 2], [1, 2]])).ids
    assert pseudo.tolist() == [1, 1]
    loss = unary_loss(logits, pseudo)
    loss.backward()
    assert float(loss) == pytest.approx(199.5)
    assert logits.grad.isfinite().all()


def test_float32_under_autocast():
    logits, pseudo, low_level, _ = (x.float() if x.is_floating_point() else x for x in random_inputs(6))
    outside = graph_loss(logits, pseudo, low_level)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = graph_loss(logits, pseudo, low_level)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)
    assert graph_loss(logits.bfloat16(), pseudo, low_level.bfloat16()).dtype == torch.float32


def test_soft_pairs_as_a_loop():
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(5, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    candidates = torch.tensor([[1, 4, 8]] * 3 + [[0, 2, -1]] * 2)
    coupling = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    coupling = (coupling + coupling.T).fill_diagonal_(0)
    coupling[:3, 3:] = coupling[3:, :3] = 0
    probs = [logits[i, [c for c in candidates[i].tolist() if c >= 0]].softmax(0) for i in range(5)]
    total, weight = 0.0, 0.0
    for i in range(5):
        for j in range(5):
            if float(coupling[i, j]):
                total = total + coupling[i, j] * (1 - probs[i] @ probs[j])
                weight += abs(float(coupling[i, j]))
    assert torch.allclose(soft_pairwise_loss(logits, candidates, coupling), total / weight)
    assert torch.autograd.gradcheck(lambda z: soft_pairwise_loss(z, candidates, coupling), logits)
    assert torch.allclose(soft_pairwise_loss(logits, candidates, coupling / 1000), total / weight)


def test_soft_pairs_without_pairs_are_zero():
    logits = torch.randn(3, 4, requires_grad=True)
    loss = soft_pairwise_loss(logits, torch.tensor([[1, 2], [0, 3], [-1, -1]]), torch.zeros(3, 3))
    loss.backward()
    assert float(loss) == 0.0
    assert not bool(logits.grad.any())


def test_soft_pairs_under_autocast():
    logits, candidates = torch.randn(4, 6), torch.tensor([[1, 2]] * 4)
    coupling = torch.ones(4, 4).fill_diagonal_(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = soft_pairwise_loss(logits.bfloat16(), candidates, coupling)
    assert found.dtype == torch.float32
    assert torch.allclose(found, soft_pairwise_loss(logits.bfloat16().float(), candidates, coupling))
