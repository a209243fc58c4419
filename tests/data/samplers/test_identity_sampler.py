import numpy as np
import pytest

from wsreid.data.samplers import IdentitySampler
from wsreid.data.samplers.identity_sampler import occurrence
from wsreid.errors import ConfigError

COUNTS = [1, 2, 3, 5, 8, 8]
CLASSES = np.repeat(np.arange(6), COUNTS).astype(np.int32)
ROWS = np.arange(len(CLASSES)) + 100


def sampler(images=48, seed=0, rank=0, world_size=1, classes=CLASSES):
    return IdentitySampler(
        ROWS,
        classes,
        ids_per_batch=3,
        images_per_id=4,
        images_per_epoch=images,
        seed=seed,
        rank=rank,
        world_size=world_size,
    )


def test_batches():
    plans = list(sampler())
    assert len(plans) == len(sampler()) == 4
    for plan in plans:
        classes = CLASSES[plan.row - 100].reshape(3, 4)
        assert (classes == classes[:, :1]).all()
        assert len(set(classes[:, 0].tolist())) == 3
        np.testing.assert_array_equal(plan.candidates, classes[:, :1])
        np.testing.assert_array_equal(plan.bag, np.repeat(np.arange(3), 4))
        assert plan.bag_size.tolist() == [COUNTS[c] for c in classes[:, 0]]
        assert (plan.member == -1).all()
        assert (plan.bag_id == -1).all()
        for identity, rows in zip(classes[:, 0], plan.row.reshape(3, 4), strict=True):
            used = np.unique(rows, return_counts=True)[1]
            assert len(used) == min(COUNTS[identity], 4)
            assert np.ptp(used) <= 1  # repeated evenly
    ids = [set(plan.candidates.ravel().tolist()) for plan in plans]
    assert ids[0] | ids[1] == ids[2] | ids[3] == set(range(6))  # rounds


def test_copies_are_numbered_through_the_epoch():
    rows = np.concatenate([plan.row for plan in sampler(images=120)])
    copies = np.concatenate([plan.copy for plan in sampler(images=120)])
    np.testing.assert_array_equal(copies, occurrence(rows))
    assert len(set(zip(rows.tolist(), copies.tolist(), strict=True))) == len(rows)


def test_occurrence():
    assert occurrence(np.array([5, 3, 5, 5, 3, 1])).tolist() == [0, 0, 1, 2, 1, 0]


def test_budget():
    assert [len(sampler(images=n)) for n in (1, 12, 29, 31, 120)] == [1, 1, 2, 3, 10]


def test_ranks_share_the_work():
    whole = [plan.row.tolist() for plan in sampler(images=48)]
    parts = [[plan.row.tolist() for plan in sampler(images=48, rank=r, world_size=2)] for r in (0, 1)]
    assert [len(p) for p in parts] == [2, 2]
    assert [x for pair in zip(*parts, strict=True) for x in pair] == whole


def test_seed_and_epoch():
    def rows(s, epoch):
        s.set_epoch(epoch)
        return [plan.row.tolist() for plan in s]

    assert rows(sampler(), 1) == rows(sampler(), 1) != rows(sampler(), 0)
    assert rows(sampler(seed=1), 0) != rows(sampler(), 0)


def test_rows_without_identity_are_left_out():
    classes = np.where(CLASSES == 5, -1, CLASSES).astype(np.int32)
    assert all((CLASSES[plan.row - 100] != 5).all() for plan in sampler(classes=classes))


def test_too_few_identities():
    with pytest.raises(ConfigError, match="ids_per_batch is 3, but there are only 2"):
        sampler(classes=np.minimum(CLASSES, 1))
