"""The three figures against brute force, and what each is blind to."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.methods.label_refine import bag_matched_count, candidate_table, label_refine, set_matched_count

CLASSES = 5


def best_renaming(pseudo, truth):
    return max(
        sum(p >= 0 and names[p] == t for p, t in zip(pseudo, truth, strict=True))
        for names in permutations(range(CLASSES))
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_matchings_are_brute_force(seed):
    rng = np.random.default_rng(seed)
    pseudo, truth = rng.integers(-1, CLASSES, 12), rng.integers(0, CLASSES, 12)
    bag = rng.integers(3, 6, 12)
    assert set_matched_count(pseudo, truth) == best_renaming(pseudo, truth)
    per_bag = sum(best_renaming(pseudo[bag == b], truth[bag == b]) for b in np.unique(bag))
    assert bag_matched_count(pseudo, truth, bag) == per_bag


def drawn(seed=0, bags=30, per_bag=8, width=3, classes=40):
    rng = np.random.default_rng(seed)
    candidates = np.stack([rng.choice(classes, width, replace=False) for _ in range(bags)])
    bag = np.repeat(np.arange(bags), per_bag)
    truth = candidates[bag, rng.integers(0, width, len(bag))]
    return truth, bag, candidates


def test_right_labels_are_right_three_times():
    truth, bag, candidates = drawn()
    figures = label_refine(truth, truth, bag, candidates)
    assert (figures.raw, figures.bag_matched, figures.set_matched) == (1, 1, 1)
    assert (figures.n_images, figures.n_outside) == (240, 0)
    assert figures.raw_random == pytest.approx(1 / 3, abs=0.05)
    assert 1 / 3 < figures.set_matched_random < figures.bag_matched_random < 1


def test_a_renaming_inside_bags_is_seen_by_the_raw_figure_alone():
    _, bag, _ = drawn()
    candidates = np.arange(90).reshape(30, 3)  # disjoint bags: both matchings can undo it
    truth = candidates[bag, np.arange(len(bag)) % 3]
    renamed = candidates[bag, (np.arange(len(bag)) + 1) % 3]
    figures = label_refine(renamed, truth, bag, candidates)
    assert (figures.raw, figures.bag_matched, figures.set_matched) == (0, 1, 1)


def test_a_renaming_that_differs_from_bag_to_bag_is_right_per_bag_alone():
    bag = np.repeat([0, 1], 6)
    candidates = np.array([[0, 1], [0, 1]])
    truth = np.tile([0, 1], 6)
    pseudo = np.where(bag == 0, truth, 1 - truth)
    figures = label_refine(pseudo, truth, bag, candidates)
    assert (figures.raw, figures.bag_matched, figures.set_matched) == (0.5, 1, 0.5)


def test_unknown_truth_is_left_out_and_outsiders_are_counted_apart():
    bag = np.zeros(6, dtype=np.int64)
    candidates = np.array([[-1, 2, 7]])
    truth = np.array([2, 7, 7, -1, 5, 5])
    pseudo = np.array([2, 7, -1, 2, 2, 7])
    figures = label_refine(pseudo, truth, bag, candidates)
    assert (figures.n_images, figures.n_outside) == (3, 2)
    assert figures.raw == pytest.approx(2 / 3)  # no label counts as wrong


def test_no_truth_is_none():
    bag, candidates = np.zeros(3, dtype=np.int64), np.array([[0, 1]])
    assert label_refine(np.array([0, 1, 0]), np.full(3, -1), bag, candidates) is None
    assert label_refine(np.array([0, 1, 0]), np.full(3, 4), bag, candidates) is None


def test_chance_is_seeded_and_ignores_the_labels():
    truth, bag, candidates = drawn()
    a = label_refine(truth, truth, bag, candidates, seed=1)
    b = label_refine(candidates[bag, 0], truth, bag, candidates, seed=1)
    c = label_refine(truth, truth, bag, candidates, seed=2)
    chance = [(f.raw_random, f.bag_matched_random, f.set_matched_random) for f in (a, b, c)]
    assert chance[0] == chance[1] != chance[2]


def test_candidate_table():
    assert candidate_table([[1, 2], [], [3]]).tolist() == [[1, 2], [-1, -1], [3, -1]]
    assert candidate_table([]).shape == (0, 0)
