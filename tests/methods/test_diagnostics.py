"""Each figure against a loop over images and bags, and what the figures say of labels that are known."""

import math
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.methods.diagnostics import (
    ALL,
    LabelDiagnostics,
    bag_groups,
    camera_counts,
    confidences,
    confused_pairs,
    confusion,
    diagnose,
    entropies,
    flips,
    presence,
    size_bins,
)
from wsreid.methods.epoch_labels import EpochLabels
from wsreid.methods.label_refine import label_refine

seeds = st.integers(0, 10_000)


def drawn(seed, bags=7, classes=9, width=4, truth=True):
    """Bags with 0 to `width` candidates and 1 to 6 images; some labels or identities are missing, some no candidate."""
    rng = np.random.default_rng(seed)
    candidates = np.full((bags, width), -1)
    for row in candidates:
        n = int(rng.integers(0, width + 1))
        row[:n] = np.sort(rng.choice(classes, n, replace=False))
    bag = np.repeat(np.arange(bags), rng.integers(1, 7, bags))
    n = len(bag)
    own = candidates[bag, rng.integers(0, width, n)]
    pseudo = np.where(rng.random(n) < 0.8, own, rng.integers(-1, classes, n))
    known = np.where(rng.random(n) < 0.7, candidates[bag, rng.integers(0, width, n)], rng.integers(-1, classes, n))
    probs = rng.random((n, width)) * (rng.random((n, width)) < 0.7)
    return EpochLabels(
        pseudo=pseudo,
        entropy=entropies(probs, candidates[bag]),
        confidence=confidences(probs, candidates[bag], pseudo),
        truth=known if truth else np.full(n, -1),
        member=rng.permutation(n * 2)[:n],
        row=np.arange(n),
        camera=rng.integers(-1, 4, n),
        bag=bag,
        bag_id=np.arange(bags) * 3,
        bag_size=rng.integers(1, 20, bags),
        candidates=candidates,
    )


def named(row):
    return [c for c in row.tolist() if c >= 0]


def same(found, expected):
    assert found.shape == (len(expected),)
    assert np.array_equal(np.isnan(found), [e is None for e in expected])
    assert np.allclose(found[~np.isnan(found)], [e for e in expected if e is not None])


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_entropy(seed):
    rng, x = np.random.default_rng(seed), drawn(seed)
    own = x.candidates[x.bag]
    probs = rng.random(own.shape) * (rng.random(own.shape) < 0.6)
    expected = []
    for p, row in zip(probs.tolist(), own.tolist(), strict=True):
        kept = [value for value, c in zip(p, row, strict=True) if c >= 0]
        total = sum(kept)
        expected.append(-sum(v / total * math.log(v / total) for v in kept if v > 0) if total > 0 else None)
    same(entropies(probs.astype(np.float32), own), expected)


