import json

import numpy as np
import pytest

from wsreid.data.needs import Needs
from wsreid.retrieval import evaluate
from wsreid.study.identity_sums import IdentitySums
from wsreid.study.run_facts import identity_sums, needs_in_words


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Needs(), ""),
        (Needs(views=2, ema=True), "2 views, ema"),
        (Needs(whole_bags=True, member_table=True, epoch_pass=True), "whole bags, member table, epoch pass"),
        (Needs(truth=True, identity_batches=True), "identity batches"),
    ],
)
def test_needs_in_words(needs, words):
    assert needs_in_words(needs) == words


def test_sums_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    q_pid, g_pid = np.array([4, 1, 4, 7, 1, 4]), np.array([1, 4, 4, 1, 2, 4])
    query, gallery = (rng.normal(size=(6, 3)).astype(np.float32) for _ in range(2))
    result = evaluate(query, gallery, q_pid=q_pid, g_pid=g_pid)
    sums = identity_sums(result)
    expected: dict[int, list[float]] = {}
    for pid, ranks in zip(q_pid.tolist(), result.ranks, strict=True):
        if len(ranks):
            entry = expected.setdefault(pid, [0, 0.0, 0])
            entry[0] += 1
            entry[1] += sum((i + 1) / (r + 1) for i, r in enumerate(ranks)) / len(ranks)
            entry[2] += ranks[0] == 0
    assert sums.pid == tuple(sorted(expected)) == (1, 4)
    for at, pid in enumerate(sums.pid):
        assert [sums.queries[at], sums.ap[at], sums.hits[at]] == pytest.approx(expected[pid])
    assert sum(sums.ap) / sum(sums.queries) == pytest.approx(result.map_step)


def test_sums_survive_json():
    sums = IdentitySums((1, 4), (2.0, 1.0), (0.123456789, 1.0), (1.5, 0.0))
    text = json.dumps(sums.as_lists())
    assert text == '{"pid": [1, 4], "queries": [2, 1], "ap": [0.12346, 1], "hits": [1.5, 0]}'
    again = IdentitySums.of_lists(json.loads(text))
    assert again.hits == sums.hits
    assert again.ap == pytest.approx(sums.ap, abs=1e-5)
