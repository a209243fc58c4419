import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_format import content_hash
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.protocols import random_bags


def bags_of(rows, classes, n, k, seed=0, **noise):
    if noise:
        noise["noise"] = np.random.default_rng([seed, 1])
    draft = random_bags(rows, classes, ids_per_bag=n, images_per_id=k, rng=np.random.default_rng(seed), **noise)
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
    bags_of(np.arange(20), np.repeat([0, 1], [10, 10]), 3, 2)
    assert "data.bags.ids_per_bag is 3, but there are 2 identities" in caplog.text
    assert "images_per_id" not in caplog.text


@pytest.mark.parametrize("n", [1, 2])
def test_one_identity(n):
    assert len(bags_of(np.arange(9), np.zeros(9, int), n, 3)) == 3


IMAGES = st.lists(st.integers(1, 13), min_size=1, max_size=8)


def images_of(images, seed):
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.repeat(np.arange(len(images)), images))
    return np.sort(rng.choice(1000, len(classes), replace=False)), classes


@given(IMAGES, st.integers(1, 4), st.integers(2, 6), st.floats(0.01, 1), st.integers(0, 2**32 - 1))
def test_unbalanced_moves_the_cuts_alone(images, n, k, unbalanced, seed):
    rows, classes = images_of(images, seed)
    class_of = dict(zip(rows.tolist(), classes.tolist(), strict=True))
    even, uneven = bags_of(rows, classes, n, k, seed), bags_of(rows, classes, n, k, seed, unbalanced=unbalanced)
    spread = round(unbalanced * (k - 1))
    assert len(even) == len(uneven)
    chunks = {c: [] for c in range(len(images))}
    for b in range(len(even)):
        assert even.candidates(b).tolist() == uneven.candidates(b).tolist()  # the same identities meet
        ids, sizes = np.unique([class_of[r] for r in uneven.rows(b).tolist()], return_counts=True)
        assert ids.tolist() == uneven.candidates(b).tolist()  # nobody's last image went
        for c, size in zip(ids.tolist(), sizes.tolist(), strict=True):
            chunks[c].append(size)
    everything = np.concatenate([uneven.rows(b) for b in range(len(uneven))])
    np.testing.assert_array_equal(np.sort(everything), rows)
    for c, total in enumerate(images):
        assert sum(chunks[c]) == total
        if total >= k:
            assert min(chunks[c]) >= k - spread
            assert max(chunks[c]) <= k + spread + total % k


def test_unbalanced_reaches_from_one_image_to_nearly_two_chunks():
    rows, classes = np.arange(1200), np.repeat(np.arange(12), 100)
    sizes = [
        np.bincount(classes[b.rows(i)])[b.candidates(i)]
        for b in [bags_of(rows, classes, 2, 4, unbalanced=1.0)]
        for i in range(len(b))
    ]
    count = np.bincount(np.concatenate(sizes))
    assert len(count) == 8
    assert np.all(count[1:] > 0)
    assert np.concatenate(sizes).mean() == 4


@given(IMAGES, st.integers(1, 4), st.one_of(st.integers(1, 5), st.just("all")), st.floats(0.01, 1), st.integers(0, 99))
def test_overlap_deals_whole_chunks_into_a_second_bag(images, n, k, overlap, seed):
    rows, classes = images_of(images, seed)
    bags = bags_of(rows, classes, n, k, seed, overlap=overlap)
    class_of = dict(zip(rows.tolist(), classes.tolist(), strict=True))
    lies_in = {row: [] for row in rows.tolist()}
    for b in range(len(bags)):
        inside = bags.rows(b).tolist()
        assert bags.candidates(b).tolist() == sorted({class_of[r] for r in inside})
        assert len(bags.candidates(b)) <= n
        assert len(set(inside)) == len(inside)
        for row in inside:
            lies_in[row].append(b)
    assert {len(x) for x in lies_in.values()} <= {1, 2}
    for x in set(map(tuple, lies_in.values())):  # images that share their bags are of chunks, and those are whole
        same = [row for row, y in lies_in.items() if tuple(y) == x and len(x) == 2]
        for c in {class_of[row] for row in same}:
            assert len([row for row in same if class_of[row] == c]) >= (min(k, images[c]) if k != "all" else images[c])


@pytest.mark.parametrize("k", [4, "all"])
def test_share_of_images_in_two_bags(k):
    rows, classes = np.arange(4000), np.repeat(np.arange(500), 8)
    bags = bags_of(rows, classes, 2, k, overlap=0.3)
    assert bags.n_members == pytest.approx(1.3 * 4000, rel=0.05)
    assert bags_of(rows, classes, 2, k, overlap=1.0).n_members == 8000


def test_without_noise_the_bags_are_those_of_earlier_versions():
    classes = np.sort(np.random.default_rng(5).integers(0, 9, 100))
    draft = random_bags(np.arange(100) + 3, classes, ids_per_bag=3, images_per_id=4, rng=np.random.default_rng(1))
    assert content_hash(draft, "")[:16] == "93849a11eb6f7cd9"


def test_noise_needs_its_own_stream():
    with pytest.raises(ValueError, match="generator of their own"):
        random_bags(
            np.arange(4), np.arange(4), ids_per_bag=2, images_per_id=1, rng=np.random.default_rng(0), overlap=0.5
        )
