import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.errors import ConfigError
from wsreid.retrieval.expansion import expanded_queries
from wsreid.retrieval.expansion_settings import QueryExpansion
from wsreid.retrieval.features import FeatureTable

from .oracle import scores
from .problems import make_problem

CPU = torch.device("cpu")


def expand(p, settings, memory=2**24, metric="cosine"):
    return expanded_queries(
        FeatureTable(p.query, CPU), FeatureTable(p.gallery, CPU), settings, metric=metric, memory=memory
    )


def unit(x):
    x = x.astype(np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-300)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(0, 12),
    alpha=st.sampled_from((0.0, 1.0, 3.0)),
    kind=st.sampled_from(("random", "duplicated", "uneven")),
)
def test_is_the_weighted_sum(seed, k, alpha, kind):
    p = make_problem(seed, kind=kind)
    s = scores(p.query, p.gallery, "cosine")
    expected = []
    for i, q in enumerate(unit(p.query)):
        best = np.argsort(-s[i], kind="stable")[:k]
        expected.append(q + sum(max(s[i, j], 0) ** alpha * unit(p.gallery)[j] for j in best))
    np.testing.assert_allclose(expand(p, QueryExpansion(k, alpha)), unit(np.array(expected)), atol=1e-6)


def test_memory_changes_no_bit_and_zeros_stay():
    p = make_problem(2, kind="duplicated", width=200)
    p.query[1] = 0
    expected = expand(p, QueryExpansion(5))
    assert np.array_equal(expand(p, QueryExpansion(5), memory=1000), expected)
    assert (expected[1] == 0).all()


def test_what_cannot_be_expanded_is_refused():
    for wrong in ({"k": -1}, {"alpha": -1.0}, {"alpha": float("nan")}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            QueryExpansion(**wrong)
    with pytest.raises(ConfigError, match=r"expand\.k=41: the gallery has 40 images"):
        expand(make_problem(0), QueryExpansion(41))
    assert expand(make_problem(0), QueryExpansion(40)).shape == make_problem(0).query.shape
    with pytest.raises(ConfigError, match="cosine"):
        expand(make_problem(0), QueryExpansion(3), metric="euclidean")
