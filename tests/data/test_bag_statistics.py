from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.test_bag_leak import draft_of, drawing
from wsreid.data import bag_statistics as module
from wsreid.data.bag_statistics import bag_statistics, histogram


@given(drawing, st.integers(1, 40))
def test_agrees_with_counting_by_hand(bags, most_members):
    draft = draft_of(bags)
    rows = [
        [
            row
            for r in range(draft.range_offsets[b], draft.range_offsets[b + 1])
            for row in range(draft.range_start[r], draft.range_stop[r])
        ]
        for b in range(len(bags))
    ]
    labels = [label for _, label in bags]
    truth = np.arange(100) % 7 - 1  # classes 0..5, and rows of nobody
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MEMBERS", most_members)
        found = bag_statistics(draft, truth)
    every = [row for r in rows for row in r]
    assert found.bags == len(bags)
    assert found.members == len(every)
    assert found.images == len(set(every))
    assert found.most_bags == max(every.count(row) for row in set(every))
    assert found.bags_per_image == len(every) / len(set(every))
    sizes = [len(r) for r in rows]
    spread = found.images_per_bag
    assert (spread.least, spread.median, spread.mean, spread.most) == (
        min(sizes),
        np.median(sizes),
        pytest.approx(np.mean(sizes)),
        max(sizes),
    )
    assert found.candidates_per_bag.mean == pytest.approx(np.mean([len(x) for x in labels]))
    named = set().union(*labels)
    assert found.named == len(named)
    assert found.bags_per_id.mean == pytest.approx(np.mean([sum(c in x for x in labels) for c in named]))
    assert found.guess == pytest.approx(np.mean([1 / len(x) for x, r in zip(labels, rows, strict=True) for _ in r]))

    against = found.against
    members = [(truth[row], x) for x, r in zip(labels, rows, strict=True) for row in r]
    assert against.guess == pytest.approx(np.mean([(t in x) / len(x) for t, x in members]))
    assert against.uncovered == pytest.approx(np.mean([t not in x for t, x in members]))
    shown = [{truth[row] for row in r} for r in rows]
    pairs = [c in s for x, s in zip(labels, shown, strict=True) for c in x]
    assert against.absent == pytest.approx(1 - np.mean(pairs))
    assert against.ids_per_bag.most == max(len(s - {-1}) for s in shown)
    ids = [[int(truth[row]) for row in r] for r in rows]
    assert against.largest == pytest.approx(
        np.mean([max((x.count(c) for c in set(x) - {-1}), default=0) / len(x) for x in ids])
    )


def test_without_truth():
    assert bag_statistics(draft_of([([(0, 2)], {1})])).against is None


@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=50), st.integers(2, 15))
def test_histogram_counts_each_value_once_in_equal_steps(values, lines):
    bins = histogram(np.array(values), lines)
    assert 1 <= len(bins) <= lines
    assert [n for _, _, n in bins] == [sum(low <= v <= high for v in values) for low, high, _ in bins]
    assert sum(n for _, _, n in bins) == len(values)
    assert all(high + 1 == low for (_, high, _), (low, _, _) in pairwise(bins))
    assert bins[0][0] <= min(values) <= bins[0][1]


def test_histogram_steps():
    assert histogram(np.array([2, 3, 3, 5])) == ((2, 2, 1), (3, 3, 2), (4, 4, 0), (5, 5, 1))
    assert histogram(np.array([450, 10_000]), 12)[0] == (0, 999, 1)
