import numpy as np

from wsreid.retrieval import RetrievalResult
from wsreid.tracking.shown_queries import best_queries, fixed_queries, worst_queries


def of_ranks(ranks, rows):
    return RetrievalResult.of_ranks(
        [np.array(r, float) for r in ranks],
        n_tied=0,
        max_rank=5,
        query_row=np.array(rows),
        query_pid=None,
        definition={},
    )


def test_worst_queries_come_first_and_those_without_a_match_not_at_all(result):
    assert [len(ranks) for ranks in result.ranks] == [1, 1, 0]
    assert result.ranks[1][0] > result.ranks[0][0]
    assert worst_queries(result, 5) == [1, 0]
    assert worst_queries(result, 1) == [1]


def test_best_queries_are_those_of_the_highest_average_precision():
    found = of_ranks([[0, 9], [], [0], [4], [0, 1]], range(5))
    assert best_queries(found, 9) == [2, 4, 0, 3]
    assert best_queries(found, 1) == [2]


def test_random_queries_depend_on_their_rows_alone():
    rng = np.random.default_rng(0)
    rows = rng.choice(10_000, 300, replace=False)
    good, bad = of_ranks([[0]] * 300, rows), of_ranks([[7]] * 299 + [[]], rows)
    chosen = fixed_queries(good, 40)
    assert chosen == fixed_queries(bad, 40) == sorted(set(chosen))
    assert len(chosen) == 40
    assert set(fixed_queries(good, 8)) < set(chosen)
    order = rng.permutation(300)
    other = of_ranks([[0]] * 300, rows[order])
    assert {rows[order][query] for query in fixed_queries(other, 40)} == {rows[query] for query in chosen}
    assert fixed_queries(good, 999) == list(range(300))


def test_random_queries_are_of_all_cameras_where_rows_go_through_them_in_turn():
    cameras = {query % 6 for query in fixed_queries(of_ranks([[0]] * 600, range(600)), 100)}
    assert cameras == set(range(6))
