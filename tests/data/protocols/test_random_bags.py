import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.protocols import random_bags


def bags_of(rows, classes, n, k, seed=0):
    draft = random_bags(rows, classes, ids_per_bag=n, images_per_id=k, rng=np.random.default_rng(seed))
    return Bags.from_draft(draft, BagSettings(), "")


@given(
    st.lists(st.integers(1, 13), min_size=1, max_size=8),
    st.integers(1, 4),
    st.one_of(st.integers(1, 5), st.just("all")),
    st.integers(0, 2**32 - 1),
)
def test_contract(images, n, k, seed):
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.repeat(np.arange(len(images)), images))
    rows = np.sort(rng.choice(1000, len(classes), replace=False))
    class_of = dict(zip(rows.tolist(), classes.tolist(), strict=True))
    bags = bags_of(rows, classes, n, k, seed)

    everything = np.concatenate([bags.rows(b) for b in range(len(bags))])
    np.testing.assert_array_equal(np.sort(everything), rows)  # every image in exactly one bag
    chunks = {c: [] for c in range(len(images))}
    for b in range(len(bags)):
        ids, sizes = np.unique([class_of[r] for r in bags.rows(b).tolist()], return_counts=True)
        assert bags.candidates(b).tolist() == ids.tolist()
        assert 1 <= len(ids) <= n
        for c, size in zip(ids.tolist(), sizes.tolist(), strict=True):
            chunks[c].append(size)
    for c, total in enumerate(images):
        if k == "all" or total < k:
            assert chunks[c] == [total]
        else:  # chunks of k, the remainder in one of them
            assert sorted(chunks[c]) == [k] * (total // k - 1) + [k + total % k]


def test_each_identity_is_shuffled():
    rows, classes = np.arange(40), np.repeat([0, 1], 20)
    bags = bags_of(rows, classes, 2, 4)
    assert any(np.ptp(rows[np.isin(rows, bags.rows(b)) & (classes == 0)]) > 3 for b in range(len(bags)))
    again, other = bags_of(rows, classes, 2, 4), bags_of(rows, classes, 2, 4, seed=1)
    assert again.hash == bags.hash != other.hash


def test_warns_when_short_bags_cannot_be_avoided(caplog):
    bags_of(np.arange(22), np.repeat([0, 1], [20, 2]), 2, 2)
    assert "hold fewer than 2 identities" in caplog.text
    caplog.clear()
    bags_of(np.arange(20), np.repeat([0, 1], [10, 10]), 2, 2)
    assert not caplog.text


@pytest.mark.parametrize("n", [1, 2])
def test_one_identity(n):
    assert len(bags_of(np.arange(9), np.zeros(9, int), n, 3)) == 3
