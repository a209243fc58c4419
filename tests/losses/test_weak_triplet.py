"""The weakly supervised triplet loss: against the official numbers, against loops, and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.losses import shares_candidate, weak_triplet_loss

from .conftest import assert_near


def random_inputs(seed, n=9):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    candidates = torch.stack([torch.randperm(8, generator=generator)[:3] for _ in range(n)])
    candidates[torch.rand(n, 3, generator=generator) < 0.3] = -1
    return embeddings, candidates


def naive(embeddings, candidates, margin, rank_of):
    points = embeddings.tolist()
    sets = [{c for c in row if c >= 0} for row in candidates.tolist()]
    hinges = []
    for i, own in enumerate(sets):
        distance = [0.0 if i == j else math.dist(points[i], points[j]) for j in range(len(points))]
        near = sorted(distance[j] for j in range(len(points)) if own & sets[j])
        far = [distance[j] for j in range(len(points)) if own and sets[j] and not own & sets[j]]
        if far:
            hinges.append(max(0.0, near[rank_of(len(near), len(own))] - min(far) + margin))
    return sum(hinges) / max(len(hinges), 1)


def test_official_loss_and_gradient(dgl_vector):
    arrays, numbers = dgl_vector
    embeddings = arrays["embeddings"].requires_grad_()
    loss = weak_triplet_loss(embeddings, arrays["candidates"], numbers["margin"])
    assert_near(loss.detach(), numbers["triplet_loss"])
    loss.backward()
    assert_near(embeddings.grad, arrays["grad_embeddings"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), margin=st.floats(0, 3))
def test_median_and_quantile_are_the_loops(seed, margin):
    embeddings, candidates = random_inputs(seed)
    expected = naive(embeddings, candidates, margin, lambda count, _: (count - 1) // 2)
    assert float(weak_triplet_loss(embeddings, candidates, margin)) == pytest.approx(expected, abs=1e-5)
    width = (candidates >= 0).sum(1).clamp(min=1)
    expected = naive(embeddings, candidates, margin, lambda count, n: -(-count // n) - 1)
    assert float(weak_triplet_loss(embeddings, candidates, margin, 1 / width)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("n", "k"), [(1, 4), (2, 4), (3, 5), (4, 4), (5, 3), (7, 7)])
def test_quantile_by_bag_is_sorted_index_k_minus_1(n, k):
    """One bag of n identities with k images each on a line, and one certain negative far away."""
    x = torch.cat([torch.arange(n * k, dtype=torch.float64), torch.tensor([1000.0])])[:, None]
    candidates = torch.arange(n).repeat(n * k + 1, 1)
    candidates[-1] = 100
    # of the first image the sorted distances are 0, 1, 2, ...; the last image's own are 0 and far
    only_first = weak_triplet_loss(x, candidates, 1e6, 1 / n) * (n * k + 1)
    distance = (x - x.T).abs()[:-1, :-1].sort(1).values[:, k - 1].sum()
    expected = distance - (1000 - x[:-1]).sum() - (1000 - (n * k - 1)) + 1e6 * (n * k + 1)
    assert float(only_first) == pytest.approx(float(expected), abs=1e-4)


def test_one_half_is_the_lower_median():
    embeddings, candidates = random_inputs(1)
    assert float(weak_triplet_loss(embeddings, candidates, 1.2, 0.5)) == float(
        weak_triplet_loss(embeddings, candidates)
    )


def test_shares_candidate():
    candidates = torch.tensor([[1, 2, -1], [2, 3, 4], [5, -1, -1], [-1, -1, -1]])
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert shares_candidate(candidates).int().tolist() == expected


def test_no_negative_gives_zero_and_zero_gradient():
    embeddings = torch.randn(4, 3, requires_grad=True)
    loss = weak_triplet_loss(embeddings, torch.tensor([[1, 2]] * 4))
    loss.backward()
    assert loss.item() == 0
    assert not embeddings.grad.any()


def test_equal_images_have_finite_gradients():
    embeddings = torch.ones(4, 3, requires_grad=True)
    weak_triplet_loss(embeddings, torch.tensor([[1], [1], [2], [2]])).backward()
    assert embeddings.grad.isfinite().all()


def test_gradient():
    embeddings, candidates = random_inputs(3)
    assert torch.autograd.gradcheck(lambda f: weak_triplet_loss(f, candidates, 2.0), embeddings.requires_grad_())


def test_float32_under_autocast():
    embeddings, candidates = random_inputs(4)
    outside = weak_triplet_loss(embeddings.float(), candidates)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(weak_triplet_loss(embeddings.float(), candidates), outside)
    assert weak_triplet_loss(embeddings.bfloat16(), candidates).dtype == torch.float32
