import numpy as np
import pytest

from wsreid.errors import DataError
from wsreid.retrieval import bootstrap as of_result
from wsreid.retrieval import evaluate, paired_bootstrap
from wsreid.tracking.identity_sums import IdentitySums, identity_sums
from wsreid.tracking.pooled_bootstrap import DRAWS, SEED, Spread, difference, interval


@pytest.fixture
def results():
    """Two evaluations over the same queries; identity 9 has no match."""
    rng = np.random.default_rng(1)
    q_pid, g_pid = np.repeat([2, 3, 5, 8, 9], [1, 4, 2, 3, 2]), np.repeat([2, 3, 5, 8], 5)
    return [
        evaluate(
            rng.normal(size=(len(q_pid), 4)).astype(np.float32),
            rng.normal(size=(len(g_pid), 4)).astype(np.float32),
            q_pid=q_pid,
            g_pid=g_pid,
        )
        for _ in range(2)
    ]


def test_of_one_run_it_is_the_bootstrap_of_its_result(results):
    expected = of_result(results[0], draws=DRAWS, seed=SEED)
    for figure, name in (("ap", "mAP_step"), ("hits", "R1")):
        found = interval([identity_sums(results[0])], figure)
        assert (found.value, found.low, found.high) == pytest.approx(
            [100 * end for end in (expected[name].value, expected[name].low, expected[name].high)]
        )


def test_of_two_runs_it_is_the_paired_bootstrap_of_their_results(results):
    expected = paired_bootstrap(*results, draws=DRAWS, seed=SEED)["mAP_step"]
    found = difference([identity_sums(results[0])], [identity_sums(results[1])], "ap")
    assert (found.value, found.low, found.high) == pytest.approx(
        [100 * end for end in (expected.difference, expected.low, expected.high)]
    )
    assert found.p == pytest.approx(expected.p)


def made(seed):
    rng = np.random.default_rng(seed)
    queries = (1.0, 4.0, 2.0)
    ap = tuple(float(q * rng.uniform()) for q in queries)
    return IdentitySums((1, 2, 3), queries, ap, tuple(float(rng.integers(0, q + 1)) for q in queries))


def naive(runs, figure, picked):
    """A draw, query by query."""
    total = number = 0.0
    for at in picked:
        for run in runs:
            total += run.ap[at] if figure == "ap" else run.hits[at]
            number += run.queries[at]
    return 100 * total / number


@pytest.mark.parametrize("figure", ["ap", "hits"])
def test_a_drawn_identity_brings_its_queries_in_all_seeds(figure):
    a, b = [made(0), made(1), made(2)], [made(3), made(4)]
    draws = np.random.default_rng(SEED).integers(0, 3, (DRAWS, 3))
    values = [naive(a, figure, picked) for picked in draws]
    found = interval(a, figure)
    assert found.value == pytest.approx(naive(a, figure, range(3)))
    assert [found.low, found.high] == pytest.approx(np.quantile(values, [0.025, 0.975]))
    values = [naive(a, figure, picked) - naive(b, figure, picked) for picked in draws]
    found = difference(a, b, figure)
    assert [found.low, found.high] == pytest.approx(np.quantile(values, [0.025, 0.975]))


def test_zero_is_excluded_on_either_side():
    assert Spread(1, 0.5, 2).excludes_zero
    assert Spread(-1, -2, -0.5).excludes_zero
    assert not Spread(1, -0.5, 2).excludes_zero
    assert not Spread(1, float("nan"), float("nan")).excludes_zero


def test_one_identity_has_no_interval():
    one = IdentitySums((1,), (2.0,), (1.0,), (2.0,))
    found = interval([one], "ap")
    assert found.value == 50
    assert np.isnan(found.low)
    assert not difference([one], [one], "ap").excludes_zero
    assert np.isnan(difference([one], [one], "ap").p)


def test_other_queries_are_refused():
    a, other = made(0), IdentitySums((1, 2, 4), (1.0, 4.0, 2.0), (0.0,) * 3, (0.0,) * 3)
    for call in (lambda: interval([a, other], "ap"), lambda: difference([a], [other], "ap")):
        with pytest.raises(DataError, match=r"different queries.*--again"):
            call()
