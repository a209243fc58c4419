"""Galleries of one image an identity, in one process: against a loop over the draws."""

import numpy as np
import pytest

from wsreid.errors import ConfigError
from wsreid.retrieval import evaluate
from wsreid.retrieval.junk import same_identity_pairs
from wsreid.retrieval.protocols import CUHK03_CLASSIC
from wsreid.retrieval.rerank_settings import KReciprocal
from wsreid.retrieval.single_shot import single_shots

from .oracle import SHARE, scores
from .problems import make_problem


def naive_curve(p, metric, ties, repeats, seed, max_rank):
    s = scores(p.query, p.gallery, metric)
    pairs = same_identity_pairs(p.q_pid, p.g_pid, p.q_cam, p.g_cam)
    curve, valid = np.zeros(max_rank), 0
    for shot in single_shots(p.q_pid, p.g_pid, pairs, repeats=repeats, seed=seed):
        for i, match in enumerate(shot.match.tolist()):
            if match < 0:
                continue
            others = [j for n, j in enumerate(shot.gallery.tolist()) if n != shot.own[i]]
            rank = sum(s[i, j] > s[i, match] for j in others) + SHARE[ties] * sum(
                s[i, j] == s[i, match] for j in others
            )
            curve += rank + 1 <= np.arange(1, max_rank + 1)
            valid += 1
    return curve / valid


@pytest.mark.parametrize("kind", ["random", "duplicated", "small whole numbers"])
@pytest.mark.parametrize(("metric", "ties"), [("cosine", "mid"), ("euclidean", "optimistic"), ("dot", "pessimistic")])
def test_the_curve_is_that_of_a_loop_over_the_draws(kind, metric, ties):
    p = make_problem(3, queries=12, images=60, ids=9, kind=kind)
    names = np.random.default_rng(0).permutation(60)  # draws go by the names of the rows, whatever their order
    back = np.argsort(names)
    options = {"metric": metric, "ties": ties, "protocol": "cuhk03_classic", "seed": 5, "max_rank": 9}
    result = evaluate(p.query, p.gallery, **p.arguments(), **options)
    moved = {"q_pid": p.q_pid, "q_cam": p.q_cam, "g_pid": p.g_pid[back], "g_cam": p.g_cam[back], "gallery_row": back}
    again = evaluate(p.query, p.gallery[back], **moved, **options)
    expected = naive_curve(p, metric, ties, CUHK03_CLASSIC.repeats, 5, 9)
    np.testing.assert_allclose(result.cmc, expected, atol=1e-12)
    np.testing.assert_allclose(again.cmc, expected, atol=1e-12)
    assert result.definition["seed"] == 5


def test_drawn_galleries_are_not_re_ranked(problem):
    with pytest.raises(ConfigError, match="cuhk03_classic draws galleries of one image an identity"):
        evaluate(problem.query, problem.gallery, **problem.arguments(), protocol="cuhk03_classic", rerank=KReciprocal())
