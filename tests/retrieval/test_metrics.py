import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.retrieval.metrics import cumulative_matches, query_figures

from .oracle import naive_figures

rank_lists = st.lists(st.lists(st.integers(0, 30), max_size=6, unique=True), min_size=1, max_size=6)


@given(rank_lists)
def test_figures_are_the_loops(lists):
    ranks = [np.array(sorted(r), dtype=float) for r in lists]
    figures = query_figures(ranks)
    _, expected = naive_figures(ranks, 5)
    valid = np.array([len(r) > 0 for r in ranks])
    for mine, theirs in zip((figures.ap_step, figures.ap_trapezoid, figures.inp), expected.T, strict=True):
        np.testing.assert_allclose(mine[valid], theirs[valid], atol=1e-15)
        assert np.isnan(mine[~valid]).all()
    assert (figures.ap_trapezoid[valid] <= figures.ap_step[valid] + 1e-15).all()


@given(st.integers(0, 1000))
def test_with_one_match_step_ap_is_rank_1_plus_twice_the_rest(rank):
    figures = query_figures([np.array([float(rank)]), np.array([0.0])])
    r1 = (figures.first == 0).mean()
    assert figures.ap_step.mean() == pytest.approx(r1 + 2 * (figures.ap_trapezoid.mean() - r1))


def test_curve_counts_fractional_ranks_at_the_next_whole_one():
    assert cumulative_matches(np.array([0.0, 0.5, np.nan, 3.0]), 4, over=4).tolist() == [0.25, 0.5, 0.5, 0.75]
