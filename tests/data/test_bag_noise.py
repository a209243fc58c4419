import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_draft import BagDraft
from wsreid.data.bag_noise import add_noise
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.errors import DataError

BAGS, IDS = 600, 40


@pytest.fixture(scope="module")
def draft() -> BagDraft:
    rng = np.random.default_rng(0)
    labels = [np.sort(rng.choice(IDS, 3, replace=False)) for _ in range(BAGS)]
    return BagDraft(
        bag_id=np.arange(BAGS),
        candidates=np.concatenate(labels).astype(np.int32),
        candidate_offsets=np.arange(BAGS + 1) * 3,
        range_start=np.arange(BAGS) * 5,
        range_stop=np.arange(BAGS) * 5 + 5,
        range_offsets=np.arange(BAGS + 1),
    )


def labels(draft):
    bags = Bags.from_draft(draft, BagSettings(), "")
    return {int(bags.bag_id[b]): set(bags.candidates(b).tolist()) for b in range(len(bags))}


def noisy(draft, missing=0.0, extra=0.0, unknown=0.0, seed=0, epoch=0):
    result = add_noise(draft, missing=missing, extra=extra, unknown=unknown, seed=seed, epoch=epoch)
    for b, (start, stop) in enumerate(zip(result.candidate_offsets[:-1], result.candidate_offsets[1:], strict=True)):
        assert np.all(np.diff(result.candidates[start:stop]) > 0), b  # ascending, unique, not empty
        assert stop > start
    return result


def test_none_changes_nothing(draft):
    assert labels(noisy(draft)) == labels(draft)


def test_missing_drops_by_bag(draft):
    before, after = labels(draft), labels(noisy(draft, missing=0.3))
    assert before.keys() == after.keys()
    assert all(after[b] <= before[b] for b in before)
    dropped = sum(len(before[b] - after[b]) for b in before)
    assert dropped == pytest.approx(0.3 * 3 * BAGS - 0.3**3 * BAGS, rel=0.1)
    assert set.union(*after.values()) == set.union(*before.values())  # each identity is still a candidate somewhere
    assert all(len(x) == 1 for x in labels(noisy(draft, missing=1.0)).values())  # never empty


def test_extra_adds_a_training_identity(draft):
    before, after = labels(draft), labels(noisy(draft, extra=0.4))
    added = [after[b] - before[b] for b in before]
    assert all(before[b] <= after[b] for b in before)
    assert {len(x) for x in added} == {0, 1}
    assert sum(map(len, added)) == pytest.approx(0.4 * BAGS, rel=0.15)
    drawn = np.bincount([x for s in added for x in s], minlength=IDS)
    assert len(drawn) == IDS
    assert drawn.max() < 20  # spread evenly: 6 each


def test_extra_never_names_an_identity_held_out(draft):
    even = draft.candidates % 2 == 0  # bags of even identities alone, as if the odd ones were held out
    kept = BagDraft(
        draft.bag_id,
        draft.candidates[even],
        np.append(0, np.cumsum(np.bincount(draft.owner[even], minlength=BAGS))),
        draft.range_start,
        draft.range_stop,
        draft.range_offsets,
    )
    some = np.diff(kept.candidate_offsets) > 0
    assert some.sum() < BAGS  # some bags lose all: those are not of this test
    result = add_noise(_only(kept, some), missing=0, extra=1.0, unknown=0, seed=0)
    assert np.all(result.candidates % 2 == 0)


def _only(draft, kept):
    return BagDraft(
        draft.bag_id[kept],
        draft.candidates,
        np.append(0, np.cumsum(np.diff(draft.candidate_offsets)[kept])),
        draft.range_start[kept],
        draft.range_stop[kept],
        np.arange(kept.sum() + 1),
    )


def test_extra_does_not_put_back_what_is_missing(draft):
    before = labels(draft)
    after = labels(noisy(draft, missing=0.5, extra=1.0))
    only_missing = labels(noisy(draft, missing=0.5))
    for b in before:
        added = after[b] - only_missing[b]
        assert len(added) == 1
        assert not added & before[b]


def test_extra_where_the_bag_names_everyone():
    all_ids = BagDraft(
        np.arange(1), np.arange(3, dtype=np.int32), np.array([0, 3]), np.array([0]), np.array([9]), np.array([0, 1])
    )
    assert labels(noisy(all_ids, extra=1.0)) == {0: {0, 1, 2}}


def test_unknown_is_a_candidate_nowhere(draft):
    before, after = labels(draft), labels(noisy(draft, unknown=0.5, extra=1.0))
    known = set.union(*after.values())
    assert 10 < len(known) < 30
    for b, label in before.items():
        if label & known:
            assert label & known <= after[b] <= known
            assert len(after[b] - label) == (1 if len(known) > len(label & known) else 0)
        else:
            assert b not in after  # a bag of unknown persons alone has no label
    result = noisy(draft, unknown=0.5)
    np.testing.assert_array_equal(result.range_start, result.bag_id * 5)  # the images stay with their bag


def test_all_unknown_is_refused(draft):
    with pytest.raises(DataError, match="unknown leaves no bag"):
        noisy(draft, unknown=1.0)


def test_streams_are_apart_and_seeded(draft):
    def drops(**noise):
        return labels(noisy(draft, **noise))

    assert drops(missing=0.3) == drops(missing=0.3) != drops(missing=0.3, seed=1)
    assert drops(missing=0.3) != drops(missing=0.3, epoch=1)
    assert drops(unknown=0.3) == drops(unknown=0.3, epoch=1)  # who is unknown does not change
    with_extra, without = drops(missing=0.3, extra=0.5), drops(missing=0.3)
    assert all(without[b] <= with_extra[b] for b in without)  # one kind of noise leaves the other as it was


PROBABILITY = st.floats(0, 1)


@given(st.lists(st.sets(st.integers(0, 6), min_size=1), min_size=1, max_size=12), PROBABILITY, PROBABILITY, PROBABILITY)
def test_laws_of_all_noise_together(names, missing, extra, unknown):
    bags = len(names)
    owner = np.repeat(np.arange(bags), [len(x) for x in names])
    draft = BagDraft(
        np.arange(bags) + 50,
        np.concatenate([sorted(x) for x in names]).astype(np.int32),
        np.append(0, np.cumsum(np.bincount(owner, minlength=bags))),
        np.arange(bags) * 3,
        np.arange(bags) * 3 + 2,
        np.arange(bags + 1),
    )
    try:
        after = labels(noisy(draft, missing=missing, extra=extra, unknown=unknown))
    except DataError:
        assert unknown > 0
        return
    known = set().union(*labels(noisy(draft, unknown=unknown)).values()) if unknown else set().union(*names)
    for b, label in after.items():
        before = names[b - 50]
        assert label
        assert label <= known  # no stranger, nobody held out
        assert label & before  # what a bag keeps of its own is never nothing
        assert len(label - before) <= 1
    assert set(after) == {b + 50 for b, x in enumerate(names) if x & known}
