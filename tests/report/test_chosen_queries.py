import numpy as np

from wsreid.report.chosen_queries import chosen_queries


def test_all_where_there_are_few():
    assert chosen_queries([np.array([0.5, np.nan, 0.1])], 3).tolist() == [0, 1, 2]


def test_half_are_the_worst_and_the_others_go_up_to_the_best():
    ap = np.random.default_rng(0).permutation(100) / 100
    chosen = chosen_queries([ap], 20)
    assert len(chosen) == 20
    assert np.array_equal(chosen, np.unique(chosen))
    assert {round(100 * value) for value in ap[chosen]} >= {*range(10), 99}
    rest = np.sort(ap[chosen])[10:]
    assert np.diff(rest).max() <= 0.11


def test_the_mean_over_the_runs_counts_and_each_run_only_where_it_knows():
    first = np.array([0.0, 0.9, 0.4, 0.5, 0.6])
    second = np.array([1.0, 0.8, 0.4, np.nan, 0.6])
    assert chosen_queries([first, second], 2).tolist() == [1, 2]  # means 0.5, 0.85, 0.4, 0.5, 0.6


def test_queries_without_a_match_come_last():
    ap = np.array([np.nan, np.nan, 0.3, 0.2, 0.9])
    assert chosen_queries([ap], 3).tolist() == [2, 3, 4]
    assert chosen_queries([ap], 4).tolist() == [0, 2, 3, 4]
