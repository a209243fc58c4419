import logging
import time
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.data.bag_draft import BagDraft, offsets_of
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Split
from wsreid.data.samplers import BagSampler, PairedBagSampler
from wsreid.data.samplers.bag_matching import BagMatching
from wsreid.errors import ConfigError


def bags_of(labels, size=3):
    """Bags of `size` images with given label sets."""
    labels = [sorted(set(label)) for label in labels]
    owner = np.repeat(np.arange(len(labels)), [len(label) for label in labels])
    start = np.arange(len(labels)) * 10
    draft = BagDraft(
        bag_id=np.arange(len(labels)),
        candidates=np.array([c for label in labels for c in label], np.int32),
        candidate_offsets=offsets_of(owner, len(labels)),
        range_start=start,
        range_stop=start + size,
        range_offsets=np.arange(len(labels) + 1),
    )
    return Bags.from_draft(draft, BagSettings(), "")


def matching_of(labels):
    bags = bags_of(labels)
    return BagMatching(bags.draft.candidates, bags.draft.candidate_offsets)


def plans_of(bags, kind=PairedBagSampler, world_size=1, epoch=0, **options):
    """The batches of each rank."""
    ranks = []
    for rank in range(world_size):
        sampler = kind(
            bags, **{"bags_per_batch": 4, "images_per_bag": 2, "seed": 3} | options, rank=rank, world_size=world_size
        )
        sampler.set_epoch(epoch)
        plans = list(sampler)
        assert len(plans) == len(sampler)
        ranks.append(plans)
    return ranks


def have_partner(plans):
    """Bags that share a label with another bag of their batch."""
    found = set()
    for plan in plans:
        sets = [set(row[row >= 0].tolist()) for row in plan.candidates]
        for i, mine in enumerate(sets):
            if any(mine & other for j, other in enumerate(sets) if j != i):
                found.add(int(plan.bag_id[i]))
    return found


def most_that_can_be_paired(labels):
    """Upper bound: a connected component of n bags has at most n // 2 pairs."""
    root = {}

    def find(x):
        while root.setdefault(x, x) != x:
            x = root[x]
        return x

    for bag, label in enumerate(labels):
        for c in label:
            root[find(("class", c))] = find(("bag", bag))
    sizes = {}
    for bag in range(len(labels)):
        sizes[find(("bag", bag))] = sizes.get(find(("bag", bag)), 0) + 1
    return sum(n // 2 * 2 for n in sizes.values())


LABELS = st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=4), min_size=4, max_size=40)


@given(LABELS, st.integers(0, 100))
def test_a_matching_is_of_bags_that_share_and_cannot_grow(labels, seed):
    pairs, singles = matching_of(labels).draw(np.random.default_rng(seed))
    assert sorted([*pairs.ravel().tolist(), *singles.tolist()]) == list(range(len(labels)))
    assert all(labels[a] & labels[b] for a, b in pairs.tolist())
    assert not any(labels[a] & labels[b] for a in singles for b in singles if a != b)


def test_the_partner_is_uniform_over_bags():
    labels = [{0, 1, 2}, {0}, {0, 1, 2}, {2}]  # bag 2 shares three labels with bag 0, bags 1 and 3 one
    matching, counts = matching_of(labels), np.zeros(4, int)
    for seed in range(4000):
        rng = np.random.default_rng(seed)
        if np.random.default_rng(seed).permutation(4)[0] == 0:  # bag 0 chooses first
            pairs, _ = matching.draw(rng)
            counts[next(sum(pair) for pair in pairs.tolist() if 0 in pair)] += 1
    assert counts[0] == 0
    assert counts[1:].min() > 0.26 * counts.sum()
    assert counts[1:].max() < 0.41 * counts.sum()


