"""Batch-hard triplet loss against loops and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.losses import batch_hard_triplet_loss


def naive(embeddings, labels, margin):
    points, labels = embeddings.tolist(), labels.tolist()
    hinges = []
    for i, y in enumerate(labels):
        others = [j for j in range(len(labels)) if j != i and labels[j] >= 0]
        positive = [math.dist(points[i], points[j]) for j in others if labels[j] == y]
        negative = [math.dist(points[i], points[j]) for j in others if labels[j] != y]
        if y >= 0 and positive and negative:
            hinges.append(max(0.0, max(positive) - min(negative) + margin))
    return sum(hinges) / max(len(hinges), 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), margin=st.floats(0, 3))
def test_is_the_loop(seed, margin):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(8, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1, 4, (8,), generator=generator)
    expected = naive(embeddings, labels, margin)
    assert float(batch_hard_triplet_loss(embeddings, labels, margin)) == pytest.approx(expected, abs=1e-9)


def test_unknown_images_get_no_gradient():
    embeddings = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    batch_hard_triplet_loss(embeddings, torch.tensor([0, 0, 1, 1, -1, -1]), 5.0).backward()
    assert embeddings.grad[:4].any()
    assert not embeddings.grad[4:].any()


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [-1, -1, -1]])
def test_no_triplet_gives_zero_and_zero_gradient(labels):
    embeddings = torch.randn(3, 4, requires_grad=True)
    loss = batch_hard_triplet_loss(embeddings, torch.tensor(labels))
    loss.backward()
    assert loss.item() == 0
    assert not embeddings.grad.any()


def test_float32_under_autocast():
    embeddings, labels = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    outside = batch_hard_triplet_loss(embeddings, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(batch_hard_triplet_loss(embeddings, labels), outside)
