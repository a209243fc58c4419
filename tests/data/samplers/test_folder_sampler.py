from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.protocols import sysu_bags
from wsreid.data.samplers.folder_sampler import FolderSampler, spread_evenly
from wsreid.errors import ConfigError

SIZES = st.lists(st.integers(1, 9), min_size=5, max_size=12)


def made(sizes, widths=(1, 3, 5), protocol="sysu"):
    folders = np.arange(1, len(sizes) + 1)
    folder = np.repeat(folders, sizes)
    draft = sysu_bags(np.arange(len(folder)), folder, folders, label_file=None, widths=widths)
    return Bags.from_draft(draft, BagSettings(protocol=protocol), ""), folder.astype(np.int32)


def sampler(sizes, bags_per_batch=12, images_per_bag=15, seed=3, **options):
    bags, folder = made(sizes)
    return FolderSampler(
        bags, folder, bags_per_batch=bags_per_batch, images_per_bag=images_per_bag, seed=seed, **options
    )


@given(SIZES, st.integers(2, 5), st.integers(1, 16), st.integers(1, 3))
def test_each_bag_once_and_its_folders_equally_often(sizes, bags_per_batch, images_per_bag, world_size):
    drawn, steps = [], set()
    for rank in range(world_size):
        plans_of = sampler(sizes, bags_per_batch, images_per_bag, rank=rank, world_size=world_size)
        bags, folder = plans_of.bags, plans_of.folder
        plans = list(plans_of)
        assert len(plans) == len(plans_of)
        steps.add(len(plans))
        for plan in plans:
            assert 1 <= len(plan.bag_id) <= bags_per_batch
            assert len(plan.row) == images_per_bag * len(plan.bag_id)
            copies = Counter()
            for row, copy in zip(plan.row.tolist(), plan.copy.tolist(), strict=True):
                assert copy == copies[row]  # a second look at an image is augmented otherwise
                copies[row] += 1
            for place, b in enumerate(plan.bag_id.tolist()):
                drawn.append(b)
                mine = plan.bag == place
                rows = plan.row[mine]
                j = plan.member[mine] - bags.member_start[b]
                np.testing.assert_array_equal(bags.rows(b)[j], rows)
                assert [c for c in plan.candidates[place] if c >= 0] == bags.candidates(b).tolist()
                assert plan.bag_size[place] == bags.sizes[b]
                shares = Counter(folder[rows].tolist())
                inside = np.unique(folder[bags.rows(b)]).tolist()
                assert sum(shares.values()) == images_per_bag
                assert {shares[f] - images_per_bag // len(inside) for f in inside} <= {0, 1}
                for f in inside:  # repeated where there are too few, and only there
                    assert len(set(rows[folder[rows] == f].tolist())) <= shares[f]
                    if shares[f] <= sizes[f - 1]:
                        assert len(set(rows[folder[rows] == f].tolist())) == shares[f]
    assert sorted(drawn) == list(range(3 * len(sizes)))
    assert len(steps) == 1


def test_twelve_bags_of_fifteen_images_four_of_each_width():
    bags, folder = made([20] * 44)
    inner = [b for b in range(len(bags)) if len(bags.candidates(b)) in (1, 3, 5)]
    plans = list(FolderSampler(bags, folder, bags_per_batch=12, images_per_bag=15, seed=0))
    assert len(plans) == 11
    assert len(inner) == len(bags) - 4  # the clamped ones: two of 2 folders, two of 4; two more of 3
    for plan in plans:
        widths = (plan.candidates >= 0).sum(1)
        counts = [int((widths == w).sum()) for w in (1, 3, 5)]
        assert all(3 <= c <= 5 for c in counts), counts
        for place, width in enumerate(widths.tolist()):
            each = Counter(folder[plan.row[plan.bag == place]].tolist())
            assert len(each) == width
            if width in (1, 3, 5):
                assert set(each.values()) == {15 // width}


def test_seed_and_epoch_give_the_plan():
    def epoch(plans, number):
        plans.set_epoch(number)
        return [(plan.epoch, plan.bag_id.tolist(), plan.row.tolist()) for plan in plans]

    first = sampler([3, 9] * 6)
    zero, one = epoch(first, 0), epoch(first, 1)
    assert [x[1:] for x in zero] != [x[1:] for x in one]
    assert epoch(sampler([3, 9] * 6), 1) == one
    assert epoch(first, 0) == zero
    assert epoch(sampler([3, 9] * 6, seed=1), 0) != zero


def test_images_per_epoch_and_one_bag_a_batch():
    plans = sampler([4] * 5, bags_per_batch=1, images_per_bag=7)
    assert plans.images_per_epoch == 15 * 7 == sum(len(plan.row) for plan in plans)
    ranks = [list(sampler([4] * 5, 1, 7, rank=r, world_size=2)) for r in range(2)]
    assert [len(r) for r in ranks] == [7, 7]


def test_says_that_it_uses_the_folder(caplog):
    sampler([4] * 5)
    assert "data.draw folders reads which folder each image lies in" in caplog.text


def test_other_bags_are_refused():
    bags, folder = made([4] * 5, protocol="random")
    with pytest.raises(ConfigError, match=r"data.draw folders needs bags of whole folders.*random"):
        FolderSampler(bags, folder, bags_per_batch=2, images_per_bag=2, seed=0)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 2**32 - 1), st.data())
def test_any_stretch_has_each_kind_in_proportion(kinds, seed, data):
    kind = np.array(kinds)
    order = spread_evenly(kind, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(kind)))
    start = data.draw(st.integers(0, len(kind) - 1))
    stop = data.draw(st.integers(start + 1, len(kind)))
    for k in set(kinds):
        expected = (stop - start) * (kind == k).mean()
        assert abs((kind[order[start:stop]] == k).sum() - expected) <= len(set(kinds))
