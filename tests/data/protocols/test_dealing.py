import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.protocols.dealing import deal, only_last_bag_short

counts = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(counts, st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_deals_every_chunk_once_into_the_fewest_bags_of_different_identities(chunks, n, seed):
    bags = deal(np.array(chunks), n, np.random.default_rng(seed))
    assert all(len(set(bag.tolist())) == len(bag) <= n for bag in bags)
    np.testing.assert_array_equal(np.bincount(np.concatenate(bags), minlength=len(chunks)), chunks)
    assert len(bags) == max(math.ceil(sum(chunks) / n), max(chunks))
    short = [i for i, bag in enumerate(bags) if len(bag) < n]
    if only_last_bag_short(np.array(chunks), n):
        assert short in ([], [len(bags) - 1])


def _last_alone_short_is_possible(chunks: tuple[int, ...], n: int) -> bool:
    """By trying all ways."""
    if sum(chunks) <= n:
        return max(chunks, default=0) <= 1
    from itertools import combinations

    present = [i for i, c in enumerate(chunks) if c]
    return any(
        _last_alone_short_is_possible(tuple(c - (i in bag) for i, c in enumerate(chunks)), n)
        for bag in combinations(present, n)
    )


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(1, 3))
def test_condition_agrees_with_trying_all_ways(chunks, n):
    assert only_last_bag_short(np.array(chunks), n) == _last_alone_short_is_possible(tuple(chunks), n)


def test_identities_with_many_chunks_meet_many_others():
    chunks = np.array([12, 12] + [2] * 40)
    bags = deal(chunks, 2, np.random.default_rng(0))
    together = sum({0, 1} == set(bag.tolist()) for bag in bags)
    assert together < 6  # dealing the fullest first would pair these two ten times


def test_depends_on_the_seed_alone():
    chunks = np.array([3] * 10)

    def order(seed):
        return [sorted(bag.tolist()) for bag in deal(chunks, 2, np.random.default_rng(seed))]

    assert order(1) == order(1) != order(2)
