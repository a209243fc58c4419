"""The two contrastive losses against loops and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from wsreid.losses import momentum_contrastive_loss, supervised_contrastive_loss

EMPTY = 4


def random_inputs(seed, n=5, q=7, dims=4):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2 * n + q, dims, generator=generator, dtype=torch.float64)
    query, key, queue = normalize(features, dim=1).split([n, n, q])
    labels = torch.randint(-1, 3, (n,), generator=generator)
    queue_labels = torch.randint(0, 3, (q,), generator=generator)
    queue_labels[EMPTY:] = -1
    return query, key, queue, labels, queue_labels


def dot(a, b):
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


def naive_momentum(query, key, queue, filled, t):
    total = 0.0
    for q, k in zip(query, key, strict=True):
        good = math.exp(dot(q, k) / t)
        bad = sum(math.exp(dot(q, u) / t) for u, there in zip(queue, filled.tolist(), strict=True) if there)
        total -= math.log(good / (good + bad))
    return total / len(query)


def naive_supervised(query, key, queue, labels, queue_labels, t):
    n = len(query)
    pool = [*query, *key, *queue]
    names = [*labels.tolist(), *labels.tolist(), *queue_labels.tolist()]
    terms = []
    for i in range(n):
        if names[i] < 0:
            continue
        others = [j for j in range(len(pool)) if j != i and names[j] >= 0]
        total = sum(math.exp(dot(query[i], pool[j]) / t) for j in others)
        positives = [j for j in others if names[j] == names[i]]
        terms.append(-sum(math.log(math.exp(dot(query[i], pool[j]) / t) / total) for j in positives) / len(positives))
    return sum(terms) / max(len(terms), 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), t=st.floats(0.05, 1))
def test_they_are_the_loops(seed, t):
    query, key, queue, labels, queue_labels = random_inputs(seed)
    filled = queue_labels >= 0
    assert float(momentum_contrastive_loss(query, key, queue, filled, t)) == pytest.approx(
        naive_momentum(query, key, queue, filled, t), rel=1e-9, abs=1e-12
    )
    assert float(supervised_contrastive_loss(query, key, queue, labels, queue_labels, t)) == pytest.approx(
        naive_supervised(query, key, queue, labels, queue_labels, t), rel=1e-9, abs=1e-12
    )


def test_gradients():
    query, key, queue, labels, queue_labels = random_inputs(1)
    labels[0] = -1
    inputs = (query.clone().requires_grad_(), key.clone().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda q, k: supervised_contrastive_loss(q, k, queue, labels, queue_labels, 0.5), inputs
    )
    assert torch.autograd.gradcheck(lambda q, k: momentum_contrastive_loss(q, k, queue, queue_labels >= 0, 0.5), inputs)


def test_an_empty_queue():
    query, key, queue, labels, queue_labels = random_inputs(2)
    query = query.clone().requires_grad_()
    nothing = torch.full_like(queue_labels, -1)
    momentum = momentum_contrastive_loss(query, key, queue, nothing >= 0)
    momentum.backward()
    assert momentum.item() == 0
    assert not query.grad.any()
    labels[:] = 1
    assert supervised_contrastive_loss(query, key, queue, labels, nothing).item() == pytest.approx(
        naive_supervised(query.detach(), key, queue[:0], labels, queue_labels[:0], 0.07)
    )


def test_no_labels_gives_zero_and_zero_gradient():
    query, key, queue, labels, queue_labels = random_inputs(3)
    query = query.clone().requires_grad_()
    for among in (queue_labels, torch.full_like(queue_labels, -1)):
        loss = supervised_contrastive_loss(query, key, queue, torch.full_like(labels, -1), among)
        loss.backward()
        assert loss.item() == 0
        assert not query.grad.any()


def test_one_image_alone_has_its_own_key():
    query, key, queue, _, queue_labels = random_inputs(4, n=1)
    loss = supervised_contrastive_loss(query, key, queue, torch.tensor([9]), queue_labels)
    alone = naive_momentum(query, key, queue, queue_labels >= 0, 0.07)
    assert float(loss) == pytest.approx(alone)
    assert float(momentum_contrastive_loss(query, key, queue, queue_labels >= 0)) == pytest.approx(alone)


def test_equal_features_are_finite():
    same = torch.ones(3, 4) / 2
    query = same.clone().requires_grad_()
    labels = torch.tensor([0, 1, 1])
    loss = supervised_contrastive_loss(query, same, same, labels, labels)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(8))
    assert query.grad.isfinite().all()


def test_float32_under_autocast():
    query, key, queue, labels, queue_labels = random_inputs(5)
    labels[:2] = 1
    half = [x.bfloat16() for x in (query, key, queue)]
    exact = [x.double() for x in half]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        supervised = supervised_contrastive_loss(*half, labels, queue_labels)
        momentum = momentum_contrastive_loss(*half, queue_labels >= 0)
    assert supervised.dtype == momentum.dtype == torch.float32
    assert float(supervised) == pytest.approx(naive_supervised(*exact, labels, queue_labels, 0.07), rel=1e-4)
    assert float(momentum) == pytest.approx(naive_momentum(*exact, queue_labels >= 0, 0.07), rel=1e-4)
