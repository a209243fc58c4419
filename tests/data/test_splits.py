import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.splits import has_match, query_and_gallery, split_identities
from wsreid.errors import DataError


@given(st.sets(st.integers(1, 500), min_size=4, max_size=60), st.floats(0, 0.4), st.integers(0, 99))
def test_identities_are_partitioned(ids, fraction, seed):
    ids = np.array(sorted(ids))
    train, val = split_identities(ids, fraction, seed)
    assert sorted([*train, *val]) == ids.tolist()
    assert len(val) == (0 if fraction == 0 else max(2, round(fraction * len(ids))))


def test_identities_depend_on_the_seed():
    ids = np.arange(100)
    assert split_identities(ids, 0.1, 0)[1].tolist() == split_identities(ids, 0.1, 0)[1].tolist()
    assert split_identities(ids, 0.1, 0)[1].tolist() != split_identities(ids, 0.1, 1)[1].tolist()


@pytest.mark.parametrize(("count", "fraction"), [(3, 0.1), (10, 0.9), (1, 0.5)])
def test_too_few_identities(count, fraction):
    with pytest.raises(DataError, match="val_fraction"):
        split_identities(np.arange(count), fraction, 0)


images = st.lists(st.tuples(st.integers(-1, 5), st.integers(1, 3)), min_size=1, max_size=25)


@given(images, images)
def test_has_match_agrees_with_a_plain_loop(query, gallery):
    (qp, qc), (gp, gc) = (np.array(x, np.int32).T for x in (query, gallery))
    found = has_match(qp, qc, gp, gc)
    assert found.tolist() == [p >= 0 and any(p == g and c != d for g, d in gallery) for p, c in query]


def test_has_match_without_cameras():
    pid, none = np.array([1, 2, -1], np.int32), np.full(3, -1, np.int32)
    assert has_match(pid, none, np.array([2, 3, -1], np.int32), none).tolist() == [False, True, False]


@given(images, st.integers(0, 9))
def test_queries_across_cameras(images, seed):
    pid, camera = np.array(images, np.int32).T
    pid = np.abs(pid)
    rows = np.arange(len(pid)) + 10
    query, gallery = query_and_gallery(rows, pid, camera, seed)
    assert gallery.tolist() == rows.tolist()
    pairs = {(int(p), int(c)) for p, c in zip(pid, camera, strict=True)}
    expected = sorted((p, c) for p, c in pairs if any(p == x and c != y for x, y in pairs))
    assert sorted((int(pid[q - 10]), int(camera[q - 10])) for q in query) == expected


def test_queries_without_cameras():
    pid = np.array([1, 1, 1, 2, 3, 3], np.int32)
    rows = np.array([4, 5, 6, 7, 8, 9])
    query, gallery = query_and_gallery(rows, pid, np.full(6, -1, np.int32), 0)
    assert pid[query - 4].tolist() == [1, 3]
    assert sorted([*query, *gallery]) == rows.tolist()
    assert {int(query_and_gallery(rows, pid, np.full(6, -1, np.int32), s)[0][0]) for s in range(20)} == {4, 5, 6}
