import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.retrieval.lost_queries import lost_by_counts, lost_queries
from wsreid.retrieval.protocols import MARKET1501, NO_CAMERA, SYSU30K

ids = st.lists(st.integers(-1, 4), min_size=1, max_size=12).map(lambda x: np.array(x, dtype=np.int64))


@given(ids, ids, st.randoms(use_true_random=False), st.sampled_from((MARKET1501, NO_CAMERA)))
def test_lost_queries_are_the_loops(q_pid, g_pid, random, protocol):
    q_cam = np.array([random.randint(-1, 1) for _ in q_pid])
    g_cam = np.array([random.randint(-1, 1) for _ in g_pid])
    kinds = {"unknown": [], "absent": [], "own_camera": []}
    for i, pid in enumerate(q_pid):
        mine = [j for j in range(len(g_pid)) if g_pid[j] == pid]
        free = [j for j in mine if not protocol.same_camera_is_junk or q_cam[i] == -1 or q_cam[i] != g_cam[j]]
        if pid == -1:
            kinds["unknown"].append(i)
        elif not mine:
            kinds["absent"].append(i)
        elif not free:
            kinds["own_camera"].append(i)
    lost = lost_queries(q_pid, g_pid, q_cam, g_cam, protocol)
    assert {name: getattr(lost, name).tolist() for name in kinds} == kinds
    assert lost.rows.tolist() == sorted(i for rows in kinds.values() for i in rows)
    assert len(lost) == len(lost.rows)
    assert bool(str(lost)) == bool(len(lost)) == bool(lost.causes)


def arrays(*lists):
    return tuple(np.array(x, dtype=np.int64) for x in lists)


def test_the_message_counts_names_rows_and_says_what_becomes_of_them():
    q_pid, g_pid, q_cam, g_cam = arrays(
        [1, 1, 2, 3, -1, 4, 4, 4, 4, 4, 4], [1, 2, 5], [0, 1, 0, 0, 0, *[1] * 6], [0, 1, 1]
    )
    text = str(lost_queries(q_pid, g_pid, q_cam, g_cam, SYSU30K))
    for part in (
        "9 of 11 queries",
        "sysu30k and count as misses",
        "1 whose identity the gallery shows under their own camera only (row 0)",
        "7 whose identity is not in the gallery (rows 3, 5, 6, 7, 8, ...)",
        "1 of identity -1 (row 4)",
    ):
        assert part in text, part
    assert "left out of the averages" in str(lost_queries(q_pid, g_pid, q_cam, g_cam, MARKET1501))


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (([1, 2], [1, 2], [0, 0], [0, 0]), "were the cameras read"),
        (([1, 2, 3], [1, 2, 3], [0, 1, 1], [0, 1, 0]), "look how cameras are numbered"),
        (([1, 2, 3], [1, 2, 3], [0, 1, 1], [0, 0, 0]), "one camera only, as happens in small"),
        (([1, 2], [3, 4], [0, 1], [0, 1]), "share no identity"),
        (([1, 2], [3, 2], [0, 1], [0, 0]), "is it whole"),
        (([-1, 2], [3, 2], [0, 1], [0, 0]), "unknown"),
    ],
)
def test_the_likely_cause_is_named(data, cause):
    lost = lost_queries(*arrays(*data), MARKET1501)
    assert len(lost.causes) == 1
    assert cause in lost.causes[0]
    assert cause in str(lost)


def test_counts_of_a_gallerys_parts_add_up():
    q_pid, q_cam = arrays([1, 2, 3], [0, 1, 0])
    lost = lost_by_counts(q_pid, q_cam, *arrays([0, 1, 0], [2, 0, 0]), MARKET1501)
    assert (lost.own_camera.tolist(), lost.absent.tolist()) == ([0], [2])
