"""The bag loss of attention pooling against a loop and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.losses import attention_bag_loss, pooled_bag_loss

from .bag_inputs import images_of, label_of, random_bags, slot_of


def naive(logits, scores, bag, candidates):
    terms = []
    for b in range(len(candidates)):
        own, images = label_of(candidates, b), images_of(bag, b)
        if not own or not images:
            continue
        total = 0.0
        for c in own:
            e = [math.exp(float(scores[i, slot_of(candidates, b, c)])) for i in images]
            s = sum(w / sum(e) * logits[i] for w, i in zip(e, images, strict=True)).tolist()
            total += math.log(sum(math.exp(v) for v in s)) - s[c]
        terms.append(total / len(own))
    return sum(terms) / max(len(terms), 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), sizes=st.sampled_from([(3, 1, 4), (4, 0)]))
def test_the_loop(seed, sizes):
    logits, bag, candidates, features = random_bags(seed, sizes)
    scores = features[:, :3]
    assert float(attention_bag_loss(logits, scores, bag, candidates)) == pytest.approx(
        naive(logits, scores, bag, candidates), rel=1e-9
    )


def test_gradients():
    logits, bag, candidates, features = random_bags(2)
    inputs = (logits.requires_grad_(), features[:, :3].clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda z, e: attention_bag_loss(z, e, bag, candidates), inputs)


def test_equal_scores_are_the_mean():
    logits, bag, candidates, _ = random_bags(3)
    found = attention_bag_loss(logits, torch.zeros(len(bag), 3, dtype=torch.float64), bag, candidates)
    assert float(found) == pytest.approx(float(pooled_bag_loss(logits, bag, candidates, "mean")))


def test_no_candidates_gives_zero_and_zero_gradient():
    logits, bag, candidates, features = random_bags(4)
    logits.requires_grad_()
    value = attention_bag_loss(logits, features[:, :3], bag, torch.full_like(candidates, -1))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


def test_a_bag_without_images_does_not_count():
    logits, bag, candidates, features = random_bags(5)
    more = torch.cat([candidates, torch.tensor([[0, 1, 2]])])
    assert torch.equal(
        attention_bag_loss(logits, features[:, :3], bag, more),
        attention_bag_loss(logits, features[:, :3], bag, candidates),
    )


def test_float32_under_autocast():
    logits, bag, candidates, features = random_bags(6)
    logits, scores = logits.float(), features[:, :3].float()
    outside = attention_bag_loss(logits, scores, bag, candidates)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(attention_bag_loss(logits, scores, bag, candidates), outside)
        assert attention_bag_loss(logits.bfloat16(), scores.bfloat16(), bag, candidates).dtype == torch.float32
