from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.retrieval.junk import same_identity_pairs
from wsreid.retrieval.single_shot import draw_single_shot, single_shot_ranks, single_shots

ids = st.lists(st.integers(-2, 4), min_size=1, max_size=15).map(lambda x: np.array(x, dtype=np.int64))


@given(ids, ids, st.randoms(use_true_random=False), st.integers(0, 100))
def test_a_draw_has_one_image_an_identity_and_one_match_a_query(q_pid, g_pid, random, seed):
    q_cam = np.array([random.randint(-1, 1) for _ in q_pid])
    g_cam = np.array([random.randint(-1, 1) for _ in g_pid])
    pairs = same_identity_pairs(q_pid, g_pid, q_cam, g_cam)
    shot = draw_single_shot(q_pid, g_pid, pairs, np.random.default_rng(seed))
    assert g_pid[shot.gallery].tolist() == sorted(set(g_pid.tolist()) - {-1})
    for i, pid in enumerate(q_pid):
        matches = [j for j in range(len(g_pid)) if pid == g_pid[j] != -1 and (q_cam[i] == -1 or q_cam[i] != g_cam[j])]
        assert (shot.match[i] in matches) if matches else (shot.match[i] == -1)
        if pid != -1 and pid in g_pid:
            assert g_pid[shot.gallery[shot.own[i]]] == pid
        else:
            assert shot.own[i] == -1


@pytest.fixture
def crowd():
    q_pid, g_pid = np.array([0, 1]), np.array([0, 0, 0, 1, 1, -1])
    cameras = np.array([0, 0]), np.array([0, 1, 1, 1, 1, 1])
    return q_pid, g_pid, same_identity_pairs(q_pid, g_pid, *cameras)


def test_each_image_is_as_likely_as_the_others(crowd):
    shots = list(single_shots(*crowd, repeats=600, seed=0))
    drawn = Counter(int(shot.gallery[0]) for shot in shots)
    matches = Counter(int(shot.match[0]) for shot in shots)
    assert sorted(drawn) == [0, 1, 2]
    assert sorted(matches) == [1, 2]
    assert max(drawn.values()) < 240  # 200 expected, standard deviation 12
    assert max(matches.values()) < 340  # 300 expected, standard deviation 12


def test_draws_follow_the_seed_and_their_number_alone(crowd):
    three, five = (list(single_shots(*crowd, repeats=n, seed=4)) for n in (3, 5))
    for a, b in zip(three, five[:3], strict=True):
        assert np.array_equal(a.gallery, b.gallery)
        assert np.array_equal(a.match, b.match)
    others = list(single_shots(*crowd, repeats=5, seed=5))
    assert any(not np.array_equal(a.gallery, b.gallery) for a, b in zip(five, others, strict=True))


def test_queries_without_a_match_have_no_rank(crowd):
    q_pid, g_pid, pairs = crowd
    q_pid = np.array([0, 9])
    pairs = same_identity_pairs(q_pid, g_pid, np.array([0, 0]), np.ones(6, dtype=np.int64))
    ranks = single_shot_ranks(single_shots(q_pid, g_pid, pairs, repeats=4, seed=0), lambda shot: shot.match + 0.5)
    assert ranks.shape == (4, 2)
    assert np.isnan(ranks[:, 1]).all()
    assert set(ranks[:, 0]) <= {0.5, 1.5, 2.5}
