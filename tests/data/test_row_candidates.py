"""The candidates of single images: against a loop over the bags."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.data.bag_draft import BagDraft
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.row_candidates import row_candidates


def bags_of(labels, ranges):
    """`labels`: classes of each bag; `ranges`: (start, stop) pairs of each bag."""
    flat = [pair for own in ranges for pair in own]
    draft = BagDraft(
        bag_id=np.arange(len(labels)),
        candidates=np.array([c for own in labels for c in own], np.int32),
        candidate_offsets=np.cumsum([0, *map(len, labels)]),
        range_start=np.array([a for a, _ in flat], np.int64),
        range_stop=np.array([b for _, b in flat], np.int64),
        range_offsets=np.cumsum([0, *map(len, ranges)]),
    )
    return Bags.from_draft(draft, BagSettings(), "0" * 64)


def loop(bags, rows):
    found = {
        (i, int(c))
        for b in range(len(bags))
        for i, r in enumerate(rows)
        if r in bags.rows(b)
        for c in bags.candidates(b)
    }
    return sorted(found)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_is_the_loop(seed):
    rng = np.random.default_rng(seed)
    labels = [sorted(rng.choice(9, rng.integers(0, 4), replace=False).tolist()) for _ in range(5)]
    ranges = [[(a, a + int(rng.integers(1, 4))) for a in rng.choice(20, 2, replace=False).tolist()] for _ in range(5)]
    bags = bags_of(labels, ranges)
    rows = np.sort(rng.choice(24, rng.integers(0, 12), replace=False))
    image, classes = row_candidates(bags, rows)
    assert list(zip(image.tolist(), classes.tolist(), strict=True)) == loop(bags, rows)


def test_an_image_of_several_bags_has_all_their_candidates():
    bags = bags_of([[1, 2], [2, 5]], [[(0, 3)], [(2, 4)]])
    image, classes = row_candidates(bags, np.array([2, 3, 7]))
    assert image.tolist() == [0, 0, 0, 1, 1]
    assert classes.tolist() == [1, 2, 5, 2, 5]


@pytest.mark.parametrize("labels", [[[]], [[4]]])
def test_no_rows(labels):
    image, classes = row_candidates(bags_of(labels, [[(0, 3)]]), np.empty(0, np.int64))
    assert len(image) == len(classes) == 0
