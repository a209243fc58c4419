import dataclasses
import json

import numpy as np
import pytest

from wsreid.errors import FeatureError
from wsreid.retrieval import evaluate
from wsreid.tracking.identity_sums import IdentitySums, identity_sums


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


def test_a_result_without_identities_has_no_sums():
    features = np.eye(2, dtype=np.float32)
    result = evaluate(features, features, q_pid=np.arange(2), g_pid=np.arange(2))
    with pytest.raises(FeatureError, match="does not know its queries' identities"):
        identity_sums(dataclasses.replace(result, query_pid=None))
