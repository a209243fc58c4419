import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsreid.retrieval.junk import junk_rule, same_identity_pairs

ints = st.lists(st.integers(-2, 3), min_size=1, max_size=12).map(lambda x: np.array(x, dtype=np.int64))


@given(ints, ints, st.randoms(use_true_random=False))
def test_pairs_are_the_loops(q_pid, g_pid, random):
    q_cam = np.array([random.randint(-1, 2) for _ in q_pid])
    g_cam = np.array([random.randint(-1, 2) for _ in g_pid])
    pairs = same_identity_pairs(q_pid, g_pid, q_cam, g_cam)
    expected = [
        (i, j, q_cam[i] == g_cam[j] != -1)
        for i in range(len(q_pid))
        for j in range(len(g_pid))
        if q_pid[i] == g_pid[j] != -1
    ]
    assert list(zip(pairs.query.tolist(), pairs.gallery.tolist(), pairs.junk.tolist(), strict=True)) == expected


@given(ints, ints)
def test_without_the_camera_rule_no_pair_is_junk(q_pid, g_pid):
    cameras = np.zeros_like(q_pid), np.zeros_like(g_pid)
    strict = same_identity_pairs(q_pid, g_pid, *cameras)
    free = same_identity_pairs(q_pid, g_pid, *cameras, same_camera_is_junk=False)
    assert strict.junk.all()
    assert not free.junk.any()
    assert np.array_equal(strict.gallery, free.gallery)


def test_the_rule_says_when_there_are_no_cameras():
    assert "same camera" in junk_rule(True)
    assert "no cameras" in junk_rule(False)
