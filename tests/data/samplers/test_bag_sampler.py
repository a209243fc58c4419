import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_draft import draft_from_images
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.samplers import BagSampler
from wsreid.errors import ConfigError


def bags_of(sizes):
    owner = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(len(owner)) * 2
    return Bags.from_draft(draft_from_images(owner, rows, owner % 5), BagSettings(), "")


SIZES = st.lists(st.integers(1, 9), min_size=4, max_size=30)


@given(SIZES, st.integers(2, 5), st.integers(1, 6), st.integers(1, 4))
def test_each_bag_once_over_all_ranks(sizes, bags_per_batch, images_per_bag, world_size):
    bags = bags_of(sizes)
    drawn, steps = [], set()
    for rank in range(world_size):
        sampler = BagSampler(
            bags,
            bags_per_batch=bags_per_batch,
            images_per_bag=images_per_bag,
            seed=3,
            rank=rank,
            world_size=world_size,
        )
        plans = list(sampler)
        assert len(plans) == len(sampler)
        steps.add(len(plans))
        for plan in plans:
            assert 1 <= len(plan.bag_id) <= bags_per_batch
            for place, b in enumerate(plan.bag_id.tolist()):
                drawn.append(b)
                mine = plan.bag == place
                assert mine.sum() == min(sizes[b], images_per_bag)
                j = plan.member[mine] - bags.member_start[b]
                assert len(set(j.tolist())) == len(j)
                np.testing.assert_array_equal(bags.rows(b)[j], plan.row[mine])
                assert [c for c in plan.candidates[place] if c >= 0] == bags.candidates(b).tolist()
                assert plan.bag_size[place] == sizes[b]
    assert sorted(drawn) == list(range(len(sizes)))
    assert len(steps) == 1
    assert steps.pop() == -(-len(sizes) // (bags_per_batch * world_size))


def test_one_bag_a_batch_drops_the_rest_evenly():
    plans = [
        list(BagSampler(bags_of([2] * 7), bags_per_batch=1, images_per_bag=2, seed=0, rank=r, world_size=3))
        for r in range(3)
    ]
    assert [len(p) for p in plans] == [2, 2, 2]
    assert len({int(b) for p in plans for plan in p for b in plan.bag_id}) == 6


def test_the_last_batch_is_not_much_smaller():
    sampler = BagSampler(bags_of([1] * 17), bags_per_batch=8, images_per_bag=4, seed=0)
    assert sorted(len(plan.bag_id) for plan in sampler) == [5, 6, 6]


def test_images_are_drawn_uniformly_over_the_bag():
    sampler = BagSampler(bags_of([10]), bags_per_batch=1, images_per_bag=4, seed=0)
    counts = np.zeros(10, int)
    for epoch in range(500):
        sampler.set_epoch(epoch)
        counts[next(iter(sampler)).member] += 1
    assert counts.sum() == 2000
    assert counts.min() > 155  # 200 +- 11
    assert counts.max() < 245


def _epoch(sampler, epoch):
    sampler.set_epoch(epoch)
    return [(plan.epoch, plan.bag_id.tolist(), plan.row.tolist()) for plan in sampler]


def test_seed_and_epoch_give_the_plan():
    def sampler(seed=0):
        return BagSampler(bags_of([3, 9] * 6), bags_per_batch=4, images_per_bag=4, seed=seed)

    first = sampler()
    zero, one = _epoch(first, 0), _epoch(first, 1)
    assert [e for e, _, _ in one] == [1] * 3
    assert [x[1:] for x in zero] != [x[1:] for x in one]
    assert _epoch(sampler(), 1) == one  # a restart at epoch 1
    assert _epoch(first, 0) == zero
    assert _epoch(sampler(seed=1), 0) != zero


def test_redraw():
    made = []

    def redraw(epoch):
        made.append(epoch)
        return bags_of([2 + epoch] * 4)

    sampler = BagSampler(bags_of([2] * 4), bags_per_batch=2, images_per_bag=9, seed=0, redraw=redraw)
    sampler.set_epoch(0)
    sampler.set_epoch(2)
    sampler.set_epoch(2)
    assert made == [2]
    assert next(iter(sampler)).bag_size.tolist() == [4, 4]


def test_more_ranks_than_bags():
    with pytest.raises(ConfigError, match="2 bags cannot be split over 3 processes"):
        BagSampler(bags_of([1, 1]), bags_per_batch=2, images_per_bag=1, seed=0, world_size=3)