@given(LABELS, st.integers(2, 6), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
def test_each_bag_once_and_as_many_steps_as_without_pairs(labels, bags_per_batch, images, world_size, epoch):
    bags = bags_of(labels)
    options = {"bags_per_batch": bags_per_batch, "images_per_bag": images, "epoch": epoch, "world_size": world_size}
    ranks = plans_of(bags, **options)
    plain = plans_of(bags, BagSampler, **options)
    assert [len(plans) for plans in ranks] == [len(plans) for plans in plain]
    sizes = [len(plan.bag_id) for plans in ranks for plan in plans]
    assert min(sizes) >= 1
    assert max(sizes) <= bags_per_batch
    drawn = sorted(b for plans in ranks for plan in plans for b in plan.bag_id.tolist())
    assert drawn == list(range(len(labels)))  # so the ranks' bags are disjoint too
    images_drawn = [sorted(r for plans in way for plan in plans for r in plan.row.tolist()) for way in (ranks, plain)]
    assert images_drawn[0] == images_drawn[1]  # even the same images of each bag


@given(LABELS, st.sampled_from([2, 4, 6]), st.integers(1, 3))
def test_with_an_even_number_no_pair_is_split(labels, bags_per_batch, world_size):
    bags = bags_of(labels)
    ranks = plans_of(bags, bags_per_batch=bags_per_batch, world_size=world_size)
    matching = BagMatching(bags.draft.candidates, bags.draft.candidate_offsets)
    sampler = PairedBagSampler(bags, bags_per_batch=bags_per_batch, images_per_bag=2, seed=3, world_size=world_size)
    made = []
    draw = matching.draw
    matching.draw = lambda rng: made.append(draw(rng)) or made[-1]
    sampler._matching = matching
    assert [p.bag_id.tolist() for p in sampler] == [p.bag_id.tolist() for p in ranks[0]]
    batches = [set(plan.bag_id.tolist()) for plans in ranks for plan in plans]
    pairs = made[0][0].tolist()
    if len(labels) >= 2 * len(batches):  # else some batches hold one bag, so that each rank has one
        assert all(any({a, b} <= batch for batch in batches) for a, b in pairs)


def random_windows(bags, ids, seed):
    rng = Random(seed)
    return [{rng.randrange(ids) for _ in range(rng.randint(1, 9))} for _ in range(bags)]


@pytest.mark.parametrize("bags_per_batch", [2, 4, 5, 8])
@pytest.mark.parametrize("world_size", [1, 2])
def test_nearly_all_that_could_have_a_partner_have_one(bags_per_batch, world_size):
    labels = random_windows(600, 90, seed=1)
    ranks = plans_of(bags_of(labels), bags_per_batch=bags_per_batch, world_size=world_size)
    paired = len(have_partner([plan for plans in ranks for plan in plans]))
    assert paired >= 0.95 * most_that_can_be_paired(labels)
    plain = plans_of(bags_of(labels), BagSampler, bags_per_batch=bags_per_batch, world_size=world_size)
    assert paired > 1.15 * len(have_partner([plan for plans in plain for plan in plans]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_matching_is_near_the_largest_on_windows(seed):
    labels = random_windows(200, 40, seed)
    pairs, _ = matching_of(labels).draw(np.random.default_rng(seed))
    assert 2 * len(pairs) >= 0.9 * most_that_can_be_paired(labels)


def test_windows_bags_of_a_data_set(market):
    bags = make_bags(market, BagSettings(protocol="windows", window=5), market.rows(Split.TRAIN))
    labels = [set(bags.candidates(b).tolist()) for b in range(len(bags))]
    (plans,) = plans_of(bags, bags_per_batch=2)
    assert len(have_partner(plans)) >= 0.7 * most_that_can_be_paired(labels)


def test_bags_without_a_partner_are_spread_over_the_batches():
    labels = [{i, 100} for i in range(10)] + [{200 + i} for i in range(10)]
    (plans,) = plans_of(bags_of(labels), bags_per_batch=4)
    together = [len(have_partner([plan])) for plan in plans]
    assert sum(together) == 10
    assert max(together) <= 4
    (plans,) = plans_of(bags_of([{0, 1}, {0}, {1}, {7}, {8}, {9}]), bags_per_batch=3)
    assert sorted(len(have_partner([plan])) for plan in plans) == [0, 3]  # the third joins the pair that it knows


def test_seed_and_epoch_give_the_plan():
    bags = bags_of(random_windows(60, 12, seed=0), size=9)

    def plan(**options):
        return [(p.epoch, p.bag_id.tolist(), p.row.tolist()) for p in plans_of(bags, **options)[0]]

    assert plan(epoch=1) == plan(epoch=1)
    assert [p[1] for p in plan(epoch=1)] != [p[1] for p in plan(epoch=0)]
    assert plan(seed=4) != plan()
    sampler = PairedBagSampler(bags, bags_per_batch=4, images_per_bag=2, seed=3)
    first = [p.bag_id.tolist() for p in sampler]
    sampler.set_epoch(1)
    list(sampler)
    sampler.set_epoch(0)
    assert [p.bag_id.tolist() for p in sampler] == first  # no state is left behind


def test_one_bag_a_batch_is_refused():
    with pytest.raises(ConfigError, match=r"data\.bags_per_batch is 1.*at least 2"):
        PairedBagSampler(bags_of([{0}, {0}]), bags_per_batch=1, images_per_bag=2, seed=0)


def test_more_ranks_than_bags():
    with pytest.raises(ConfigError, match="2 bags cannot be split over 3 processes"):
        PairedBagSampler(bags_of([{0}, {0}]), bags_per_batch=2, images_per_bag=1, seed=0, world_size=3)


def test_says_where_there_are_no_pairs(caplog):
    caplog.set_level(logging.WARNING)
    disjoint = bags_of([{0, 1}, {2, 3}, {4}])
    (plans,) = plans_of(disjoint, bags_per_batch=2)
    assert sorted(b for plan in plans for b in plan.bag_id.tolist()) == [0, 1, 2]
    assert sum("no two bags share an identity" in r.getMessage() for r in caplog.records) == 1
    caplog.clear()
    plans_of(bags_of([{0, 1}, {1, 3}, {4}]), bags_per_batch=2)
    assert not caplog.records


def test_time_grows_with_the_bags_even_where_one_identity_is_in_all():
    bags = bags_of([{0, i + 1} for i in range(20_000)])
    sampler = PairedBagSampler(bags, bags_per_batch=5, images_per_bag=1, seed=0)
    start = time.process_time()
    sampler._dealt(np.random.default_rng(0))
    assert time.process_time() - start < 5  # 0.3 s; a loop over pairs of bags would take minutes
