import dataclasses
import importlib
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.bootstrap import bootstrap, drawn_identities, paired_bootstrap
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.summary import summary

from .oracle import naive_figures
from .results import make_result

NAMES = ("R1", "R5", "R10", "mAP_step", "mAP_trapezoid", "mINP")


def naive_queries(result):
    """Figures of each query, or None where it is left out."""
    cmc, rows = naive_figures(result.ranks, 10)
    missed = result.definition["unmatched"] == "missed"
    return [
        [cmc[q, 0], cmc[q, 4], cmc[q, 9], *rows[q]] if len(result.ranks[q]) or missed else None
        for q in range(result.n_query)
    ]


def naive_draws(figures, pids, draws, seed):
    """Figures of each draw by loops, with the same random numbers."""
    groups = {}
    for number, (pid, figure) in enumerate(zip(pids, figures, strict=True)):
        if figure is not None:
            groups.setdefault((pid == -1, number if pid == -1 else pid), []).append(figure)
    members = [groups[key] for key in sorted(groups)]
    picked = np.random.default_rng(seed).integers(0, len(members), (draws, len(members)))
    return np.array([np.mean([f for i in row for f in members[i]], axis=0) for row in picked])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(("market1501", "sysu30k")), st.sampled_from((0.8, 0.95)))
def test_intervals_are_the_loops(seed, protocol, level):
    result = make_result(seed, protocol=protocol)
    result.query_pid[5:8] = -1  # each of them an identity
    found = bootstrap(result, draws=25, level=level, seed=seed)
    drawn = naive_draws(naive_queries(result), result.query_pid, 25, seed)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    assert tuple(found) == NAMES
    assert {name: i.value for name, i in found.items()} == summary(result)
    np.testing.assert_allclose([i.low for i in found.values()], low, atol=1e-12)
    np.testing.assert_allclose([i.high for i in found.values()], high, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(("market1501", "sysu30k")))
def test_paired_intervals_are_the_loops(seed, protocol):
    a, b = (make_result(s, protocol=protocol, lost=0, query_pid=np.arange(30) % 7) for s in (seed, seed + 1))
    found = paired_bootstrap(a, b, draws=25, seed=seed)
    drawn = naive_draws(naive_queries(a), a.query_pid, 25, seed) - naive_draws(naive_queries(b), a.query_pid, 25, seed)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    np.testing.assert_allclose([i.low for i in found.values()], low, atol=1e-12)
    np.testing.assert_allclose([i.high for i in found.values()], high, atol=1e-12)
    for name, interval in found.items():
        assert interval.difference == pytest.approx(summary(a)[name] - summary(b)[name])


def reordered(result, order):
    return dataclasses.replace(
        result,
        ranks=tuple(result.ranks[i] for i in order),
        query_row=result.query_row[order],
        query_pid=result.query_pid[order],
    )


@given(st.integers(0, 10**6))
def test_pairs_are_aligned_by_query_row(seed):
    a, b = (make_result(s, lost=0, query_pid=np.arange(30) % 7) for s in (seed, seed + 1))
    order = np.random.default_rng(seed).permutation(30)
    expected = paired_bootstrap(a, b, draws=9)
    assert paired_bootstrap(a, reordered(b, order), draws=9) == expected
    for name, interval in paired_bootstrap(reordered(a, order), b, draws=9).items():
        assert (interval.low, interval.high) == (expected[name].low, expected[name].high)
    mine = paired_bootstrap(reordered(a, order), a, draws=9)["mAP_step"]
    assert (mine.low, mine.high, mine.p) == (0, 0, 1)


@given(st.integers(0, 10**6), st.integers(2, 4))
def test_more_queries_of_the_same_identities_do_not_narrow_an_interval(seed, times):
    one = make_result(seed)
    more = RetrievalResult.of_ranks(
        one.ranks * times,
        n_tied=0,
        max_rank=20,
        query_row=np.arange(30 * times),
        query_pid=np.tile(one.query_pid, times),
        definition=one.definition,
    )
    a, b = bootstrap(one, draws=20), bootstrap(more, draws=20)
    np.testing.assert_allclose(
        [dataclasses.astuple(i) for i in a.values()], [dataclasses.astuple(i) for i in b.values()]
    )


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    # 40 identities of 5 queries that succeed or fail together: an interval over queries would hold it half as often
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(150):
        hit = np.repeat(rng.random(40) < 0.6, 5)
        result = RetrievalResult.of_ranks(
            [np.array([0.0 if h else 30.0]) for h in hit],
            n_tied=0,
            max_rank=5,
            query_row=np.arange(200),
            query_pid=np.repeat(np.arange(40), 5),
            definition={},
        )
        interval = bootstrap(result, draws=200, level=0.9, seed=trial)["R1"]
        held += interval.low <= 0.6 <= interval.high
    assert 0.8 <= held / 150 <= 0.97