def test_entropy_of_known_distributions():
    candidates = np.array([[1, 2, 3, 4], [1, 2, -1, -1], [5, -1, -1, -1], [-1, -1, -1, -1]])
    probs = np.array([[0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    found = entropies(probs, candidates)
    assert found[:3].tolist() == pytest.approx([math.log(4), 0, 0])
    assert not np.signbit(found[1])
    assert math.isnan(found[3])
    assert np.isnan(entropies(np.empty((2, 0)), np.empty((2, 0), int))).all()


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_confidences(seed):
    x = drawn(seed)
    own = x.candidates[x.bag]
    probs = np.random.default_rng(seed + 1).random(own.shape)
    expected = []
    for p, row, label in zip(probs.tolist(), own.tolist(), x.pseudo.tolist(), strict=True):
        total = sum(value for value, c in zip(p, row, strict=True) if c >= 0)
        expected.append(p[row.index(label)] / total if label >= 0 and label in row else None)
    same(confidences(probs, own, x.pseudo), expected)
    assert np.isnan(confidences(np.zeros_like(probs), own, x.pseudo)).all()


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_presence(seed):
    x = drawn(seed)
    expected = []
    for b, row in enumerate(x.candidates):
        given_to = {p for p, own in zip(x.pseudo.tolist(), x.bag.tolist(), strict=True) if own == b}
        ids = named(row)
        expected.append(sum(c in given_to for c in ids) / len(ids) if ids else None)
    same(presence(x.pseudo, x.bag, x.candidates), expected)


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(0, 30))
def test_flips(seed, before):
    rng, x = np.random.default_rng(seed), drawn(seed)
    old = {int(m): int(rng.integers(0, 9)) for m in rng.permutation(60)[:before]}
    expected = [
        float(old[m] != p) if m in old and p >= 0 else None
        for m, p in zip(x.member.tolist(), x.pseudo.tolist(), strict=True)
    ]
    members = np.array(sorted(old), dtype=np.int64)
    same(flips(x.member, x.pseudo, members, np.array([old[m] for m in sorted(old)], dtype=np.int64)), expected)


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_confusion_and_its_chance(seed):
    x = drawn(seed)
    expected, chance = [], []
    for i in range(len(x)):
        ids, wrong = named(x.candidates[x.bag[i]]), x.pseudo[i] not in (-1, x.truth[i])
        if not wrong or x.truth[i] not in ids:
            expected.append(None)
            chance.append(None)
            continue
        others = {int(x.truth[j]) for j in range(len(x)) if j != i and x.bag[j] == x.bag[i] and x.truth[j] >= 0}
        expected.append(float(x.pseudo[i] in others))
        rest = [c for c in ids if c != x.truth[i]]
        chance.append(sum(c in others for c in rest) / len(rest) if rest else None)
    found = confusion(x.pseudo, x.truth, x.bag, x.candidates)
    same(found[0], expected)
    same(found[1], chance)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_confused_pairs(seed):
    rng = np.random.default_rng(seed)
    truth, pseudo = rng.integers(0, 3, 30), rng.integers(0, 3, 30)
    counts = Counter(zip(truth.tolist(), pseudo.tolist(), strict=True))
    expected = sorted(((t, p, n) for (t, p), n in counts.items()), key=lambda found: (-found[2], found[:2]))
    assert list(confused_pairs(pseudo, truth, top=4)) == expected[:4]


def test_no_wrong_label_gives_no_pairs():
    assert confused_pairs(np.empty(0, np.int64), np.empty(0, np.int64)) == ()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_size_bins_hold_each_size_once(sizes):
    bins = size_bins(np.array(sizes))
    assert 1 <= len(bins) <= 4
    assert all(sum(a <= size <= b for a, b in bins) == 1 for size in sizes)
    assert (bins[0][0], bins[-1][1]) == (min(sizes), max(sizes))
    for _, end in bins[:-1]:  # each ends at a quantile
        assert end in sizes


def test_size_bins_of_known_sizes():
    assert size_bins(np.array([8] * 9)) == [(8, 8)]
    assert size_bins(np.arange(1, 9)) == [(1, 2), (3, 4), (5, 6), (7, 8)]
    assert size_bins(np.empty(0, np.int64)) == []


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_camera_counts(seed):
    x = drawn(seed)
    expected = [len({c for c, b in zip(x.camera, x.bag, strict=True) if b == bag and c >= 0}) for bag in range(7)]
    assert camera_counts(x.camera, x.bag, 7).tolist() == expected


def with_bags(sizes, cameras):
    """One image for each of a bag's cameras."""
    bag = np.repeat(np.arange(len(sizes)), [len(own) for own in cameras])
    n = len(bag)
    return EpochLabels(
        pseudo=np.zeros(n, int),
        entropy=np.zeros(n),
        confidence=np.ones(n),
        truth=np.zeros(n, int),
        member=np.arange(n),
        row=np.arange(n),
        camera=np.concatenate(cameras),
        bag=bag,
        bag_id=np.arange(len(sizes)),
        bag_size=np.array(sizes),
        candidates=np.zeros((len(sizes), 1), int),
    )


def test_groups_by_size_and_cameras():
    x = with_bags([3, 8, 9, 40, 1], [[0, 0], [1, 2], [-1], list(range(12)), [-1, 5]])
    groups = bag_groups(x, [(3, 8), (9, 9), (10, 20)])
    assert {name: np.flatnonzero(inside).tolist() for name, inside in groups.items()} == {
        "all": [0, 1, 2, 3, 4],
        "bag size 3-8": [0, 1, 4],  # 1 is below all ranges
        "bag size 9": [2],
        "bag size 10-20": [3],  # 40 is above all
        "cameras unknown": [2],
        "cameras 1": [0, 4],
        "cameras 2": [1],
        "cameras 8+": [3],
    }


def mean(values):
    known = [float(v) for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else None


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_figures_of_all_bags_are_those_of_the_functions(seed):
    x = drawn(seed)
    before = np.arange(0, 40, 2), np.arange(0, 40, 2) % 9
    found = diagnose(x, before, bag_groups(x, size_bins(x.bag_size)), repeats=3, seed=seed)[ALL]
    refine = label_refine(x.pseudo, x.truth, x.bag, x.candidates, repeats=3, seed=seed)
    for name in ("raw", "bag_matched", "set_matched"):
        for field in (name, f"{name}_random"):
            expected = None if refine is None else pytest.approx(getattr(refine, field))
            assert getattr(found, field) == expected
    assert found.n_scored == (0 if refine is None else refine.n_images)
    assert found.presence == pytest.approx(mean(presence(x.pseudo, x.bag, x.candidates)))
    assert found.entropy == pytest.approx(mean(x.entropy))
    width = [len(named(x.candidates[b])) for b in x.bag]
    shares = [e / math.log(w) if w > 1 else math.nan for e, w in zip(x.entropy.tolist(), width, strict=True)]
    assert found.entropy_normalised == pytest.approx(mean(shares))
    changed = flips(x.member, x.pseudo, *before)
    assert found.flip_rate == pytest.approx(mean(changed))
    assert found.n_repeated == np.count_nonzero(~np.isnan(changed))
    wrong, chance = confusion(x.pseudo, x.truth, x.bag, x.candidates)
    assert (found.confusion, found.confusion_random) == (pytest.approx(mean(wrong)), pytest.approx(mean(chance)))
    assert found.n_wrong == np.count_nonzero(~np.isnan(wrong)) >= sum(n for *_, n in found.confused_pairs)
    assert (found.n_bags, found.n_images) == (7, len(x))


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_groups_add_up_to_all(seed):
    x = drawn(seed)
    found = diagnose(x, None, bag_groups(x, size_bins(x.bag_size)), repeats=2)
    for kind in ("bag size", "cameras"):
        groups = [figures for name, figures in found.items() if name.startswith(kind)]
        for figure in ("raw", "raw_random", "bag_matched", "set_matched", "set_matched_random"):
            total = sum(g.n_scored * (getattr(g, figure) or 0) for g in groups)
            assert total == pytest.approx(found[ALL].n_scored * (getattr(found[ALL], figure) or 0))
        assert sum(g.n_wrong for g in groups) == found[ALL].n_wrong
        assert sum(g.n_images for g in groups) == len(x)


def test_a_bag_alone_has_the_figures_that_it_has_as_a_group():
    """All but the renaming over the set, which is of all bags."""
    x = drawn(3, bags=5)
    one = {str(b): np.arange(5) == b for b in range(5)}
    together = diagnose(x, None, one)
    for b in range(5):
        alone = diagnose(x.images(x.bag == b), None, {"": np.ones(1, bool)})[""]
        for field in ("raw", "bag_matched", "presence", "entropy", "confusion", "confusion_random", "confused_pairs"):
            assert getattr(together[str(b)], field) == getattr(alone, field), field


def test_without_truth_there_are_presence_entropy_and_flips_alone():
    x = drawn(1, truth=False)
    found = diagnose(x, (np.arange(99), np.zeros(99, int)), bag_groups(x, []))[ALL]
    known = {name for name, value in asdict(found).items() if value not in (None, (), 0)}
    assert known == {"n_bags", "n_images", "presence", "entropy", "entropy_normalised", "n_repeated", "flip_rate"}


def test_right_labels_have_no_confusion_and_wrong_ones_are_told_apart():
    candidates = np.array([[0, 1, 2], [3, 4, 5]])
    bag = np.repeat([0, 1], 4)
    truth = np.array([0, 0, 1, 1, 3, 3, 3, 3])
    labels = EpochLabels(
        pseudo=truth,
        entropy=np.zeros(8),
        confidence=np.ones(8),
        truth=truth,
        member=np.arange(8),
        row=np.arange(8),
        camera=np.full(8, -1),
        bag=bag,
        bag_id=np.arange(2),
        bag_size=np.full(2, 4),
        candidates=candidates,
    )
    right = diagnose(labels, None, bag_groups(labels, []))[ALL]
    assert (right.raw, right.confusion, right.n_wrong, right.confused_pairs) == (1.0, None, 0, ())
    assert right.presence == pytest.approx((2 / 3 + 1 / 3) / 2)
    pseudo = np.array([1, 0, 1, 2, 4, 3, 3, 3])  # of three wrong labels one is of a person who is there
    wrong = diagnose(EpochLabels(**{**vars(labels), "pseudo": pseudo}), None, bag_groups(labels, []))[ALL]
    assert (wrong.n_wrong, wrong.confusion) == (3, pytest.approx(1 / 3))
    assert wrong.confusion_random == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert wrong.confused_pairs == ((0, 1, 1), (1, 2, 1), (3, 4, 1))


def test_nothing_seen_is_nothing_known():
    assert set(asdict(LabelDiagnostics()).values()) == {0, None, ()}
