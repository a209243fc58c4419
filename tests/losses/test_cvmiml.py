"""The losses of CV-MIML against loops and at the edges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.inference import seed_groups
from wsreid.losses import alignment_and_entropy, bag_maximum_loss, candidate_log_softmax, cross_view_loss

from .bag_inputs import images_of, label_of, random_bags, slot_of


def groups_of(logits, bag, candidates, share=0.3):
    return seed_groups(candidate_log_softmax(logits, candidates[bag]), bag, candidates, share)


def over_bags(bag, candidates, term):
    """Mean over bags of the mean over candidates of term(b, c, images)."""
    totals = []
    for b in range(len(candidates)):
        own, images = label_of(candidates, b), images_of(bag, b)
        if own and images:
            totals.append(sum(term(b, c, images) for c in own) / len(own))
    return sum(totals) / max(len(totals), 1)


def kl(p, q):
    return float((p * (p.log() - q.log())).sum())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), sizes=st.sampled_from([(3, 1, 4, 0), (4, 0)]))
def test_the_loops(seed, sizes):
    logits, bag, candidates, features = random_bags(seed, sizes)
    p, groups = logits.softmax(1), groups_of(logits, bag, candidates)

    def maximum(b, c, images):
        return -max(float(p[i, c].log()) for i in images)

    def aligned(b, c, images):
        column = slot_of(candidates, b, c)
        return sum(kl(p[i], p[groups.seed[b, column]]) for i in images if groups.member[i, column])

    found = bag_maximum_loss(candidate_log_softmax(logits, candidates[bag]), bag, candidates)
    assert float(found) == pytest.approx(over_bags(bag, candidates, maximum))
    alignment, entropy = alignment_and_entropy(logits, bag, candidates, groups.seed, groups.member)
    assert float(alignment) == pytest.approx(over_bags(bag, candidates, aligned), abs=1e-9)
    assert float(entropy) == pytest.approx(float(-(p * p.log()).sum(1).mean()))

    prototypes = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    prototypes[2, 1] = 0  # none yet
    distances = [
        float((features[i] - prototypes[bag[i], column]).square().sum())
        for i in range(len(bag))
        for column in range(3)
        if groups.member[i, column] and prototypes[bag[i], column].any()
    ]
    found = cross_view_loss(features, bag, groups.member, prototypes)
    assert float(found) == pytest.approx(sum(distances) / len(distances))


def test_gradients():
    logits, bag, candidates, features = random_bags(1)
    groups = groups_of(logits, bag, candidates)
    logits.requires_grad_()
    features.requires_grad_()
    prototypes = torch.randn(3, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def total(z, f):
        maximum = bag_maximum_loss(candidate_log_softmax(z, candidates[bag]), bag, candidates)
        alignment, entropy = alignment_and_entropy(z, bag, candidates, groups.seed, groups.member)
        return maximum + alignment + entropy + cross_view_loss(f, bag, groups.member, prototypes)

    assert torch.autograd.gradcheck(total, (logits, features))


def test_a_group_of_the_seed_alone_is_aligned():
    logits, bag, candidates, _ = random_bags(2)
    groups = groups_of(logits, bag, candidates, share=1.0)
    assert float(alignment_and_entropy(logits, bag, candidates, groups.seed, groups.member)[0]) == 0


def test_no_candidates_gives_zero():
    logits, bag, candidates, features = random_bags(3)
    none = torch.full_like(candidates, -1)
    groups = groups_of(logits, bag, none)
    logits.requires_grad_()
    alignment, _ = alignment_and_entropy(logits, bag, none, groups.seed, groups.member)
    maximum = bag_maximum_loss(candidate_log_softmax(logits, none[bag]), bag, none)
    (alignment + maximum).backward()
    assert alignment.item() == maximum.item() == 0
    assert not logits.grad.any()
    assert float(cross_view_loss(features, bag, groups.member, torch.ones(3, 3, 5, dtype=torch.float64))) == 0


@pytest.mark.parametrize("value", [0.0, 1e4])
def test_equal_and_extreme_logits_are_finite(value):
    logits = torch.zeros(4, 6)
    logits[1, 2] = value
    logits.requires_grad_()
    bag, candidates = torch.tensor([0, 0, 0, 1]), torch.tensor([[1, 2], [3, -1]])
    groups = groups_of(logits, bag, candidates)
    terms = alignment_and_entropy(logits, bag, candidates, groups.seed, groups.member)
    total = sum(terms) + bag_maximum_loss(candidate_log_softmax(logits, candidates[bag]), bag, candidates)
    total.backward()
    assert total.isfinite()
    assert logits.grad.isfinite().all()


def test_float32_under_autocast():
    logits, bag, candidates, features = random_bags(4)
    logits, features = logits.float(), features.float()
    groups = groups_of(logits, bag, candidates)
    outside = alignment_and_entropy(logits, bag, candidates, groups.seed, groups.member)
    prototypes = torch.ones(3, 3, 5)
    view = cross_view_loss(features, bag, groups.member, prototypes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = alignment_and_entropy(logits, bag, candidates, groups.seed, groups.member)
        assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))
        assert torch.equal(cross_view_loss(features, bag, groups.member, prototypes), view)
        assert candidate_log_softmax(logits.bfloat16(), candidates[bag]).dtype == torch.float32
        assert bag_maximum_loss(logits[:, :3].bfloat16(), bag, candidates).dtype == torch.float32