def test_a_clear_difference_has_a_small_p():
    common = {"n_tied": 0, "max_rank": 5, "query_row": np.arange(60), "definition": {}, "query_pid": np.arange(60) // 2}
    good = RetrievalResult.of_ranks([np.array([0.0])] * 60, **common)
    bad = RetrievalResult.of_ranks([np.array([9.0])] * 60, **common)
    found = paired_bootstrap(good, bad, draws=99)["R1"]
    assert (found.difference, found.low, found.high) == (1, 1, 1)
    assert found.p == pytest.approx(2 / 100)
    assert paired_bootstrap(bad, good, draws=99)["R1"].difference == -1


def test_single_shot_curves_are_averaged_over_their_galleries():
    shots = np.random.default_rng(1).integers(0, 3, (10, 30)).astype(float)
    result = make_result(lost=0, shots=shots, protocol="cuhk03_classic")
    found = bootstrap(result, draws=15)["R1"]
    assert found.value == pytest.approx((shots == 0).mean())
    figures = [[hit] for hit in (shots == 0).mean(0)]
    drawn = naive_draws(figures, result.query_pid, 15, 0)[:, 0]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_identities_that_count_are_told():
    pids = np.r_[np.arange(28) // 4, -1, -1]
    left_out, missed = (make_result(protocol=p, query_pid=pids) for p in ("market1501", "sysu30k"))
    assert drawn_identities(missed) == 7 + 2
    valid = [q for q in range(30) if len(left_out.ranks[q])]
    assert drawn_identities(left_out) == len({pids[q] if pids[q] >= 0 else -q for q in valid})
    assert drawn_identities(dataclasses.replace(left_out, query_pid=np.arange(30))) == len(valid) < 30


def test_defaults_are_those_of_the_tables():
    a, b = (make_result(seed, lost=0, query_pid=np.arange(30) % 7) for seed in (0, 1))
    options = {"draws": 1000, "level": 0.95, "seed": 0}
    assert bootstrap(a) == bootstrap(a, **options)
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b, **options)


def test_how_many_are_drawn_at_once_changes_nothing(monkeypatch):
    result = make_result()
    expected = bootstrap(result, draws=10)
    module = importlib.import_module("wsreid.retrieval.bootstrap")  # the folder's own name is the function
    monkeypatch.setattr(module, "DRAWN_AT_ONCE", 4 * drawn_identities(result))  # 4 + 4 + 2 draws
    assert bootstrap(result, draws=10) == expected


def test_two_identities_and_one_draw_are_enough():
    result = make_result(lost=0, query_pid=np.arange(30) % 2)
    interval = bootstrap(result, draws=1)["mAP_step"]
    assert interval.low == interval.high
    assert not np.isnan(interval.low)


def test_one_identity_has_no_interval():
    result = make_result(query_pid=np.zeros(30, dtype=np.int64))
    interval = bootstrap(result)["R1"]
    assert interval.value == summary(result)["R1"]
    assert np.isnan([interval.low, interval.high]).all()
    assert np.isnan(paired_bootstrap(result, result)["R1"].p)


def test_results_that_do_not_compare_are_refused():
    a = make_result()
    with pytest.raises(FeatureError, match="before format 2"):
        bootstrap(dataclasses.replace(a, query_pid=None))
    with pytest.raises(FeatureError, match="2 query rows are in one"):
        paired_bootstrap(a, dataclasses.replace(a, query_row=np.r_[np.arange(29), 99]))
    with pytest.raises(FeatureError, match="second result names a query row twice"):
        paired_bootstrap(a, dataclasses.replace(a, query_row=np.zeros(30, dtype=np.int64)))
    with pytest.raises(FeatureError, match=r"query row 3 has identity \d in the first and 77"):
        paired_bootstrap(a, dataclasses.replace(a, query_pid=np.where(np.arange(30) == 3, 77, a.query_pid)))
    with pytest.raises(FeatureError, match=r"protocol market1501.*protocol sysu30k"):
        paired_bootstrap(a, make_result(protocol="sysu30k"))
    with pytest.raises(FeatureError, match="do not count the same queries"):
        paired_bootstrap(a, make_result(lost=0, query_pid=a.query_pid))
    with pytest.raises(FeatureError, match=r"protocol market1501, 30.*protocol sysu30k, 30"):
        paired_bootstrap(*(make_result(lost=0, protocol=protocol) for protocol in ("market1501", "sysu30k")))
    for options in ({"draws": 0}, {"level": 1.0}, {"level": 0.0}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            bootstrap(a, **options)


def test_market_size_is_cheap():
    result = make_result(queries=3368, ids=750)
    bootstrap(result, draws=2)
    start = time.process_time()
    bootstrap(result)
    assert time.process_time() - start < 1  # measured 0.06 s; the bound leaves room for busy machines
