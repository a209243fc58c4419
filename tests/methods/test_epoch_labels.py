"""Batches put together: bags in chunks, members seen twice, and the choice of bags of a large set."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.methods.epoch_labels import EpochLabels, chosen, join


def part(bag_id, members, labels, candidates):
    """A batch: by bag its id, members and labels."""
    bag = np.repeat(np.arange(len(bag_id)), [len(m) for m in members])
    member, pseudo = np.concatenate(members), np.concatenate(labels)
    return EpochLabels(
        pseudo=pseudo,
        entropy=pseudo / 10,
        confidence=pseudo / 20,
        truth=pseudo % 3,
        member=member,
        row=member + 1000,
        camera=member % 4,
        bag=bag,
        bag_id=np.array(bag_id),
        bag_size=np.array(bag_id) + 50,
        candidates=np.array(candidates),
    )


def test_batches_of_different_widths_share_bags():
    first = part([7, 3], [[70, 71], [30]], [[1, 2], [5]], [[1, 2], [5, -1]])
    second = part([3, 9], [[32], [90]], [[6], [8]], [[5, -1, -1], [7, 8, 9]])
    found = join([first, second])
    assert found.bag_id.tolist() == [3, 7, 9]
    assert found.bag_size.tolist() == [53, 57, 59]
    assert found.candidates.tolist() == [[5, -1, -1], [1, 2, -1], [7, 8, 9]]
    assert found.member.tolist() == [30, 32, 70, 71, 90]
    assert found.pseudo.tolist() == [5, 6, 1, 2, 8]
    assert found.bag.tolist() == [0, 0, 1, 1, 2]
    assert np.array_equal(found.entropy, found.pseudo / 10)
    assert np.array_equal(found.confidence, found.pseudo / 20)
    assert np.array_equal(found.truth, found.pseudo % 3)
    assert np.array_equal(found.row, found.member + 1000)
    assert np.array_equal(found.camera, found.member % 4)


def test_the_latest_label_of_a_member_counts():
    parts = [part([0], [[4, 5, 4]], [[1, 2, 3]], [[1, 2, 3]]), part([0], [[5]], [[3]], [[1, 2, 3]])]
    found = join(parts)
    assert (found.member.tolist(), found.pseudo.tolist()) == ([4, 5], [3, 3])


def test_nothing_and_batches_without_images():
    assert join([]) is None
    empty = part([0], [[4]], [[1]], [[1, 2]]).images(np.array([False]))
    assert len(join([empty, empty])) == 0
    assert len(join([empty, part([0], [[4]], [[1]], [[1, 2]])])) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_any_cut_into_batches_is_one_epoch(seed, batches):
    rng = np.random.default_rng(seed)
    bags = rng.permutation(40)[:6].tolist()
    members = [np.arange(b * 10, b * 10 + int(rng.integers(1, 6))) for b in bags]
    labels = [rng.integers(0, 9, len(m)) for m in members]
    candidates = rng.integers(0, 9, (6, 3))
    whole = part(bags, members, labels, candidates)
    cuts = np.array_split(rng.permutation(len(whole)), batches)
    found = join([whole.images(cut) for cut in cuts if len(cut)])
    expected = join([whole])
    for name in vars(expected):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def many(n=4000):
    return part(list(range(n)), [[2 * b, 2 * b + 1] for b in range(n)], [[1, 2]] * n, [[1, 2]] * n)


def test_whole_bags_are_chosen_by_halves_one_within_the_other():
    before = many()
    for halvings in range(5):
        found = chosen(many(), halvings, seed=0)
        assert set(found.bag_id.tolist()) <= set(before.bag_id.tolist())
        assert len(found) == 2 * len(found.bag_id)
        assert abs(len(found.bag_id) / 4000 - 0.5**halvings) < 0.03
        before = found


def test_the_choice_depends_on_seed_and_bag_alone():
    first = chosen(many(), 2, seed=0).bag_id
    assert np.array_equal(chosen(many().images(np.arange(7999, -1, -1)), 2, seed=0).bag_id, first)
    assert not np.array_equal(chosen(many(), 2, seed=1).bag_id, first)
    some = chosen(many(1000), 2, seed=0).bag_id
    assert np.array_equal(some, first[first < 1000])
