"""Poolings and bag losses against loops and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from wsreid.losses import pool_bags, pooled_bag_loss

from .bag_inputs import images_of, label_of, random_bags

POOLS = ["max", "mean", "topk", "lse", "noisyor"]


def naive_pool(values, pool, share=0.25, r=5.0):
    n = len(values)
    if pool == "max":
        return max(values)
    if pool == "mean":
        return sum(values) / n
    if pool == "topk":
        k = next(k for k in range(1, n + 1) if k >= n * share)
        return sum(sorted(values)[-k:]) / k
    if pool == "lse":
        return math.log(sum(math.exp(r * v) for v in values) / n) / r
    absent = math.prod(1 - 1 / (1 + math.exp(-v)) for v in values)
    return math.log((1 - absent) / absent)


def naive_loss(logits, bag, candidates, pool, loss):
    terms = []
    for b in range(len(candidates)):
        own, images = label_of(candidates, b), images_of(bag, b)
        if not own or not images:
            continue
        s = [naive_pool([float(logits[i, c]) for i in images], pool) for c in range(logits.shape[1])]
        if loss == "ce":
            total = math.log(sum(math.exp(v) for v in s))
            terms.append(sum(total - s[c] for c in own) / len(own))
        else:
            p = [1 / (1 + math.exp(-v)) for v in s]
            terms.append(-sum(math.log(v) if c in own else math.log(1 - v) for c, v in enumerate(p)))
    return sum(terms) / max(len(terms), 1)


@pytest.mark.parametrize("pool", POOLS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), loss=st.sampled_from(["ce", "bce"]), share=st.sampled_from([0.125, 0.25, 1.0]))
def test_the_loops(pool, seed, loss, share):
    logits, bag, candidates, _ = random_bags(seed)
    scores = pool_bags(logits, bag, 3, pool, share)
    expected = [
        [naive_pool([float(logits[i, c]) for i in images_of(bag, b)], pool, share) for c in range(9)] for b in range(3)
    ]
    assert_close(scores, torch.tensor(expected, dtype=torch.float64))
    found = float(pooled_bag_loss(logits, bag, candidates, pool, loss))
    assert found == pytest.approx(naive_loss(logits, bag, candidates, pool, loss), rel=1e-9)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_gradients(pool, loss):
    logits, bag, candidates, _ = random_bags(3)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: pooled_bag_loss(z, bag, candidates, pool, loss), logits)


def test_k_counts_the_images_at_hand():
    for n, share, k in [(1, 0.25, 1), (4, 0.25, 1), (5, 0.25, 2), (12, 0.25, 3), (8, 0.125, 1), (9, 0.125, 2)]:
        logits = torch.arange(n, dtype=torch.float64)[:, None]
        found = float(pool_bags(logits, torch.zeros(n, dtype=torch.long), 1, "topk", share))
        assert found == sum(range(n - k, n)) / k


@pytest.mark.parametrize("pool", POOLS)
def test_one_image_is_its_logits(pool):
    logits = torch.linspace(-30, 30, 7)[None]
    assert_close(pool_bags(logits, torch.tensor([0]), 1, pool), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_edges_are_finite(pool, loss):
    for logits in (torch.zeros(4, 6), torch.full((4, 6), -200.0), torch.full((4, 6), 200.0)):
        logits.requires_grad_()
        value = pooled_bag_loss(logits, torch.tensor([0, 0, 0, 2]), torch.tensor([[1, 2], [3, 4], [5, -1]]), pool, loss)
        value.backward()  # bag 1 has no image
        assert value.isfinite()
        assert logits.grad.isfinite().all()


def test_equal_logits_share_the_gradient_of_the_maximum():
    logits = torch.zeros(3, 4, requires_grad=True)
    pooled_bag_loss(logits, torch.zeros(3, dtype=torch.long), torch.tensor([[1]]), "max").backward()
    assert_close(logits.grad, logits.grad[:1].expand(3, 4))


@pytest.mark.parametrize("pool", POOLS)
def test_no_candidates_gives_zero_and_zero_gradient(pool):
    logits, bag, candidates, _ = random_bags(4)
    logits.requires_grad_()
    value = pooled_bag_loss(logits, bag, torch.full_like(candidates, -1), pool)
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("pool", POOLS)
def test_the_order_of_images_does_not_matter(pool):
    logits, bag, candidates, _ = random_bags(5)
    order = bag.argsort(stable=True)
    assert_close(
        pooled_bag_loss(logits, bag, candidates, pool), pooled_bag_loss(logits[order], bag[order], candidates, pool)
    )


def test_images_of_other_bags_do_not_matter():
    logits, bag, _, _ = random_bags(6)
    changed = logits.clone()
    changed[bag == 2] += 7
    assert torch.equal(pool_bags(logits, bag, 3, "lse")[:2], pool_bags(changed, bag, 3, "lse")[:2])


def test_an_unknown_pool_is_refused():
    with pytest.raises(ValueError, match="median"):
        pool_bags(torch.zeros(1, 2), torch.tensor([0]), 1, "median")


@pytest.mark.parametrize("pool", POOLS)
def test_float32_under_autocast(pool):
    logits, bag, candidates, _ = random_bags(7)
    logits = logits.float()
    outside = pooled_bag_loss(logits, bag, candidates, pool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(pooled_bag_loss(logits, bag, candidates, pool), outside)
        assert pooled_bag_loss(logits.bfloat16(), bag, candidates, pool).dtype == torch.float32


def test_a_bag_without_images_does_not_count():
    logits, bag, candidates, _ = random_bags(8)
    more = torch.cat([candidates, torch.tensor([[0, 1, 2]])])
    assert_close(pooled_bag_loss(logits, bag, more), pooled_bag_loss(logits, bag, candidates))


def test_half_precision_is_pooled_in_float32():
    logits, bag, _, _ = random_bags(9)
    assert pool_bags(logits.bfloat16(), bag, 3, "lse").dtype == torch.float32
