"""Co-person attention against a loop and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.losses import co_person_attention_loss, shared_candidates

from .bag_inputs import images_of, label_of, random_bags


def sharing_bags(seed):
    """Four bags, one with a single image; labels out of few classes, so that they share."""
    return random_bags(seed, sizes=(3, 1, 4, 2), c=4)


def distance(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(x * x for x in b))


def naive(logits, features, bag, candidates, margin):
    def parts(b, c):
        images = images_of(bag, b)
        weights = [math.exp(float(logits[i, c])) for i in images]
        a = [w / sum(weights) for w in weights]
        dims = range(features.shape[1])
        high = [sum(w * float(features[i, d]) for w, i in zip(a, images, strict=True)) for d in dims]
        low = [
            sum((1 - w) / (len(images) - 1) * float(features[i, d]) for w, i in zip(a, images, strict=True))
            for d in dims
        ]
        return high, low

    terms = []
    for u in range(len(candidates)):
        for v in range(u + 1, len(candidates)):
            if len(images_of(bag, u)) < 2 or len(images_of(bag, v)) < 2:
                continue
            for c in set(label_of(candidates, u)) & set(label_of(candidates, v)):
                (hu, lu), (hv, lv) = parts(u, c), parts(v, c)
                first = max(0, distance(hu, hv) - distance(hu, lv) + margin)
                second = max(0, distance(hu, hv) - distance(lu, hv) + margin)
                terms.append((first + second) / 2)
    return sum(terms) / max(len(terms), 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), margin=st.sampled_from([0.1, 0.5, 1.0]))
def test_the_loop(seed, margin):
    logits, bag, candidates, features = sharing_bags(seed)
    expected = naive(logits, features, bag, candidates, margin)
    found = float(co_person_attention_loss(logits, features, bag, candidates, margin))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_gradients():
    logits, bag, candidates, features = sharing_bags(1)
    inputs = (logits.requires_grad_(), features.requires_grad_())
    assert co_person_attention_loss(*inputs, bag, candidates).item() > 0
    assert torch.autograd.gradcheck(lambda z, f: co_person_attention_loss(z, f, bag, candidates), inputs)


def test_shared_candidates_are_each_pair_once():
    pairs = shared_candidates(torch.tensor([[1, 2, -1], [2, 3, 1], [4, -1, -1], [3, -1, -1]]))
    assert sorted(pairs.tolist()) == [[0, 0, 1, 2], [0, 1, 1, 0], [1, 1, 3, 0]]


@pytest.mark.parametrize("case", ["disjoint", "none", "one bag", "single images"])
def test_without_pairs_it_is_zero_with_zero_gradient(case):
    logits, bag, candidates, features = random_bags(2)
    if case == "disjoint":
        candidates = torch.arange(9).view(3, 3)
    elif case == "none":
        candidates = torch.full_like(candidates, -1)
    elif case == "one bag":
        bag, candidates = torch.zeros_like(bag), candidates[:1]
    else:
        logits, features, bag, candidates = logits[:3], features[:3], torch.arange(3), torch.ones(3, 1).long()
    logits, features = logits.clone().requires_grad_(), features.clone().requires_grad_()
    value = co_person_attention_loss(logits, features, bag, candidates)
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()
    assert not features.grad.any()


def test_equal_images_are_finite():
    logits = torch.zeros(4, 3, requires_grad=True)
    for features in (torch.ones(4, 5, requires_grad=True), torch.zeros(4, 5, requires_grad=True)):
        value = co_person_attention_loss(logits, features, torch.tensor([0, 0, 1, 1]), torch.tensor([[1], [1]]))
        value.backward()
        assert float(value.detach()) == pytest.approx(0.5)
        assert features.grad.isfinite().all()


def test_float32_under_autocast():
    logits, bag, candidates, features = sharing_bags(3)
    logits, features = logits.float(), features.float()
    outside = co_person_attention_loss(logits, features, bag, candidates)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(co_person_attention_loss(logits, features, bag, candidates), outside)
        assert co_person_attention_loss(logits, features.bfloat16(), bag, candidates).dtype == torch.float32
