import numpy as np
import pytest

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval import evaluate
from wsreid.retrieval.faiss_topk import topk

from .oracle import scores
from .problems import make_problem

METRICS = ("cosine", "dot", "euclidean")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("memory_mb", [1, 512])
def test_lists_are_the_sorted_ones(metric, memory_mb):
    p = make_problem(2, images=3000, width=64)
    found_scores, rows = topk(p.query, p.gallery, 10, metric, memory_mb=memory_mb)
    expected = scores(p.query, p.gallery, metric)
    assert np.array_equal(rows, np.argsort(-expected, axis=1, kind="stable")[:, :10])
    values = np.take_along_axis(expected, rows, axis=1)
    if metric == "euclidean":
        values = np.linalg.norm(p.query[:, None].astype(float) - p.gallery[rows].astype(float), axis=-1)
    np.testing.assert_allclose(found_scores, values, rtol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 5, 40, 60])
def test_lists_of_a_result_leave_junk_out(metric, k):
    p = make_problem(4, ids=3)
    names = np.random.default_rng(0).permutation(40) + 1000
    result = evaluate(p.query, p.gallery, metric=metric, topk=k, gallery_row=names, **p.arguments())
    s = scores(p.query, p.gallery, metric)
    assert result.topk.shape == (7, k)
    for i, mine in enumerate(result.topk):
        known = p.g_pid != -1
        junk = (p.g_pid == p.q_pid[i]) & (p.g_cam == p.q_cam[i]) & (p.q_cam[i] != -1)
        order = [j for j in np.argsort(-s[i], kind="stable") if known[j] and not junk[j]][:k]
        assert mine.tolist() == names[order].tolist() + [-1] * (k - len(order))


def test_k_beyond_the_gallery_is_refused(problem):
    with pytest.raises(FeatureError, match="k=41"):
        topk(problem.query, problem.gallery, 41)


def test_an_unknown_metric_is_refused(problem):
    with pytest.raises(ConfigError, match="metric='l2': expected one of cosine, dot, euclidean"):
        topk(problem.query, problem.gallery, 3, "l2")


def test_features_of_two_networks_are_refused():
    p = make_problem(2)
    with pytest.raises(FeatureError, match="query features have 9 dimensions, gallery features 5"):
        topk(p.query, p.gallery[:, :5], 3)
