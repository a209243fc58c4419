"""The losses on bag means against loops and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from wsreid.losses import bag_means, bag_smoothed_cross_entropy, bag_triplet_loss, nearest_image_loss

from .bag_inputs import images_of, label_of, random_bags


def sharing_bags(seed):
    return random_bags(seed, sizes=(3, 1, 4, 2, 2), c=6)


def naive_triplet(means, candidates, margin):
    def d(a, b):
        return math.sqrt(float((means[a] - means[b]).square().sum()))

    labels = [label_of(candidates, b) for b in range(len(candidates))]
    terms = []
    for b, own in enumerate(labels):
        for c in own:
            positive = [d(b, o) for o, label in enumerate(labels) if o != b and c in label]
            negative = [d(b, o) for o, label in enumerate(labels) if label and c not in label]
            if positive and negative:
                terms.append(max(0, max(positive) - min(negative) + margin))
    return sum(terms) / max(len(terms), 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_loops(seed):
    logits, bag, candidates, features = sharing_bags(seed)
    means = bag_means(features, bag, 5)
    for b in range(5):
        assert_close(means[b], sum(features[i] for i in images_of(bag, b)) / len(images_of(bag, b)))
    assert float(bag_triplet_loss(means, candidates, 0.3)) == pytest.approx(
        naive_triplet(means, candidates, 0.3), rel=1e-6, abs=1e-9
    )
    nearest = [min(float((means[b] - features[i]).norm()) for i in images_of(bag, b)) for b in range(5)]
    # a bag of one image has the distance sqrt(1e-12), which is 0 but for the root's gradient
    assert float(nearest_image_loss(features, means, bag)) == pytest.approx(sum(nearest) / 5, abs=1e-5)
    terms = []
    for b in range(5):
        log_p = (sum(logits[i] for i in images_of(bag, b)) / len(images_of(bag, b))).log_softmax(0).tolist()
        terms += [
            -sum((0.1 / 6 + (0.9 if k == c else 0)) * v for k, v in enumerate(log_p)) for c in label_of(candidates, b)
        ]
    assert float(bag_smoothed_cross_entropy(logits, bag, candidates)) == pytest.approx(sum(terms) / len(terms))


def test_gradients():
    logits, bag, candidates, features = sharing_bags(1)

    def total(z, f):
        means = bag_means(f, bag, 5)
        triplet = bag_triplet_loss(means, candidates, 5.0)
        return triplet + bag_smoothed_cross_entropy(z, bag, candidates) + nearest_image_loss(f, means, bag)

    assert torch.autograd.gradcheck(total, (logits.requires_grad_(), features.requires_grad_()))


def test_copies_of_a_bag_are_no_negatives_of_each_other():
    means = torch.tensor([[0.0], [1.0], [5.0]])
    candidates = torch.tensor([[1, 2], [1, 3], [4, -1]])
    # (0, 1): 1 - 5 + .3 and (1, 1): 1 - 4 + .3; the others have no positive
    assert float(bag_triplet_loss(means, candidates, 0.3)) == 0
    assert float(bag_triplet_loss(means, candidates, 6.0)) == pytest.approx((2 + 3) / 2)


@pytest.mark.parametrize("case", ["disjoint", "none", "all alike", "one bag"])
def test_without_pairs_the_triplet_is_zero_with_zero_gradient(case):
    means = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    candidates = {
        "disjoint": torch.arange(6).view(3, 2),
        "none": torch.full((3, 2), -1),
        "all alike": torch.tensor([[0, 1]] * 3),  # no negative
        "one bag": torch.tensor([[0, 1]]),
    }[case]
    value = bag_triplet_loss(means[: len(candidates)], candidates)
    value.backward()
    assert value.item() == 0
    assert not means.grad.any()


def test_no_candidates_and_single_images():
    logits, bag, candidates, features = sharing_bags(2)
    logits.requires_grad_()
    value = bag_smoothed_cross_entropy(logits, bag, torch.full_like(candidates, -1))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()
    features.requires_grad_()
    alone = torch.arange(len(features))
    nearest_image_loss(features, bag_means(features, alone, len(features)), alone).backward()
    assert features.grad.isfinite().all()


def test_a_bag_without_images_does_not_count():
    logits, bag, candidates, features = sharing_bags(3)
    more = torch.cat([candidates, candidates[:1]])
    assert_close(bag_smoothed_cross_entropy(logits, bag, more), bag_smoothed_cross_entropy(logits, bag, candidates))
    means = bag_means(features, bag, 6)
    assert not means[5].any()
    assert_close(nearest_image_loss(features, means, bag), nearest_image_loss(features, means[:5], bag))


def test_equal_bags_are_finite():
    means = torch.zeros(3, 4, requires_grad=True)
    value = bag_triplet_loss(means, torch.tensor([[0], [0], [1]]))
    value.backward()
    assert float(value.detach()) == pytest.approx(0.3)
    assert means.grad.isfinite().all()


def test_float32_under_autocast():
    logits, bag, candidates, features = sharing_bags(4)
    logits, features = logits.float(), features.float()
    means = bag_means(features, bag, 5)
    outside = [
        bag_triplet_loss(means, candidates),
        bag_smoothed_cross_entropy(logits, bag, candidates),
        nearest_image_loss(features, means, bag),
    ]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(bag_means(features, bag, 5), means)
        assert torch.equal(bag_triplet_loss(means, candidates), outside[0])
        assert torch.equal(bag_smoothed_cross_entropy(logits, bag, candidates), outside[1])
        assert torch.equal(nearest_image_loss(features, means, bag), outside[2])
        assert bag_means(features.bfloat16(), bag, 5).dtype == torch.float32


def test_the_means_over_one_bag_are_its_own():
    logits, _, _, features = sharing_bags(5)
    one = torch.zeros(len(logits), dtype=torch.long)
    found = bag_smoothed_cross_entropy(logits, one, torch.tensor([[3]]), 0.0)
    assert_close(found, -logits.mean(0).log_softmax(0)[3])
    means = bag_means(features, one, 1)
    assert_close(nearest_image_loss(features, means, one), (features - means).norm(dim=1).min())


def test_half_precision_inputs_give_float32():
    logits, bag, candidates, features = sharing_bags(6)
    assert bag_smoothed_cross_entropy(logits.bfloat16(), bag, candidates).dtype == torch.float32
    assert nearest_image_loss(features.bfloat16(), bag_means(features, bag, 5).bfloat16(), bag).dtype == torch.float32
