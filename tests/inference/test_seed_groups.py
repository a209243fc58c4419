"""Seeds, groups and their means over cameras, against loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from tests.losses.bag_inputs import images_of, label_of, random_bags, slot_of
from wsreid.inference import ViewSums, means_over_views, seed_groups, view_sums
from wsreid.losses import candidate_log_softmax


def naive_groups(logits, bag, candidates, share):
    """{(b, c): (seed, group)}."""
    p = logits.softmax(1)
    found = {}
    for b in range(len(candidates)):
        images = images_of(bag, b)
        for c in label_of(candidates, b) if images else []:
            seed = max(images, key=lambda i: float(p[i, c]))
            found[b, c] = seed, {i for i in images if i == seed or float(p[i, c]) > share * float(p[seed, c])}
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.01, 0.5, 0.95, 1.0]))
def test_groups_are_the_loops(seed, share):
    logits, bag, candidates, _ = random_bags(seed, sizes=(3, 1, 4, 0))
    groups = seed_groups(candidate_log_softmax(logits, candidates[bag]), bag, candidates, share)
    expected = naive_groups(logits, bag, candidates, share)
    for b in range(4):
        for column, c in enumerate(candidates[b].tolist()):
            members = {i for i in images_of(bag, b) if groups.member[i, column]}
            assert (int(groups.seed[b, column]), members) == expected.get((b, c), (-1, set()))


def test_equal_images_take_the_first_as_seed_and_all_as_group():
    groups = seed_groups(torch.full((3, 2), -2.0), torch.tensor([0, 0, 0]), torch.tensor([[4, -1]]))
    assert groups.seed.tolist() == [[0, -1]]
    assert groups.member.tolist() == [[True, False]] * 3
    alone = seed_groups(torch.full((3, 2), -2.0), torch.tensor([0, 0, 0]), torch.tensor([[4, -1]]), share=1.0)
    assert alone.member.tolist() == [[True, False], [False, False], [False, False]]  # above the share, not at it


def test_no_candidates_have_no_groups():
    groups = seed_groups(torch.zeros(2, 2), torch.tensor([0, 0]), torch.full((1, 2), -1))
    assert groups.seed.tolist() == [[-1, -1]]
    assert not groups.member.any()
    sums = view_sums(
        torch.ones(2, 3), groups.member, torch.tensor([0, 0]), torch.full((1, 2), -1), torch.zeros(2).long()
    )
    classes, means = means_over_views(sums)
    assert classes.shape == (0,)
    assert means.shape == (0, 3)


def test_half_precision():
    groups = seed_groups(torch.zeros(2, 1, dtype=torch.bfloat16), torch.tensor([0, 0]), torch.tensor([[1]]))
    assert groups.seed.tolist() == [[0]]


def test_sums_count_images_in_float32_and_without_a_graph():
    features = torch.ones(3, 2).bfloat16().requires_grad_()
    member, bag = torch.ones(3, 1, dtype=torch.bool), torch.zeros(3, dtype=torch.long)
    sums = view_sums(features, member, bag, torch.tensor([[5]]), torch.tensor([0, 0, 1]))
    assert sums.key.tolist() == [[5, 0], [5, 1]]
    assert sums.count.tolist() == [2, 1]
    assert sums.total.tolist() == [[2, 2], [1, 1]]
    assert sums.total.dtype == torch.float32
    assert not sums.total.requires_grad
    graph = ViewSums(sums.key, sums.total.clone().requires_grad_(), sums.count)
    assert not means_over_views(graph)[1].requires_grad


@pytest.mark.parametrize("seed", range(4))
def test_means_weigh_cameras_alike_even_over_processes(seed):
    logits, bag, candidates, features = random_bags(seed, sizes=(5, 2, 4))
    candidates[1] = candidates[2]  # two bags name the same identities
    camera = torch.randint(-1, 2, (len(bag),), generator=torch.Generator().manual_seed(seed))
    groups = seed_groups(candidate_log_softmax(logits, candidates[bag]), bag, candidates, 0.2)
    by_class = {}
    for (b, c), (_, members) in naive_groups(logits, bag, candidates, 0.2).items():
        assert members == {i for i in images_of(bag, b) if groups.member[i, slot_of(candidates, b, c)]}
        for i in members:
            by_class.setdefault(c, {}).setdefault(int(camera[i]), []).append(features[i])
    sums = view_sums(features, groups.member, bag, candidates, camera)
    halves = [bag == 1, bag != 1]  # as two processes would have the bags
    parts = [view_sums(features, groups.member & half[:, None], bag, candidates, camera) for half in halves]
    both = ViewSums(*(torch.cat([getattr(p, name) for p in parts]) for name in ("key", "total", "count")))
    for found in (sums, both):
        classes, means = means_over_views(found)
        assert classes.tolist() == sorted(by_class)
        for c, mean in zip(classes.tolist(), means, strict=True):
            assert_close(mean, torch.stack([torch.stack(v).mean(0) for v in by_class[c].values()]).mean(0))
