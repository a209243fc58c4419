import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_draft import BagDraft, offsets_of
from wsreid.data.bag_leak import leaks
from wsreid.data.bag_noise import add_noise
from wsreid.data.protocols import random_bags, sysu_bags

CLASSES = 5
bag = st.tuples(
    st.lists(st.tuples(st.integers(0, 14), st.integers(1, 5)), min_size=1, max_size=3),
    st.sets(st.integers(0, CLASSES - 1), min_size=1),
)
drawing = st.lists(bag, min_size=1, max_size=5)


def draft_of(bags):
    """Bags of row ranges, which may touch but not overlap within a bag."""
    starts, stops, counts = [], [], []
    for ranges, _ in bags:
        free = 0
        before = len(starts)
        for gap, length in ranges:
            starts.append(free + gap)
            stops.append(free + gap + length)
            free += gap + length
        counts.append(len(starts) - before)
    labels = [sorted(label) for _, label in bags]
    return BagDraft(
        bag_id=np.arange(len(bags)),
        candidates=np.concatenate(labels).astype(np.int32),
        candidate_offsets=offsets_of(np.repeat(np.arange(len(bags)), [len(x) for x in labels]), len(bags)),
        range_start=np.array(starts),
        range_stop=np.array(stops),
        range_offsets=offsets_of(np.repeat(np.arange(len(bags)), counts), len(bags)),
    )


@given(st.lists(drawing, min_size=1, max_size=3), st.booleans())
def test_agrees_with_sets(drawings, known):
    truth = np.arange(100) % CLASSES if known else None
    left: dict[int, set[int]] = {}
    for found, bags in zip(leaks(map(draft_of, drawings), CLASSES, truth), drawings, strict=True):
        draft = draft_of(bags)
        for b, (_, label) in enumerate(bags):
            for r in range(draft.range_offsets[b], draft.range_offsets[b + 1]):
                for row in range(draft.range_start[r], draft.range_stop[r]):
                    left[row] = left.get(row, set(range(CLASSES))) & label
        assert found.images == len(left)
        assert found.single == pytest.approx(np.mean([len(x) == 1 for x in left.values()]))
        assert found.empty == pytest.approx(np.mean([not x for x in left.values()]))
        assert found.left == pytest.approx(np.mean([len(x) for x in left.values()]))
        if known:
            assert found.right == pytest.approx(np.mean([x == {row % CLASSES} for row, x in left.items()]))
        else:
            assert found.right is None


def redrawn(ids, n, epochs, missing=0.0):
    rows, classes = np.arange(ids * 2), np.repeat(np.arange(ids), 2)
    for epoch in range(epochs):
        draft = random_bags(rows, classes, ids_per_bag=n, images_per_id="all", rng=np.random.default_rng([7, epoch]))
        yield add_noise(draft, missing=missing, extra=0, unknown=0, seed=0, epoch=epoch)


def test_bags_that_stay_give_nothing_away():
    once = next(leaks(redrawn(40, 2, 1), 40, np.repeat(np.arange(40), 2)))
    assert (once.single, once.left, once.right) == (0, 2, 0)
    again = list(leaks([next(redrawn(40, 2, 1))] * 4, 40))
    assert all(leak.single == 0 for leak in again)


def test_two_drawings_of_751_identities_meet_in_the_true_one():
    found = list(leaks(redrawn(751 + 1, 2, 2), 752, np.repeat(np.arange(752), 2)))
    assert found[1].single == pytest.approx(1 - 1 / 751, abs=0.006)  # the other one is the same: 1 in 751
    assert found[1].single == found[1].right


def test_redrawn_bags_leak_more_with_each_epoch_until_all_is_known():
    found = [leak.right for leak in leaks(redrawn(24, 6, 12), 24, np.repeat(np.arange(24), 2))]
    assert found == sorted(found)
    assert found[0] == 0 < found[2] < 1 == found[-1]


def test_missing_candidates_make_labels_contradict_each_other():
    found = list(leaks(redrawn(24, 6, 12, missing=0.3), 24, np.repeat(np.arange(24), 2)))[-1]
    assert found.empty > 0.5
    assert found.right < 0.1


def test_windows_of_folders_meet_in_the_folder():
    folders = np.arange(1, 41)
    folder = np.repeat(folders, 3)
    rows = np.arange(len(folder))
    narrow, wide = (sysu_bags(rows, folder, folders, label_file=None, widths=widths) for widths in ((1, 3, 5), (5,)))
    assert next(leaks([narrow], 40)).single == 1
    ends = next(leaks([wide], 40))
    assert ends.single == pytest.approx(36 / 40)  # two folders at either end are always together
